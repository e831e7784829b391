"""The life of one pod on this node: its network and volumes, its containers in order, their restarts, and its end."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from mesh_federation.native import launch_plan
from mesh_federation.native.agent_settings import AgentSettings
from mesh_federation.native.api_client import STRATEGIC_MERGE, ApiClient, ApiError
from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.container import ContainerExit, ContainerProcess, StartError
from mesh_federation.native.event_recorder import NORMAL, WARNING, EventRecorder, PodReference
from mesh_federation.native.image import ImageTable
from mesh_federation.native.launch_plan import PodPlace
from mesh_federation.native.log_file import ContainerLog
from mesh_federation.native.pod_network import Addresses, NetworkError, PodNetwork, connect
from mesh_federation.native.pod_reader import PodRefused, read_pod
from mesh_federation.native.pod_spec import ContainerSpec, Handler, PodDescription, ProbeSpec
from mesh_federation.native.probes import ProbeFailure, ProbeKind, Prober, ProbeTarget, act
from mesh_federation.native.restart import RestartDelay, restarts
from mesh_federation.native.status import (
    COMPLETED,
    CREATING,
    FAILED,
    INITIALIZING,
    ContainerStatus,
    Document,
    Running,
    StatusReport,
    Terminated,
    Waiting,
    now,
    phase,
)
from mesh_federation.native.variables import Content, Downward, SourceMissing
from mesh_federation.native.volumes import IssueToken, PodVolumes

RETRY_SECONDS = 2.0
"""After which something that was missing, or a request that failed, is tried again."""
SHORTEST_GRACE = 2.0
"""Seconds between TERM and KILL that are left when a hook took all the time."""
START_FAILED = 128
LONGEST_MESSAGE, LOG_MESSAGE_LINES, LOG_MESSAGE = 4096, 80, 2048
REFUSED = "NotSupported"
NOT_FOUND, CONFLICT = 404, 409
OVER = ("Succeeded", "Failed")


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


@dataclass(frozen=True)
class _Ended:
    record: "_Record"
    process: ContainerProcess
    exit: ContainerExit


@dataclass(frozen=True)
class _Probed:
    record: "_Record"
    process: ContainerProcess
    kind: ProbeKind
    success: bool


@dataclass(frozen=True)
class _WakeUp:
    """Something is due."""


_Message = _WakeUp | _Updated | _Removed | _SourceChanged | _Ended | _Probed


@dataclass(eq=False)
class _Record:
    """A container and what became of it so far."""

    spec: ContainerSpec
    state: Waiting | Running | Terminated = field(default_factory=lambda: Waiting(INITIALIZING))
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False
    ready: bool = False
    process: ContainerProcess | None = None
    previous_log: ContainerLog | None = None
    delay: RestartDelay = field(default_factory=RestartDelay)
    start_at: float | None = None
    began: float = 0.0
    tried: int = 0
    stopping: bool = False
    probers: list[Prober] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return isinstance(self.state, Running)

    def status(self) -> ContainerStatus:
        process = self.process.pid if self.process else 0
        return ContainerStatus(self.spec, self.state, self.last, self.restarts, self.started, self.ready, process)


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
        self._init: list[_Record] = []
        self._main: list[_Record] = []
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
        for record in [*self._main, *self._init]:
            if container in ("", record.spec.name) and record.runs:
                return record.process
        return None

    def log(self, container: str, previous: bool) -> ContainerLog | None:
        """Return the output of a container, or of its run before that."""
        for record in [*self._init, *self._main]:
            if record.spec.name == container:
                return record.previous_log if previous else record.process.log if record.process else None
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
                self._init = self._records("initContainerStatuses", self._spec.init_containers, INITIALIZING)
                reason = INITIALIZING if self._init else CREATING
                self._main = self._records("containerStatuses", self._spec.containers, reason)
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

    def _records(self, statuses: str, specs: Sequence[ContainerSpec], reason: str) -> list[_Record]:
        """Begin with no container; those that ran under an earlier agent are counted as started before."""
        known = {item.text("name"): item for item in self.object.child("status").children(statuses)}
        records = [_Record(spec, Waiting(reason)) for spec in specs]
        for record in records:
            before = known.get(record.spec.name)
            if before and "containerID" in before:
                record.tried = record.restarts = before.number("restartCount") + 1
        return records

    def _prepare(self) -> bool:
        """Make the network and the volumes; say whether the pod is still wanted then."""
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
            self._wait(RETRY_SECONDS)
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
        launch_plan.write_etc(spec, self._place, node.settings.dns)

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
        init, main = ([record.status() for record in records] for records in (self._init, self._main))
        return phase(self._spec.restart_policy, init, main)

    def _advance(self) -> None:
        """Start what is due: init containers one after the other, then all others."""
        for record in self._init:
            if record.status().done and not record.spec.sidecar:
                continue
            self._start_if_due(record, "Always" if record.spec.sidecar else self._init_policy)
            if not (record.spec.sidecar and record.started):
                return
        for record in self._main:
            if isinstance(record.state, Waiting) and record.state.reason == INITIALIZING:
                record.state = Waiting(CREATING)
        for record in self._main:
            self._start_if_due(record, self._spec.restart_policy)

    @property
    def _init_policy(self) -> str:
        return "Never" if self._spec.restart_policy == "Never" else "OnFailure"

    def _start_if_due(self, record: _Record, policy: str) -> None:
        if record.runs or self._ends:
            return
        if isinstance(record.state, Terminated):
            if not restarts(policy, record.state.code):
                return
            self._schedule(record, record.state)
        if record.start_at is None or time.monotonic() >= record.start_at:
            self._start(record)

    def _schedule(self, record: _Record, ended: Terminated) -> None:
        """Decide when a container that has ended starts again."""
        delay = record.delay.after(time.monotonic() - record.began)
        record.last, record.start_at = ended, time.monotonic() + delay
        if delay:
            pod = self.reference
            name = f"container={record.spec.name} pod={pod.name}_{pod.namespace}({pod.uid})"
            record.state = Waiting("CrashLoopBackOff", f"back-off {_duration(delay)} restarting failed {name}")
            self._event(WARNING, "BackOff", f"Back-off restarting failed {name}", record)

    def _start(self, record: _Record) -> None:
        """Start a container, or report why that is not possible."""
        image = self._node.images.find(record.spec.image)
        if image is None:
            known = ", ".join(sorted(self._node.images.images))
            self._fail_start(
                record, "ErrImagePull", f'image "{record.spec.image}" is not on this machine, which has: {known}'
            )
            return
        record.start_at = None
        number = record.tried
        try:
            message = self._folder / "messages" / record.spec.name
            message.parent.mkdir(exist_ok=True)
            message.write_bytes(b"")
            message.chmod(0o666)
            place = replace(self._place, downward=self._downward)
            launch = launch_plan.plan_launch(self._spec, record.spec, image, place, message)
            log = ContainerLog(self._logs / record.spec.name / f"{number}.log")
        except (SourceMissing, ApiError, OSError) as error:
            self._fail_start(record, "CreateContainerConfigError", str(error))
            return
        record.restarts, record.tried = number, number + 1
        assert self._network
        process = ContainerProcess(launch, self._network, log)
        if record.previous_log:
            record.previous_log.remove()
        record.previous_log = record.process.log if record.process else None
        record.process, record.began, record.stopping = process, time.monotonic(), False
        started_at = now()
        try:
            process.start(lambda code: self._inbox.put(_Ended(record, process, code)))
        except StartError as error:
            self._event(WARNING, "Failed", f'Error: failed to start container "{record.spec.name}": {error}', record)
            record.state = Terminated(START_FAILED, 0, "StartError", str(error), started_at, now())
            self._inbox.put(_WakeUp())  # to decide when it is tried again
            return
        record.state = Running(started_at)
        self._event(NORMAL, "Started", f"Started container {record.spec.name}", record)
        self._begin_probes(record, process)

    def _fail_start(self, record: _Record, reason: str, message: str) -> None:
        if record.state != Waiting(reason, message):
            self._event(WARNING, "Failed", f"Error: {message}", record)
        record.state, record.start_at = Waiting(reason, message), time.monotonic() + RETRY_SECONDS

    def _begin_probes(self, record: _Record, process: ContainerProcess) -> None:
        """Run the first hook, and then ask the container whether it has started, and whether it is ready and alive."""
        if record.spec.post_start:
            failure = self._hook(record, process, record.spec.post_start, None)
            if failure:
                self._event(WARNING, "FailedPostStartHook", f"PostStartHook failed: {failure}", record)
                self._kill(record, process, "FailedPostStartHook", self._spec.grace)
                return
        if record.spec.startup:
            self._probe(record, process, ProbeKind.STARTUP, record.spec.startup)
        else:
            self._has_started(record, process)

    def _has_started(self, record: _Record, process: ContainerProcess) -> None:
        record.started = True
        record.ready = record.spec.readiness is None
        for kind, spec in ((ProbeKind.READINESS, record.spec.readiness), (ProbeKind.LIVENESS, record.spec.liveness)):
            if spec:
                self._probe(record, process, kind, spec)

    def _probe(self, record: _Record, process: ContainerProcess, kind: ProbeKind, spec: ProbeSpec) -> None:
        prober = Prober(
            kind, spec, self._target(record, process),
            lambda success: self._inbox.put(_Probed(record, process, kind, success)),
            lambda failure: self._event(WARNING, "Unhealthy", f"{kind} probe failed: {failure}", record),
        )  # fmt: skip
        record.probers.append(prober)
        prober.start()

    def _target(self, record: _Record, process: ContainerProcess) -> ProbeTarget:
        return ProbeTarget(self._report.address, record.spec.ports, process.execute)

    def _hook(self, record: _Record, process: ContainerProcess, handler: Handler, timeout: float | None) -> str:
        """Carry out a hook; return why it failed, empty if it did not."""
        if handler.seconds:
            process.wait(handler.seconds if timeout is None else min(timeout, handler.seconds))
            return ""
        try:
            act(handler, self._target(record, process), timeout)
        except ProbeFailure as failure:
            return str(failure) or "no reason given"
        return ""

    def _kill(self, record: _Record, process: ContainerProcess, why: str, grace: float) -> None:
        """End a container in a thread of its own: its last hook, TERM, and after the grace period KILL."""
        if record.stopping:
            return
        record.stopping = True
        _stop_probes(record)
        self._event(NORMAL, "Killing", why, record)
        threading.Thread(target=self._stop, args=(record, process, grace), daemon=True).start()

    def _stop(self, record: _Record, process: ContainerProcess, grace: float) -> None:
        deadline = time.monotonic() + grace
        if record.spec.pre_stop and grace > 0:
            failure = self._hook(record, process, record.spec.pre_stop, grace)
            if failure and not process.has_ended():
                self._event(WARNING, "FailedPreStopHook", f"PreStopHook failed: {failure}", record)
            deadline = max(deadline, time.monotonic() + SHORTEST_GRACE)
        process.stop(max(0.0, deadline - time.monotonic()))

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
        elif isinstance(message, _Ended):
            self._ended(message)
        elif isinstance(message, _Probed) and message.record.process is message.process and message.record.runs:
            self._probed(message)

    def _refresh(self) -> None:
        """Bring the files of volumes up to date; where a source is gone, they stay as they are, as with kubelets."""
        try:
            self._volumes.refresh(self._downward)
        except SourceMissing:
            return
        except (ApiError, OSError) as error:
            self._event(WARNING, "FailedMount", f"the volumes cannot be brought up to date: {error}")

    def _ended(self, message: _Ended) -> None:
        record, code = message.record, message.exit
        if record.process is not message.process:
            return
        for prober in record.probers:
            prober.stop()
        record.probers.clear()
        since = record.state.since if isinstance(record.state, Running) else now()
        reason = FAILED if code.code else COMPLETED
        record.state = Terminated(code.code, code.signal, reason, self._last_words(record, code), since, now())
        record.started, record.ready = False, record in self._init and not record.spec.sidecar and not code.code

    def _last_words(self, record: _Record, code: ContainerExit) -> str:
        """Return the message that a container left at its end, if any."""
        with suppress(OSError):
            text = (self._folder / "messages" / record.spec.name).read_bytes()[:LONGEST_MESSAGE]
            if text:
                return text.decode(errors="replace")
        if record.spec.message_from_logs and code.code and record.process:
            return record.process.log.tail(LOG_MESSAGE_LINES, LOG_MESSAGE)
        return ""

    def _probed(self, message: _Probed) -> None:
        record, process, kind = message.record, message.process, message.kind
        if kind is ProbeKind.READINESS:
            record.ready = message.success
        elif message.success:
            if kind is ProbeKind.STARTUP:
                for prober in record.probers:
                    prober.stop()
                record.probers.clear()
                self._has_started(record, process)
        elif not self._ends:
            spec = record.spec.startup if kind is ProbeKind.STARTUP else record.spec.liveness
            grace = self._spec.grace if spec is None or spec.grace is None else spec.grace
            why = f"Container {record.spec.name} failed {kind.lower()} probe, will be restarted"
            self._kill(record, process, why, grace)

    def _seconds_to_next(self) -> float | None:
        """Return the seconds until something is due without a message; None if nothing is."""
        if self._over:
            return None if self._sent else RETRY_SECONDS
        times = [record.start_at for record in [*self._init, *self._main] if record.start_at and not record.runs]
        renewal = self._volumes.renewal()
        if renewal is not None and renewal <= time.monotonic():
            self._refresh()
            renewal = max(self._volumes.renewal() or 0.0, time.monotonic() + RETRY_SECONDS)
        times += [] if renewal is None else [renewal]
        times += [] if self._sent else [time.monotonic() + RETRY_SECONDS]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _end(self) -> None:
        """End all containers within the pod's grace period: others first, then sidecars, the last one first."""
        sidecars = [record for record in self._init if record.spec.sidecar]
        others = [*self._main, *(record for record in self._init if not record.spec.sidecar)]
        begun = time.monotonic()
        for group in (others, *([record] for record in reversed(sidecars))):
            self._end_all(group, lambda: max(0.0, self._grace() - (time.monotonic() - begun)))
        self._publish()

    def _stop_sidecars(self) -> None:
        for record in reversed([record for record in self._init if record.spec.sidecar]):
            self._end_all([record], lambda: float(self._spec.grace))

    def _end_all(self, records: Sequence[_Record], grace: Callable[[], float]) -> None:
        """End containers side by side and wait until they have ended."""
        for record in records:
            _stop_probes(record)
            if record.runs and record.process:
                self._kill(record, record.process, f"Stopping container {record.spec.name}", grace())
        while any(record.runs for record in records):
            self._wait(None)
            for record in records:
                if self._removed and record.runs and record.process:  # deleted by force
                    record.process.stop(0)
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

    @property
    def _logs(self) -> Path:
        return self._folder / "logs"

    def _publish(self) -> None:
        """Send the pod's status if it is another than before."""
        init, main = ([record.status() for record in records] for records in (self._init, self._main))
        result = phase(self._spec.restart_policy, init, main)
        if result in OVER and any(record.runs for record in self._init):
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

    def _event(self, kind: str, reason: str, message: str, record: _Record | None = None) -> None:
        reference = self.reference
        if record:
            reference = PodReference(reference.namespace, reference.name, reference.uid, record.spec.name)
        self._node.events.record(reference, kind, reason, message)


def _stop_probes(record: _Record) -> None:
    """Ask a container that is ending only whether it is ready, as kubelets do."""
    for prober in record.probers:
        if prober.kind is not ProbeKind.READINESS:
            prober.stop()


def _metadata(pod: ApiObject) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what of a pod may change and is shown in its volumes."""
    metadata = pod.child("metadata")
    return metadata.mapping("labels"), metadata.mapping("annotations")


def _duration(seconds: float) -> str:
    """Return a duration as Go writes it: `2m40s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
