"""Pods as processes of this machine, in private namespaces: no container runtime, no root."""
