"""The images and files of a machine that cannot reach the publishers' registries; its environment names them."""

import os
from collections.abc import Mapping

SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}}


def overlay(environment: Mapping[str, str] = os.environ) -> dict[str, object]:
    """Return what to lay over stacks of kind clusters: such an Envoy has none of Istio's own extensions.

    Empty where the public images are used.
    """
    kit = {name: value for name, value in environment.items() if name.startswith("MESH_LAB_")}
    if not kit:
        return {}
    without_extensions = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
    return {
        "images": {
            "node": kit["MESH_LAB_NODE_IMAGE"],
            "sleep": kit["MESH_LAB_IMAGE_CURL"],
            "httpbin": kit["MESH_LAB_IMAGE_HTTPBIN"],
        },
        "istio": {
            "charts": kit["MESH_LAB_CHARTS"],
            "values": {
                "telemetry": {"enabled": False},
                "env": without_extensions,
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
                "global": {"proxy": {"resources": SMALL}},
            },
            "gatewayValues": {"resources": SMALL},
            "egressValues": {"resources": SMALL},
        },
        "lab": {"metallbManifest": kit["MESH_LAB_METALLB_MANIFEST"]},
    }
