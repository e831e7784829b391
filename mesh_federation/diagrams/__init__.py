"""Draws federations and certificate hierarchies: facts, then a drawing, then one writer per format."""
