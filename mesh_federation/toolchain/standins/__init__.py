"""Plugins for the Pulumi engine that take the place of the official ones where these cannot be had.

They speak the same protocol and are held to the official behaviour by tests/engine/conformance.
"""
