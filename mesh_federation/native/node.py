"""The node as the API server knows it: registered once, and alive as long as its lease is renewed."""

import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.api_client import STRATEGIC_MERGE, ApiClient, ApiError
from mesh_federation.native.status import now
from mesh_federation.native.variables import machine_capacity

LEASE_SECONDS, RENEW_SECONDS = 40, 10
RETRY_SECONDS = 0.5
CONFLICT, NOT_FOUND = 409, 404
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PODS = "250"


def register(api: ApiClient, settings: AgentSettings) -> None:
    """Register the node and keep it alive, in a thread of its own; returns when pods can be placed on it."""
    while True:
        try:
            _announce(api, settings)
            break
        except (ApiError, OSError):  # the API server is about to start
            time.sleep(RETRY_SECONDS)
    threading.Thread(target=_keep_alive, args=(api, settings.node), daemon=True).start()


def _announce(api: ApiClient, settings: AgentSettings) -> None:
    architecture = ARCHITECTURES.get(os.uname().machine, os.uname().machine)
    labels = {
        "kubernetes.io/hostname": settings.node,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
    }
    pods = {"podCIDR": settings.pod_subnet, "podCIDRs": [settings.pod_subnet]}
    try:
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node",
                                     "metadata": {"name": settings.node, "labels": labels}, "spec": pods})  # fmt: skip
    except ApiError as error:
        if error.status != CONFLICT:
            raise
    _renew(api, settings.node)
    capacity = {**machine_capacity(), "pods": PODS}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the agent runs pods as processes",
             "lastHeartbeatTime": now(), "lastTransitionTime": now()}  # fmt: skip
    status = {
        "conditions": [ready],
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": settings.node_address},
            {"type": "Hostname", "address": settings.node},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.kubelet_port}},
        "nodeInfo": {
            "architecture": architecture, "operatingSystem": "linux", "kernelVersion": os.uname().release,
            "osImage": "this machine", "containerRuntimeVersion": "process://1", "kubeletVersion": "native",
            "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
        },
    }  # fmt: skip
    api.patch(f"/api/v1/nodes/{settings.node}/status", {"status": status}, STRATEGIC_MERGE)
    api.patch(f"/api/v1/nodes/{settings.node}", {"metadata": {"labels": labels}, "spec": {"taints": None}})


def _keep_alive(api: ApiClient, node: str) -> None:
    while True:
        time.sleep(RENEW_SECONDS)
        with suppress(ApiError, OSError):  # the next one may succeed; without any, the node is no longer ready
            _renew(api, node)


def _renew(api: ApiClient, node: str) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    time_now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": node, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": time_now}
    try:
        api.patch(f"{leases}/{node}", {"spec": spec})
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        metadata = {"name": node, "namespace": "kube-node-lease"}
        api.create(
            leases, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        )
