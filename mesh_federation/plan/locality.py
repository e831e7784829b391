"""Where a cluster's pods are, in Istio's words: region, zone and subzone, read from the labels of their nodes.

Source: Istio, locality load balancing. Clouds label their nodes; kind and kwok do not (walk-through 001, section 3.3).
"""

from mesh_federation.plan.objects import Body

LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


def labels(locality: str) -> dict[str, str]:
    """Return the labels of nodes in a locality, `region[/zone[/subzone]]`."""
    return dict(zip(LABELS, locality.split("/"), strict=False))


def node(name: str, locality: str) -> Body:
    """Body that says where one node is, and nothing else of it."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels(locality)}}
