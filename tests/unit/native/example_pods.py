"""Pods as the API server hands them out, for tests."""

from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.pod_reader import read_pod
from mesh_federation.native.pod_spec import PodDescription


def pod_object(**spec: object) -> ApiObject:
    """Return a pod with one container, and further fields of its spec."""
    metadata = {
        "name": "web-0", "namespace": "shop", "uid": "u-1",
        "labels": {"app": "web", "tier": "front"}, "annotations": {"note": 'a "quoted" text'},
    }  # fmt: skip
    containers = [{"name": "main", "image": "busybox"}]
    return ApiObject({"metadata": metadata, "spec": {"containers": containers, **spec}})


def pod_spec(**spec: object) -> PodDescription:
    """Return the same, read."""
    return read_pod(pod_object(**spec))


def container(**fields: object) -> dict[str, object]:
    """Return a container."""
    return {"name": "main", "image": "busybox", **fields}
