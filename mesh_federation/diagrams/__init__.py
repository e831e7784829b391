"""Draws a federation from its model alone: facts, then what is drawn of them, then one writer for each format."""
