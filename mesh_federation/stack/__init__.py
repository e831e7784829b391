"""The stack file: its types, how it is read, and the messages about problems in it."""
