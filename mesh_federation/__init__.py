"""Federates Istio service meshes from one declared model."""

__version__ = "0.1.0"
