"""A federation as large as the product promises to check in seconds."""

from typing import Any


def federation(clusters: int = 50, exports: int = 500, imports: int = 2000) -> dict[str, Any]:
    """Return a sound tree: every import has a consenting export."""
    names = [f"cluster-{index}" for index in range(clusters)]
    port = {"name": "http", "number": 8000, "protocol": "HTTP"}
    everyone = [{"cluster": name, "serviceAccounts": ["sleep/sleep", "shop/frontend"]} for name in names]
    offered = [(names[index % clusters], f"shop/service-{index}") for index in range(exports)]
    turns = imports // exports
    return {
        "clusters": {name: {"provisioner": "existing", "kubeconfig": f"{name}.kubeconfig"} for name in names},
        "exports": [
            {
                "cluster": cluster,
                "service": service,
                "ports": [port],
                "to": [c for c in everyone if c["cluster"] != cluster],
            }
            for cluster, service in offered
        ],
        "imports": [
            {"cluster": names[(index + 1 + turn) % clusters], "from": cluster, "service": service}
            for turn in range(turns)
            for index, (cluster, service) in enumerate(offered)
        ],
    }
