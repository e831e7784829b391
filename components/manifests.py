"""Finds manifests, and reads them to bodies, so that a preview shows every object."""

import os
import re
from pathlib import Path

import pulumi
import yaml

from components.objects import Body

METALLB_FIX = "-> set lab.metallbManifest to MetalLB's manifest (metallb-native.yaml), or leave it out"
GATEWAY_API_FIX = "-> set istio.gatewayApi to the Gateway API's definitions (standard-install.yaml), or leave it out"
BUNDLE = re.compile(r"gateway\.networking\.k8s\.io/(bundle-version|channel): *([\w.+-]+)")
GATEWAYS = "gateways.gateway.networking.k8s.io"


def metallb(declared: str) -> Path:
    """Return the file of MetalLB's manifest.

    Args:
        declared: `official`, for the one that the toolchain pins, or a path.

    Raises:
        pulumi.RunError: the toolchain's manifest is not known here.
    """
    return _file(declared, "metallb.yaml", "MetalLB's manifest is", "./mesh install kind")


def gateway_api(declared: str) -> Path:
    """Return the file of the Gateway API's definitions.

    Args:
        declared: `official`, for those that the toolchain pins, or a path.

    Raises:
        pulumi.RunError: the toolchain's file is not known here, or the path's holds no such definitions.
    """
    file = _file(declared, "gateway-api.yaml", "The Gateway API's definitions are", "./mesh install")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise pulumi.RunError(f"{file} cannot be read: {error}\n{GATEWAY_API_FIX}") from error
    if GATEWAYS not in text:
        raise pulumi.RunError(f"{file} does not define {GATEWAYS}.\n{GATEWAY_API_FIX}")
    return file


def bundle(file: Path) -> str:
    """Say which release and channel of the Gateway API a file has, as far as it tells."""
    told = dict(BUNDLE.findall(file.read_text(encoding="utf-8")))
    return " ".join(["Gateway API", *(told[key] for key in ("bundle-version", "channel") if key in told)])


def _file(declared: str, name: str, what: str, command: str) -> Path:
    if declared != "official":
        return Path(declared).expanduser()
    file = Path(os.environ.get("MESH_MANIFESTS", "")) / name
    if not file.is_absolute() or not file.exists():
        raise pulumi.RunError(f'{what} not at hand.\n-> run `{command}`, then eval "$(./mesh env)"')
    return file


def read(file: Path) -> list[Body]:
    """Return the objects of a manifest.

    Raises:
        pulumi.RunError: there is no such manifest, or it holds something else.
    """
    try:
        documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise pulumi.RunError(f"{file} cannot be read as a manifest: {error}\n{METALLB_FIX}") from error
    bodies = [document for document in documents if document]
    if not bodies or not all(
        isinstance(body, dict) and {"apiVersion", "kind", "metadata"} <= set(body) for body in bodies
    ):
        raise pulumi.RunError(f"{file} does not hold Kubernetes objects.\n{METALLB_FIX}")
    return bodies
