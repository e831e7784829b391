"""Measures a bring-up on real kind clusters, up to the first call across the meshes, and writes docs/bring-up.md."""
