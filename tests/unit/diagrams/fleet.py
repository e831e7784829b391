"""A federation of twelve clusters: a hub that all call, spokes that call each other a little, in two regions."""

from typing import Any

Tree = dict[str, Any]

HUB = "hub"
SPOKES = [f"spoke-{number:02}" for number in range(1, 12)]
HTTP = {"name": "http", "number": 8080, "protocol": "HTTP"}


def fleet() -> Tree:
    """Return what its stack file would declare."""
    spokes = {name: _spoke(place) for place, name in enumerate(SPOKES, start=1)}
    hub = {"provisioner": "existing", "kubeconfig": "hub.kubeconfig", "gateway": {"addresses": ["203.0.113.10"]}}
    everyone = [{"cluster": name, "serviceAccounts": ["shop/web"]} for name in SPOKES]
    return {
        "trust": {"model": "separate"},
        "clusters": {HUB: {**hub, "locality": "europe/hub", "serviceSubnet": "10.255.0.0/24"}, **spokes},
        "exports": [
            {"cluster": HUB, "service": "platform/api", "ports": [HTTP], "to": everyone},
            *(_export(name, "metrics/collector", HUB, "watch/scraper") for name in SPOKES[:3]),
            _export("spoke-02", "shop/cart", "spoke-01", "shop/web"),
            _export("spoke-07", "shop/search", "spoke-06", None),
        ],
        "imports": [
            *(_import(name, HUB, "platform/api", "remote") for name in SPOKES),
            *(_import(HUB, name, "metrics/collector", "remote") for name in SPOKES[:3]),
            {**_import("spoke-01", "spoke-02", "shop/cart", "local"), "failover": {"to": "europe"}},
            {**_import("spoke-06", "spoke-07", "shop/search", "global"), "api": "gateway"},
        ],
    }


def _spoke(number: int) -> Tree:
    made = {"provisioner": "kwok"} if number % 4 else {"provisioner": "existing", "kubeconfig": f"{number}.kubeconfig"}
    region = "europe" if number < 7 else "america"
    return {
        **made,
        "podSubnet": f"10.{number}.0.0/16",
        "serviceSubnet": f"10.255.{number}.0/24",
        "locality": f"{region}/{number}",
    }


def _export(cluster: str, service: str, to: str, account: str | None) -> Tree:
    caller = {"cluster": to} if account is None else {"cluster": to, "serviceAccounts": [account]}
    return {"cluster": cluster, "service": service, "ports": [{**HTTP, "targetPort": 8080}], "to": [caller]}


def _import(cluster: str, source: str, service: str, mode: str) -> Tree:
    return {"cluster": cluster, "from": source, "service": service, "as": mode}
