"""The checks of `mesh verify`: each proves one thing of a federation that is up, and can fail."""
