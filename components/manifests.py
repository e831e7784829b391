"""Reads a manifest to bodies, so that a preview shows every object of it."""

import os
from pathlib import Path

import pulumi
import yaml

from components.objects import Body

FIX = "-> set lab.metallbManifest to MetalLB's manifest (metallb-native.yaml), or leave it out"


def metallb(declared: str) -> Path:
    """Return the file of MetalLB's manifest.

    Args:
        declared: `official`, for the one that the toolchain pins, or a path.

    Raises:
        pulumi.RunError: the toolchain's manifest is not known here.
    """
    if declared != "official":
        return Path(declared).expanduser()
    if "MESH_MANIFESTS" not in os.environ:
        raise pulumi.RunError(
            'MetalLB\'s manifest is not at hand.\n-> run `./mesh install kind`, then eval "$(./mesh env)"'
        )
    return Path(os.environ["MESH_MANIFESTS"]) / "metallb.yaml"


def read(file: Path) -> list[Body]:
    """Return the objects of a manifest.

    Raises:
        pulumi.RunError: there is no such manifest, or it holds something else.
    """
    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise pulumi.RunError(f"{file} cannot be read as a manifest: {error}\n{FIX}") from error
    bodies = [document for document in documents if document]
    if not bodies or not all(
        isinstance(body, dict) and {"apiVersion", "kind", "metadata"} <= set(body) for body in bodies
    ):
        raise pulumi.RunError(f"{file} does not hold Kubernetes objects.\n{FIX}")
    return bodies
