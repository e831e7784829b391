"""Pulumi as a program: stacks, their state, and what a run needs before and after it."""
