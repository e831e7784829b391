"""The life of one pod on this node: its network and volumes, the order of its containers, its status, and its end."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from mesh_federation.native import launch_plan
from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.api_client import STRATEGIC_MERGE, ApiClient, ApiError
from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.container import ContainerProcess
from mesh_federation.native.container_life import (
    RETRY_SECONDS,
    ContainerEnded,
    ContainerLife,
    ContainerMessage,
    ContainerProbed,
    PodContext,
)
from mesh_federation.native.event_recorder import WARNING, EventRecorder, PodReference
from mesh_federation.native.image import ImageTable
from mesh_federation.native.launch_plan import PodPlace
from mesh_federation.native.log_file import ContainerLog
from mesh_federation.native.pod_network import Addresses, NetworkError, PodNetwork, connect
from mesh_federation.native.pod_reader import PodRefused, read_pod
from mesh_federation.native.pod_spec import ContainerSpec, PodDescription
from mesh_federation.native.status import CREATING, INITIALIZING, Document, StatusReport, now, phase
from mesh_federation.native.variables import Content, Downward, SourceMissing
from mesh_federation.native.volumes import IssueToken, PodVolumes

REFUSED = "NotSupported"
NOT_FOUND, CONFLICT = 404, 409
OVER = ("Succeeded", "Failed")
FIRST_RETRY_SECONDS = 0.5
"""Seconds until volumes whose source is missing are tried again, as with kubelets; doubled each time."""


@dataclass(frozen=True)
class NodeAgent:
    """What the pods of a node share.

    Attributes:
        settings: of the agent.
        api: the API server.
        events: writes events.
        images: of this machine.
        addresses: for pods.
        read: reads a ConfigMap or Secret by kind, namespace and name.
        issue: returns how tokens of a pod are asked for.
    """

    settings: AgentSettings
    api: ApiClient
    events: EventRecorder
    images: ImageTable
    addresses: Addresses
    read: Callable[[str, str, str], Content | None]
    issue: Callable[[PodDescription], IssueToken]

    @property
    def folder(self) -> Path:
        """Return the folder for everything that the agent writes."""
        return Path(self.settings.folder)


@dataclass(frozen=True)
class _Updated:
    pod: ApiObject


@dataclass(frozen=True)
class _Removed:
    """The API server has the pod no longer."""


@dataclass(frozen=True)
class _SourceChanged:
    kind: str
    name: str


_Message = ContainerMessage | _Updated | _Removed | _SourceChanged


class PodLife:
    """One pod. All that happens to it is a message, and its thread acts on one message at a time."""

    def __init__(self, node: NodeAgent, pod: ApiObject, gone: Callable[[], None]) -> None:
        """Take the pod as the API server has it.

        Args:
            node: what it shares with others.
            pod: the object.
            gone: called when nothing of it is left on this node.
        """
        self._node, self._gone = node, gone
        self.object = pod
        metadata = pod.child("metadata")
        self.reference = PodReference(metadata.text("namespace"), metadata.text("name"), metadata.text("uid"))
        self._path = f"/api/v1/namespaces/{self.reference.namespace}/pods/{self.reference.name}"
        self._folder = node.folder / "pods" / self.reference.uid
        self._inbox = SimpleQueue[_Message]()
        self._removed = False
        self._sent: Document | None = None
        self._init: list[ContainerLife] = []
        self._main: list[ContainerLife] = []
        self._network: PodNetwork | None = None
        self._report = StatusReport("", node.settings.node_address, now())
        threading.Thread(target=self._live, daemon=True).start()

    def update(self, pod: ApiObject) -> None:
        """Tell the pod that its object has changed."""
        self._inbox.put(_Updated(pod))

    def remove(self) -> None:
        """Tell the pod that the API server has it no longer."""
        self._inbox.put(_Removed())

    def source_changed(self, kind: str, name: str) -> None:
        """Tell the pod that a ConfigMap or Secret of its namespace has changed."""
        self._inbox.put(_SourceChanged(kind, name))

    def running(self, container: str) -> ContainerProcess | None:
        """Return the process of a container that runs; of the first one if the name is empty."""
        for each in [*self._main, *self._init]:
            if container in ("", each.spec.name) and each.runs:
                return each.process
        return None

    def log(self, container: str, previous: bool) -> ContainerLog | None:
        """Return the output of a container, or of its run before that."""
        for each in [*self._init, *self._main]:
            if each.spec.name == container:
                return each.previous_log if previous else each.process.log if each.process else None
        return None

    @property
    def network(self) -> PodNetwork | None:
        """Return the pod's network, if it has one."""
        return self._network

    # From here on everything runs in the pod's thread.

    def _live(self) -> None:
        try:
            self._spec = read_pod(self.object)
        except PodRefused as refused:
            self._refuse(str(refused))
        else:
            if self.object.child("status").text("phase") in OVER:  # under an earlier agent
                self._wait_for_deletion()
            else:
                self._init = self._containers("initContainerStatuses", self._spec.init_containers, INITIALIZING)
                reason = INITIALIZING if self._init else CREATING
                self._main = self._containers("containerStatuses", self._spec.containers, reason)
                if self._prepare():
                    self._run()
                self._end()
        self._forget()

    def _refuse(self, why: str) -> None:
        """Report that the pod cannot run here, and wait until somebody deletes it."""
        self._event(WARNING, REFUSED, why)
        names = ("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")
        statuses = {
            key: [
                {"name": item.text("name"), "image": item.text("image"), "imageID": "", "ready": False,
                 "restartCount": 0, "state": {"waiting": {"reason": REFUSED, "message": why}}}
                for item in self.object.child("spec").children(name)
            ]
            for name, key in names
        }  # fmt: skip
        conditions = [{"type": kind, "status": "False", "reason": REFUSED, "message": why, "lastTransitionTime": now()}
                      for kind in ("Initialized", "ContainersReady", "Ready")]  # fmt: skip
        self._send(
            {"phase": "Pending", "hostIP": self._node.settings.node_address, "conditions": conditions, **statuses}
        )
        self._wait_for_deletion()

    def _wait_for_deletion(self) -> None:
        while not self._ends:
            self._handle(self._inbox.get())

    def _containers(self, statuses: str, specs: Sequence[ContainerSpec], reason: str) -> list[ContainerLife]:
        """Begin with no process; those that ran under an earlier agent are counted as started before."""
        known = {item.text("name"): item for item in self.object.child("status").children(statuses)}
        ran = {name: each.number("restartCount") + 1 for name, each in known.items() if "containerID" in each}
        pod = self.reference
        name = f"{pod.name}_{pod.namespace}({pod.uid})"
        context = PodContext(self._spec, name, self._folder, self._node.images, self._inbox.put, self._event)
        return [ContainerLife(spec, context, reason, ran.get(spec.name, 0)) for spec in specs]

    def _prepare(self) -> bool:
        """Make the network and the volumes; say whether the pod is still wanted then."""
        pause = FIRST_RETRY_SECONDS
        while not self._ends:
            try:
                self._connect()
                self._publish()
                self._volumes.refresh(self._downward)
                return not self._ends
            except NetworkError as error:
                self._event(WARNING, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            except (SourceMissing, ApiError, OSError) as error:
                self._event(WARNING, "FailedMount", f"the volumes cannot be made: {error}")
            self._wait(pause)
            pause = min(2 * pause, RETRY_SECONDS)
        return False

    def _connect(self) -> None:
        if self._network:
            return
        spec, node = self._spec, self._node
        address = node.addresses.take()
        try:
            self._network = connect(address, node.addresses.node, spec.uid, spec.hostname, spec.sysctls)
        except NetworkError:
            node.addresses.give_back(address)
            raise
        self._report.address = address
        self._volumes = PodVolumes(
            spec, self._folder / "volumes", node.folder / "memory" / spec.uid, self._lookup, node.issue(spec)
        )
        scratch = self._folder / "root"
        scratch.mkdir(parents=True, exist_ok=True)
        self._place = PodPlace(
            address,
            node.settings.api_address,
            self._folder / "etc",
            scratch,
            self._volumes,
            self._lookup,
            self._downward,
        )
        launch_plan.write_etc(spec, self._place, node.settings.dns, node.settings.cluster_domain)

    @property
    def _downward(self) -> Downward:
        settings = self._node.settings
        return Downward(self.object, self._spec, self._report.address, settings.node, settings.node_address)

    def _lookup(self, kind: str, name: str) -> Content | None:
        return self._node.read(kind, self.reference.namespace, name)

    def _run(self) -> None:
        """Act on messages until the pod is deleted; one whose containers are done waits for that."""
        while not self._ends:
            if not self._over:
                self._advance()
            self._publish()
            if self._over:
                self._stop_sidecars()
                self._publish()
            self._wait(self._seconds_to_next())

    @property
    def _ends(self) -> bool:
        return self._removed or "deletionTimestamp" in self.object.child("metadata")

    @property
    def _over(self) -> bool:
        return self._phase() in OVER

    def _phase(self) -> str:
        init, main = ([each.status for each in group] for group in (self._init, self._main))
        return phase(self._spec.restart_policy, init, main)

    def _advance(self) -> None:
        """Start what is due: init containers one after the other, then all others."""
        for first in self._init:
            if first.status.done and not first.spec.sidecar:
                continue
            self._start_if_due(first, "Always" if first.spec.sidecar else self._init_policy)
            if not (first.spec.sidecar and first.started):
                return
        for each in self._main:
            each.leave_initializing()
        for each in self._main:
            self._start_if_due(each, self._spec.restart_policy)

    @property
    def _init_policy(self) -> str:
        return "Never" if self._spec.restart_policy == "Never" else "OnFailure"

    def _start_if_due(self, container: ContainerLife, policy: str) -> None:
        assert self._network
        if not self._ends:
            container.start_if_due(policy, replace(self._place, downward=self._downward), self._network)

    def _wait(self, seconds: float | None) -> None:
        """Wait for a message, for so many seconds at most, and act on it and on all others that are there."""
        with suppress(Empty):
            self._handle(self._inbox.get(timeout=seconds))
            while True:
                self._handle(self._inbox.get_nowait())

    def _handle(self, message: _Message) -> None:
        if isinstance(message, _Updated):
            old, self.object = self.object, message.pod
            if self._network and _metadata(old) != _metadata(message.pod):
                self._refresh()
        elif isinstance(message, _Removed):
            self._removed = True
        elif isinstance(message, _SourceChanged):
            if self._network and self._volumes.uses(message.kind, message.name):
                self._refresh()
        elif isinstance(message, ContainerEnded):
            message.container.ended(message, message.container in self._init)
        elif isinstance(message, ContainerProbed):
            message.container.probed(message, self._ends)

    def _refresh(self) -> None:
        """Bring the files of volumes up to date; where a source is gone, they stay as they are, as with kubelets."""
        try:
            self._volumes.refresh(self._downward)
        except SourceMissing:
            return
        except (ApiError, OSError) as error:
            self._event(WARNING, "FailedMount", f"the volumes cannot be brought up to date: {error}")

    def _seconds_to_next(self) -> float | None:
        """Return the seconds until something is due without a message; None if nothing is."""
        if self._over:
            return None if self._sent else RETRY_SECONDS
        times = [each.start_at for each in [*self._init, *self._main] if each.start_at and not each.runs]
        renewal = self._volumes.renewal()
        if renewal is not None and renewal <= time.monotonic():
            self._refresh()
            renewal = max(self._volumes.renewal() or 0.0, time.monotonic() + RETRY_SECONDS)
        times += [] if renewal is None else [renewal]
        times += [] if self._sent else [time.monotonic() + RETRY_SECONDS]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _end(self) -> None:
        """End all containers within the pod's grace period: others first, then sidecars, the last one first."""
        sidecars = [each for each in self._init if each.spec.sidecar]
        others = [*self._main, *(each for each in self._init if not each.spec.sidecar)]
        begun = time.monotonic()
        for group in (others, *([each] for each in reversed(sidecars))):
            self._end_all(group, lambda: max(0.0, self._grace() - (time.monotonic() - begun)))
        self._publish()

    def _stop_sidecars(self) -> None:
        for sidecar in reversed([each for each in self._init if each.spec.sidecar]):
            self._end_all([sidecar], lambda: float(self._spec.grace))

    def _end_all(self, containers: Sequence[ContainerLife], grace: Callable[[], float]) -> None:
        """End containers side by side and wait until they have ended."""
        for each in containers:
            each.stop_probes()
            if each.runs:
                each.kill(f"Stopping container {each.spec.name}", grace())
        while any(each.runs for each in containers):
            self._wait(None)
            for each in containers:
                if self._removed and each.runs and each.process:  # deleted by force
                    each.process.stop(0)
            self._publish()

    def _grace(self) -> float:
        """Return the seconds that the pod has to end."""
        if self._removed:
            return 0.0
        return float(self.object.child("metadata").number("deletionGracePeriodSeconds", self._spec.grace))

    def _forget(self) -> None:
        """Remove everything of the pod from this node, and from the API server."""
        if self._network:
            self._network.close()
            self._volumes.remove()
            self._node.addresses.give_back(self._report.address)
        shutil.rmtree(self._folder, ignore_errors=True)
        while not self._removed:
            try:
                self._node.api.delete(
                    self._path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.reference.uid}}
                )
                break
            except ApiError as error:
                if error.status in (NOT_FOUND, CONFLICT):
                    break
            except OSError:
                pass
            self._wait(RETRY_SECONDS)
        self._gone()

    def _publish(self) -> None:
        """Send the pod's status if it is another than before."""
        init, main = ([each.status for each in group] for group in (self._init, self._main))
        result = phase(self._spec.restart_policy, init, main)
        if result in OVER and any(each.runs for each in self._init):
            result = "Running"  # until its sidecars have ended
        document = self._report.document(result, init, main)
        if document != self._sent:
            self._send(document)

    def _send(self, document: Document) -> None:
        if self._removed:
            return
        body = {"metadata": {"uid": self.reference.uid}, "status": document}
        try:
            self._node.api.patch(f"{self._path}/status", body, STRATEGIC_MERGE)
            self._sent = document
        except (ApiError, OSError) as error:  # tried again, unless the pod is gone
            self._sent = None
            if not (isinstance(error, ApiError) and error.status in (NOT_FOUND, CONFLICT)):
                print(f"the status of {self._path} cannot be written: {error}", file=sys.stderr)

    def _event(self, kind: str, reason: str, message: str, container: str = "") -> None:
        self._node.events.record(replace(self.reference, container=container), kind, reason, message)


def _metadata(pod: ApiObject) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what of a pod may change and is shown in its volumes."""
    metadata = pod.child("metadata")
    return metadata.mapping("labels"), metadata.mapping("annotations")
