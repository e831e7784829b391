"""Charts and manifests that others publish, as bodies of objects."""
