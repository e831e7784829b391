"""MetalLB in a cluster: the load balancer that assigns to a gateway the address that the plan has chosen.

Source: MetalLB's layer-2 mode; walk-through 000 section 2.1 and pitfalls 3 and 4 (pools, and when they are accepted).
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network

from mesh_federation.plan.objects import Body

Spec = Mapping[str, object]

NAMESPACE = "metallb-system"
NAME = "mesh-federation"
EARLY_PROBES = {"initialDelaySeconds": 1, "periodSeconds": 1}
"""In seconds. The manifest has ten for both, so that pods that serve after two are ready after ten or twenty."""
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


def normalized(body: Mapping[str, object], hub: str | None) -> Body:
    """Return an object of MetalLB's manifest without the fields that the running cluster fills in.

    Args:
        body: as the manifest has it.
        hub: registry and path in front of the images' names; None keeps the publisher's.
    """

    def normalize(key: str, value: object) -> object:
        if key == "image" and isinstance(value, str):
            return _image(value, hub)
        if isinstance(value, Mapping):  # a placeholder: the controller writes its own, and each refresh would undo it
            return {below: kept for below, kept in value.items() if below != "caBundle"}
        return value

    return {key: _changed(value, normalize) for key, value in body.items() if key != "status"}


def probed_early(body: Mapping[str, object]) -> Body:
    """Return an object whose pods' readiness is probed from the beginning, and every second."""

    def probe_early(key: str, value: object) -> object:
        return {**value, **EARLY_PROBES} if key == "readinessProbe" and isinstance(value, Mapping) else value

    return {key: _changed(value, probe_early) for key, value in body.items()}


def _changed(value: object, change: Callable[[str, object], object]) -> object:
    """Change the values of all keys of a body, from within outwards."""
    if isinstance(value, Mapping):
        return {key: change(key, _changed(below, change)) for key, below in value.items()}
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return value


def _image(image: str, hub: str | None) -> str:
    return image.replace(f"{PUBLISHER}/", f"{hub.rstrip('/')}/") if hub else image


def _body(kind: str, spec: Spec, name: str = NAME) -> Body:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata, "spec": dict(spec)}
