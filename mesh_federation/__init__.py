"""Federates Istio service meshes from one declared model."""
