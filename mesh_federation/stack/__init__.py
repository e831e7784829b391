"""The stack file: its types, how it is read, and what is told to the person who wrote it."""
