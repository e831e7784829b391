"""Pulumi resources that several components create: Kubernetes objects, and jobs in a cluster."""
