"""The checks of `mesh verify`: each description one thing of a federation that is up, and can fail."""
