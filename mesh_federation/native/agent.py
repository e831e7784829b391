"""The agent of a node: runs its pods as processes. It is started as `python3 -m mesh_federation.native.agent`."""

import base64
import shutil
import ssl
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from mesh_federation import document
from mesh_federation.native import node
from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.api_client import METADATA, ApiClient, ApiError, Listing, client_context
from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.event_recorder import EventRecorder
from mesh_federation.native.image import ImageTable
from mesh_federation.native.kubelet_server import KubeletServer
from mesh_federation.native.load_balancer import ServiceLoadBalancer
from mesh_federation.native.namespaces import Mount, NamespaceKind, make_private, mount, unshare
from mesh_federation.native.pod import NodeAgent, PodLife
from mesh_federation.native.pod_network import Addresses
from mesh_federation.native.pod_spec import PodDescription, VolumeSource
from mesh_federation.native.variables import Content
from mesh_federation.native.volumes import IssueToken

SOURCES = {"configMap": "configmaps", "secret": "secrets"}
SHORTEST_TOKEN = 600
"""Seconds; the API server refuses less."""
THREAD_STACK = 512 * 1024


def main(path: str) -> None:
    """Run the agent until it is killed; its pods end with it.

    Args:
        path: of the document with its `AgentSettings`.
    """
    try:
        settings = document.read(AgentSettings, Path(path).read_text(encoding="utf-8"), path)
        images = document.read(ImageTable, Path(settings.images).read_text(encoding="utf-8"), settings.images)
    except (OSError, document.DocumentError) as error:
        sys.exit(f"the agent does not start: {error}")
    threading.stack_size(THREAD_STACK)
    _fresh_folder(Path(settings.folder))
    api = ApiClient(settings.api_server, client_context(settings.authority, settings.certificate, settings.key))
    events = EventRecorder(api, settings.node)
    shared = NodeAgent(
        settings, api, events, images, Addresses(settings.pod_subnet),
        lambda kind, namespace, name: _content(api, kind, namespace, name),
        lambda pod: _token_source(api, pod),
    )  # fmt: skip
    pods = _Pods(shared)
    server = KubeletServer((settings.node_address, settings.kubelet_port), _server_context(settings), pods.find)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 60}, daemon=True).start()
    node.register(api, settings)
    balancer = ServiceLoadBalancer(api, IPv4Network(settings.pool))
    threading.Thread(target=balancer.follow, daemon=True).start()
    for kind, collection in SOURCES.items():
        threading.Thread(target=pods.follow_sources, args=(kind, collection), daemon=True).start()
    pods.follow()


class _Pods:
    """The pods of this node, by their UID."""

    def __init__(self, shared: NodeAgent) -> None:
        self._shared = shared
        self._pods: dict[str, PodLife] = {}
        self._lock = threading.Lock()

    def find(self, namespace: str, name: str) -> PodLife | None:
        """Return the newest pod of a name."""
        with self._lock:
            found = [
                pod for pod in self._pods.values() if (pod.reference.namespace, pod.reference.name) == (namespace, name)
            ]
        return found[-1] if found else None

    def follow(self) -> None:
        """Start, update and end pods as the API server says, for ever."""
        selector = f"fieldSelector=spec.nodeName%3D{self._shared.settings.node}"
        for news in self._shared.api.follow("/api/v1/pods", selector):
            if isinstance(news, Listing):
                there = {item.child("metadata").text("uid") for item in news.items}
                for item in news.items:
                    self._see(item)
                for uid in self._pods.keys() - there:
                    self._remove(uid)
            elif news.deleted:
                self._remove(news.item.child("metadata").text("uid"))
            else:
                self._see(news.item)

    def follow_sources(self, kind: str, collection: str) -> None:
        """Tell pods which ConfigMaps or Secrets have changed, for ever. Only their names and versions are read."""
        versions: dict[tuple[str, str], str] = {}
        for news in self._shared.api.follow(f"/api/v1/{collection}", accept=METADATA):
            for item in news.items if isinstance(news, Listing) else (news.item,):
                metadata = item.child("metadata")
                key = (metadata.text("namespace"), metadata.text("name"))
                if versions.get(key) != metadata.text("resourceVersion"):
                    versions[key] = metadata.text("resourceVersion")
                    self._tell(kind, *key)

    def _tell(self, kind: str, namespace: str, name: str) -> None:
        with self._lock:
            pods = [pod for pod in self._pods.values() if pod.reference.namespace == namespace]
        for pod in pods:
            pod.source_changed(kind, name)

    def _see(self, item: ApiObject) -> None:
        uid = item.child("metadata").text("uid")
        with self._lock:
            pod = self._pods.get(uid)
            if pod is None:
                self._pods[uid] = PodLife(self._shared, item, lambda: self._drop(uid))
        if pod:
            pod.update(item)

    def _remove(self, uid: str) -> None:
        with self._lock:
            pod = self._pods.get(uid)
        if pod:
            pod.remove()

    def _drop(self, uid: str) -> None:
        with self._lock:
            self._pods.pop(uid, None)


def _fresh_folder(folder: Path) -> None:
    """Remove what an earlier agent left; its processes and networks ended with it. Secrets are in memory alone."""
    for name in ("pods", "memory"):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder / name)
        (folder / name).mkdir(parents=True, mode=0o700)
    unshare(NamespaceKind.MOUNT)
    make_private()
    mount("tmpfs", folder / "memory", "tmpfs", Mount.NO_SUID | Mount.NO_DEVICES, "mode=700")


def _server_context(settings: AgentSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certificate, settings.key)
    context.load_verify_locations(settings.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _content(api: ApiClient, kind: str, namespace: str, name: str) -> Content | None:
    """Read a ConfigMap or Secret; None if there is none. Raises ApiError, OSError."""
    try:
        found = api.get(f"/api/v1/namespaces/{namespace}/{SOURCES[kind]}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    texts = found.mapping("data")
    if kind == "secret":
        return {key: base64.b64decode(value) for key, value in texts.items()}
    binary: Mapping[str, bytes] = {key: base64.b64decode(value) for key, value in found.mapping("binaryData").items()}
    return {**{key: value.encode() for key, value in texts.items()}, **binary}


def _token_source(api: ApiClient, pod: PodDescription) -> IssueToken:
    """Return how tokens of a pod's service account are asked for."""

    def issue(source: VolumeSource) -> tuple[str, float]:
        seconds = max(source.seconds, SHORTEST_TOKEN)
        spec = {
            "audiences": [source.audience] if source.audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/serviceaccounts/{pod.service_account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return api.create(path, body).child("status").text("token"), float(seconds)

    return issue


if __name__ == "__main__":
    main(sys.argv[1])
