"""MetalLB in a cluster: the load balancer that gives a gateway the address which the model has chosen.

Source: MetalLB's layer-2 mode; walk-through 000 section 2.1 and pitfalls 3 and 4 (pools, and when they are accepted).
"""

from collections.abc import Mapping
from ipaddress import IPv4Network

Body = dict[str, object]
Spec = Mapping[str, object]

NAMESPACE = "metallb-system"
NAME = "mesh-federation"
ASKED_EARLY = {"initialDelaySeconds": 1, "periodSeconds": 1}
"""Seconds. The manifest has ten for both, so that pods which serve after two are ready after ten or twenty."""
PUBLISHER = "quay.io/metallb"
"""Where MetalLB's own manifest takes its images from."""


def pool(network: IPv4Network) -> Body:
    """Body of the pool from which Services get their addresses."""
    return _body("IPAddressPool", {"addresses": [str(network)], "avoidBuggyIPs": True})


def advertisement() -> Body:
    """Body of the statement that the nodes answer ARP for the pool's addresses; without it nobody reaches them."""
    return _body("L2Advertisement", {"ipAddressPools": [NAME]})


def probe() -> Body:
    """Body of a pool that MetalLB's webhook admits, whatever other pools there are: addresses that nobody owns."""
    return _body("IPAddressPool", {"addresses": ["192.0.2.1/32"]}, "mesh-federation-probe")


def settled(body: Mapping[str, object], hub: str | None) -> Body:
    """Return an object of MetalLB's manifest as this program applies it.

    Args:
        body: as the manifest has it.
        hub: registry and path in front of the images' names; None keeps the publisher's.
    """
    return {key: _settled(value, hub) for key, value in body.items() if key != "status"}


def asked_early(body: Mapping[str, object]) -> Body:
    """Return an object whose pods are asked from the beginning, and every second, whether they are ready."""
    return {key: _asked_early(value) for key, value in body.items()}


def _asked_early(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            key: {**below, **ASKED_EARLY} if key == "readinessProbe" else _asked_early(below)
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [_asked_early(item) for item in value]
    return value


def _settled(value: object, hub: str | None) -> object:
    if isinstance(value, Mapping):
        return {
            key: _image(below, hub) if key == "image" and isinstance(below, str) else _settled(below, hub)
            for key, below in value.items()
            if key != "caBundle"  # a placeholder: the controller writes its own, and would be undone at each refresh
        }
    if isinstance(value, list):
        return [_settled(item, hub) for item in value]
    return value


def _image(image: str, hub: str | None) -> str:
    return image.replace(f"{PUBLISHER}/", f"{hub.rstrip('/')}/") if hub else image


def _body(kind: str, spec: Spec, name: str = NAME) -> Body:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata, "spec": dict(spec)}
