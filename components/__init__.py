"""Pulumi components, one per file: they turn the plan into resources and decide nothing."""
