"""The life of one container of a pod: its starts, its probes and hooks, and its end."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.native import launch_plan
from mesh_federation.native.api_client import ApiError
from mesh_federation.native.container import ContainerExit, ContainerProcess, StartError
from mesh_federation.native.event_recorder import NORMAL, WARNING
from mesh_federation.native.image import ImageTable
from mesh_federation.native.launch_plan import PodPlace
from mesh_federation.native.log_file import ContainerLog
from mesh_federation.native.pod_network import PodNetwork
from mesh_federation.native.pod_spec import ContainerSpec, Handler, PodDescription, ProbeSpec
from mesh_federation.native.probes import ProbeFailure, ProbeKind, Prober, ProbeTarget, act
from mesh_federation.native.restart import RestartDelay, restarts
from mesh_federation.native.status import (
    COMPLETED,
    CREATING,
    FAILED,
    INITIALIZING,
    ContainerStatus,
    Running,
    Terminated,
    Waiting,
    now,
)
from mesh_federation.native.variables import SourceMissing

RETRY_SECONDS = 2.0
"""After which something that was missing, or a request that failed, is tried again."""
SHORTEST_GRACE = 2.0
"""Seconds between TERM and KILL that are left when a hook took all the time."""
START_FAILED = 128
LONGEST_MESSAGE, LOG_MESSAGE_LINES, LOG_MESSAGE = 4096, 80, 2048


@dataclass(frozen=True)
class WakeUp:
    """Something is due."""


@dataclass(frozen=True)
class ContainerEnded:
    """A container's process has ended.

    Attributes:
        container: whose.
        process: which of its processes.
        exit: how.
    """

    container: "ContainerLife"
    process: ContainerProcess
    exit: ContainerExit


@dataclass(frozen=True)
class ContainerProbed:
    """Enough answers of a container have decided something.

    Attributes:
        container: which.
        process: that was asked.
        kind: of the probe.
        success: what was decided.
    """

    container: "ContainerLife"
    process: ContainerProcess
    kind: ProbeKind
    success: bool


ContainerMessage = WakeUp | ContainerEnded | ContainerProbed


@dataclass(frozen=True)
class PodContext:
    """What the containers of a pod have of it.

    Attributes:
        spec: the pod, as its object describes it.
        name: of the pod, as events on its containers name it.
        folder: for everything that the agent writes of it.
        images: of this machine.
        post: hands a message to the pod's thread.
        event: writes an event, by kind, reason, message and name of the container.
    """

    spec: PodDescription
    name: str
    folder: Path
    images: ImageTable
    post: Callable[[ContainerMessage], None]
    event: Callable[[str, str, str, str], None]


class ContainerLife:
    """One container. It changes in the thread of its pod alone, to which its processes and probes send messages."""

    def __init__(self, spec: ContainerSpec, context: PodContext, reason: str, runs_before: int) -> None:
        """Begin with no process.

        Args:
            spec: the container.
            context: of its pod.
            reason: why it waits.
            runs_before: how often it was started under an earlier agent.
        """
        self.spec, self._context = spec, context
        self.state: Waiting | Running | Terminated = Waiting(reason)
        self.process: ContainerProcess | None = None
        self.previous_log: ContainerLog | None = None
        self.start_at: float | None = None
        self.started = False
        self._last: Terminated | None = None
        self._restarts = self._tried = runs_before
        self._ready = False
        self._delay = RestartDelay()
        self._began = 0.0
        self._stopping = False
        self._address = ""
        self._probers: list[Prober] = []

    @property
    def runs(self) -> bool:
        """Whether it has a process."""
        return isinstance(self.state, Running)

    @property
    def status(self) -> ContainerStatus:
        """What became of it so far."""
        process = self.process.pid if self.process else 0
        return ContainerStatus(self.spec, self.state, self._last, self._restarts, self.started, self._ready, process)

    def leave_initializing(self) -> None:
        """Wait for a process, and no longer for the pod's first containers."""
        if isinstance(self.state, Waiting) and self.state.reason == INITIALIZING:
            self.state = Waiting(CREATING)

    def start_if_due(self, policy: str, place: PodPlace, network: PodNetwork) -> None:
        """Start it unless it runs, is done, or has to wait.

        Args:
            policy: when it starts again.
            place: what it shares with others of its pod.
            network: of the pod.
        """
        if self.runs:
            return
        if isinstance(self.state, Terminated):
            if not restarts(policy, self.state.code):
                return
            self._schedule(self.state)
        if self.start_at is None or time.monotonic() >= self.start_at:
            self._start(place, network)

    def _schedule(self, ended: Terminated) -> None:
        """Decide when it starts again."""
        delay = self._delay.after(time.monotonic() - self._began)
        self._last, self.start_at = ended, time.monotonic() + delay
        if delay:
            name = f"container={self.spec.name} pod={self._context.name}"
            self.state = Waiting("CrashLoopBackOff", f"back-off {_duration(delay)} restarting failed {name}")
            self._event(WARNING, "BackOff", f"Back-off restarting failed {name}")

    def _start(self, place: PodPlace, network: PodNetwork) -> None:
        """Start a process, or report why that is not possible."""
        images = self._context.images
        image = images.find(self.spec.image)
        if image is None:
            known = ", ".join(sorted(images.images))
            self._fail("ErrImagePull", f'image "{self.spec.image}" is not on this machine, which has: {known}')
            return
        self.start_at = None
        number = self._tried
        try:
            self._message.parent.mkdir(exist_ok=True)
            self._message.write_bytes(b"")
            self._message.chmod(0o666)
            launch = launch_plan.plan_launch(self._context.spec, self.spec, image, place, self._message)
            log = ContainerLog(self._context.folder / "logs" / self.spec.name / f"{number}.log")
        except (SourceMissing, ApiError, OSError) as error:
            self._fail("CreateContainerConfigError", str(error))
            return
        self._restarts, self._tried = number, number + 1
        process = ContainerProcess(launch, network, log)
        if self.previous_log:
            self.previous_log.remove()
        self.previous_log = self.process.log if self.process else None
        self.process, self._began, self._stopping = process, time.monotonic(), False
        self._address = place.address
        started_at = now()
        try:
            process.start(lambda code: self._context.post(ContainerEnded(self, process, code)))
        except StartError as error:
            self._event(WARNING, "Failed", f'Error: failed to start container "{self.spec.name}": {error}')
            self.state = Terminated(START_FAILED, 0, "StartError", str(error), started_at, now())
            self._context.post(WakeUp())  # to decide when it is tried again
            return
        self.state = Running(started_at)
        self._event(NORMAL, "Started", f"Started container {self.spec.name}")
        self._begin_probes(process)

    def _fail(self, reason: str, message: str) -> None:
        if self.state != Waiting(reason, message):
            self._event(WARNING, "Failed", f"Error: {message}")
        self.state, self.start_at = Waiting(reason, message), time.monotonic() + RETRY_SECONDS

    def _begin_probes(self, process: ContainerProcess) -> None:
        """Run the first hook, and then ask the container whether it has started, and whether it is ready and alive."""
        if self.spec.post_start:
            failure = self._hook(process, self.spec.post_start, None)
            if failure:
                self._event(WARNING, "FailedPostStartHook", f"PostStartHook failed: {failure}")
                self.kill("FailedPostStartHook", self._context.spec.grace)
                return
        if self.spec.startup:
            self._probe(process, ProbeKind.STARTUP, self.spec.startup)
        else:
            self._has_started(process)

    def _has_started(self, process: ContainerProcess) -> None:
        self.started = True
        self._ready = self.spec.readiness is None
        for kind, spec in ((ProbeKind.READINESS, self.spec.readiness), (ProbeKind.LIVENESS, self.spec.liveness)):
            if spec:
                self._probe(process, kind, spec)

    def _probe(self, process: ContainerProcess, kind: ProbeKind, spec: ProbeSpec) -> None:
        prober = Prober(
            kind, spec, self._target(process),
            lambda success: self._context.post(ContainerProbed(self, process, kind, success)),
            lambda failure: self._event(WARNING, "Unhealthy", f"{kind} probe failed: {failure}"),
        )  # fmt: skip
        self._probers.append(prober)
        prober.start()

    def _target(self, process: ContainerProcess) -> ProbeTarget:
        return ProbeTarget(self._address, self.spec.ports, process.execute)

    def _hook(self, process: ContainerProcess, handler: Handler, timeout: float | None) -> str:
        """Carry out a hook; return why it failed, empty if it did not."""
        if handler.seconds:
            process.wait(handler.seconds if timeout is None else min(timeout, handler.seconds))
            return ""
        try:
            act(handler, self._target(process), timeout)
        except ProbeFailure as failure:
            return str(failure) or "no reason given"
        return ""

    def probed(self, message: ContainerProbed, pod_ends: bool) -> None:
        """Take what a probe has decided; a container of a pod that ends is not restarted by it."""
        process, kind = message.process, message.kind
        if process is not self.process or not self.runs:
            return
        if kind is ProbeKind.READINESS:
            self._ready = message.success
        elif message.success:
            if kind is ProbeKind.STARTUP:
                self._stop_all_probes()
                self._has_started(process)
        elif not pod_ends:
            spec = self.spec.startup if kind is ProbeKind.STARTUP else self.spec.liveness
            grace = self._context.spec.grace if spec is None or spec.grace is None else spec.grace
            self.kill(f"Container {self.spec.name} failed {kind.lower()} probe, will be restarted", grace)

    def kill(self, why: str, grace: float) -> None:
        """End it in a thread of its own: its last hook, TERM, and after the grace period KILL."""
        if self._stopping or self.process is None:
            return
        self._stopping = True
        self.stop_probes()
        self._event(NORMAL, "Killing", why)
        threading.Thread(target=self._stop, args=(self.process, grace), daemon=True).start()

    def _stop(self, process: ContainerProcess, grace: float) -> None:
        deadline = time.monotonic() + grace
        if self.spec.pre_stop and grace > 0:
            failure = self._hook(process, self.spec.pre_stop, grace)
            if failure and not process.has_ended():
                self._event(WARNING, "FailedPreStopHook", f"PreStopHook failed: {failure}")
            deadline = max(deadline, time.monotonic() + SHORTEST_GRACE)
        process.stop(max(0.0, deadline - time.monotonic()))

    def stop_probes(self) -> None:
        """Ask a container that is ending only whether it is ready, as kubelets do."""
        for prober in self._probers:
            if prober.kind is not ProbeKind.READINESS:
                prober.stop()

    def _stop_all_probes(self) -> None:
        for prober in self._probers:
            prober.stop()
        self._probers.clear()

    def ended(self, message: ContainerEnded, is_first: bool) -> None:
        """Take note of its end.

        Args:
            message: the end.
            is_first: it belongs to the pod's first containers; such a one is ready when it has succeeded.
        """
        if self.process is not message.process:
            return
        self._stop_all_probes()
        code = message.exit
        since = self.state.since if isinstance(self.state, Running) else now()
        reason = FAILED if code.code else COMPLETED
        self.state = Terminated(code.code, code.signal, reason, self._last_words(code), since, now())
        self.started, self._ready = False, is_first and not self.spec.sidecar and not code.code

    def _last_words(self, code: ContainerExit) -> str:
        """Return the message that it left at its end, if any."""
        with suppress(OSError):
            text = self._message.read_bytes()[:LONGEST_MESSAGE]
            if text:
                return text.decode(errors="replace")
        if self.spec.message_from_logs and code.code and self.process:
            return self.process.log.tail(LOG_MESSAGE_LINES, LOG_MESSAGE)
        return ""

    @property
    def _message(self) -> Path:
        """File for its last words."""
        return self._context.folder / "messages" / self.spec.name

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._context.event(kind, reason, message, self.spec.name)


def _duration(seconds: float) -> str:
    """Return a duration as Go writes it: `2m40s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
