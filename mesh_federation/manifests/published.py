"""Published manifests of MetalLB and of the Gateway API: their files, and the objects in them."""

import os
import re
from pathlib import Path

import pulumi
import yaml

from mesh_federation.plan.objects import Body
from mesh_federation.stack import files

METALLB_FIX = "-> set lab.metallbManifest to MetalLB's manifest (metallb-native.yaml), or leave it out"
GATEWAY_API_FIX = "-> set istio.gatewayApi to the Gateway API's definitions (standard-install.yaml), or leave it out"
BUNDLE = re.compile(r"gateway\.networking\.k8s\.io/(bundle-version|channel): *([\w.+-]+)")
MAX_BYTES = 20_000_000
DEFINITION = "CustomResourceDefinition"
"""Kind of the objects that define others; they are applied apart from all else (mesh_federation/resources/crds.py)."""
GATEWAYS = "gateways.gateway.networking.k8s.io"


def metallb(declared: str) -> Path:
    """Return the file of MetalLB's manifest.

    Args:
        declared: `official`, for the one that the toolchain pins, or a path.

    Raises:
        pulumi.RunError: the toolchain's manifest is not installed.
    """
    return _file(declared, "metallb.yaml", "MetalLB's manifest is", "./mesh install kind")


def gateway_api(declared: str) -> Path:
    """Return the file of the Gateway API's definitions.

    Args:
        declared: `official`, for those that the toolchain pins, or a path.

    Raises:
        pulumi.RunError: the toolchain's file is not installed, or the given file has no such definitions.
    """
    file = _file(declared, "gateway-api.yaml", "The Gateway API's definitions are", "./mesh install")
    try:
        text = _text(file)
    except (files.NotRead, ValueError) as error:
        raise pulumi.RunError(f"{file} cannot be read: {error}\n{GATEWAY_API_FIX}") from error
    if GATEWAYS not in text:
        raise pulumi.RunError(f"{file} does not define {GATEWAYS}.\n{GATEWAY_API_FIX}")
    return file


def bundle(file: Path) -> str:
    """Return release and channel of the Gateway API in a file, as far as it names them."""
    named = dict(BUNDLE.findall(_text(file)))
    return " ".join(["Gateway API", *(named[key] for key in ("bundle-version", "channel") if key in named)])


def _file(declared: str, name: str, what: str, command: str) -> Path:
    if declared != "official":
        return Path(declared).expanduser()
    file = Path(os.environ.get("MESH_MANIFESTS", "")) / name
    if not file.is_absolute() or not file.exists():
        raise pulumi.RunError(f'{what} not at hand.\n-> run `{command}`, then eval "$(./mesh env)"')
    return file


def _text(file: Path) -> str:
    """Read a manifest.

    Raises:
        NotRead: it is no file that can be read.
        ValueError: it is no text, or far larger than any manifest is.
    """
    content = files.head(file, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
    return content.decode()


def read(file: Path) -> list[Body]:
    """Return the objects of a manifest.

    Raises:
        pulumi.RunError: there is no such manifest, or the file is something else.
    """
    try:
        documents = list(yaml.load_all(_text(file), Loader=yaml.CSafeLoader))
    except (files.NotRead, ValueError, yaml.YAMLError) as error:
        raise pulumi.RunError(f"{file} cannot be read as a manifest: {error}\n{METALLB_FIX}") from error
    bodies = [document for document in documents if document]
    if not bodies or not all(
        isinstance(body, dict) and {"apiVersion", "kind", "metadata"} <= set(body) for body in bodies
    ):
        raise pulumi.RunError(f"{file} does not hold Kubernetes objects.\n{METALLB_FIX}")
    return bodies
