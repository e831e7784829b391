"""How clusters come to be: one script a provisioner, run by Command resources with nothing but the standard library."""
