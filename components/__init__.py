"""Pulumi components, one noun a file: they turn the plan into resources and decide nothing."""
