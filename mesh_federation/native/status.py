"""The status of a pod as a kubelet reports it, from the states of its containers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mesh_federation.native.pod_spec import ContainerSpec
from mesh_federation.native.restart import restarts

COMPLETED, FAILED = "Completed", "Error"
REPLACE = {"$patch": "replace"}
"""In a list of a patch: the others replace what is there; an earlier agent gave the pod another address."""
CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"

Document = dict[str, object]


@dataclass(frozen=True)
class Waiting:
    """A container that does not run yet, or not again yet."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Running:
    """A container that runs, since a time."""

    since: str


@dataclass(frozen=True)
class Terminated:
    """A run of a container that is over."""

    code: int
    signal: int
    reason: str
    message: str
    since: str
    until: str


@dataclass(frozen=True)
class ContainerStatus:
    """A container as it is reported.

    Attributes:
        spec: what was asked for.
        state: what it does.
        last: its run before this one.
        restarts: how often it was started again.
        started: whether its startup probe and its first hook have succeeded.
        ready: whether it gets traffic.
        process: number of its process, 0 for none.
    """

    spec: ContainerSpec
    state: Waiting | Running | Terminated
    last: Terminated | None
    restarts: int
    started: bool
    ready: bool
    process: int

    @property
    def done(self) -> bool:
        """Say whether it has ended well."""
        return isinstance(self.state, Terminated) and self.state.code == 0


def now() -> str:
    """Return the time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def initialized(init: Sequence[ContainerStatus]) -> bool:
    """Say whether all init containers have done their part."""
    return all(status.started if status.spec.sidecar else status.done for status in init)


def phase(policy: str, init: Sequence[ContainerStatus], containers: Sequence[ContainerStatus]) -> str:
    """Return the phase of a pod.

    Args:
        policy: its restart policy.
        init: its init containers.
        containers: its other ones.
    """
    failed_init = [item.state for item in init if not item.spec.sidecar and isinstance(item.state, Terminated)]
    if policy == "Never" and any(state.code for state in failed_init):
        return "Failed"
    never_ran = any(isinstance(item.state, Waiting) and item.last is None for item in containers)
    if never_ran or not (
        initialized(init) or any(isinstance(item.state, (Running, Terminated)) for item in containers)
    ):
        return "Pending"
    ended = [item.state for item in containers if isinstance(item.state, Terminated)]
    if len(ended) < len(containers) or any(restarts(policy, state.code) for state in ended):
        return "Running"
    return "Failed" if any(state.code for state in ended) else "Succeeded"


OVER: Mapping[str, Mapping[str, str]] = {"Succeeded": {"reason": "PodCompleted"}, "Failed": {"reason": "PodFailed"}}
"""Why a pod that is over is not ready, by its phase.

Source: pkg/kubelet/status/generate.go of Kubernetes."""


@dataclass
class StatusReport:
    """Writes the status of one pod; it keeps when each condition last changed.

    Attributes:
        address: of the pod; empty while it has no network.
        node_address: of its node.
        started: when the agent saw it first.
    """

    address: str
    node_address: str
    started: str
    _changed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def document(self, phase: str, init: Sequence[ContainerStatus], containers: Sequence[ContainerStatus]) -> Document:
        """Return the status, with all that the agent decides about it."""
        unready = [item.spec.name for item in containers if not item.ready]
        incomplete = [item.spec.name for item in init if not (item.started if item.spec.sidecar else item.done)]
        sidecars = [item.spec.name for item in init if item.spec.sidecar and not item.ready]
        over = OVER.get(phase)
        succeeded = over if phase == "Succeeded" else None
        not_ready: Mapping[str, str] = over or {
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{' '.join(sidecars + unready)}]",
        }
        is_initialized = phase == "Succeeded" or not incomplete
        not_initialized = {
            "reason": "ContainersNotInitialized",
            "message": f"containers with incomplete status: [{' '.join(incomplete)}]",
        }
        ready = not over and not unready and not sidecars
        document: Document = {
            "phase": phase,
            "startTime": self.started,
            "hostIP": self.node_address,
            "hostIPs": [REPLACE, {"ip": self.node_address}],
            "conditions": [
                self._condition("PodReadyToStartContainers", bool(self.address) and not over),
                self._condition("Initialized", is_initialized, not_initialized if not is_initialized else succeeded),
                self._condition("ContainersReady", ready, {} if ready else not_ready),
                self._condition("Ready", ready, {} if ready else not_ready),
            ],
            "initContainerStatuses": [_container(item) for item in init],
            "containerStatuses": [_container(item) for item in containers],
        }
        if self.address:
            document |= {"podIP": self.address, "podIPs": [REPLACE, {"ip": self.address}]}
        return document

    def _condition(self, kind: str, holds: bool, why: Mapping[str, str] | None = None) -> Document:
        value = "True" if holds else "False"
        before, changed = self._changed.get(kind, ("", ""))
        if before != value:
            changed = now()
            self._changed[kind] = (value, changed)
        reason = {"reason": None, "message": None, **(why or {})}  # null takes away what an earlier status said
        return {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": changed, **reason}


def _container(status: ContainerStatus) -> Document:
    document: Document = {
        "name": status.spec.name,
        "image": status.spec.image,
        "imageID": status.spec.image if status.process else "",
        "ready": status.ready,
        "started": status.started,
        "restartCount": status.restarts,
        "state": _state(status.state),
        "lastState": _state(status.last) if status.last else {},
    }
    if status.process:
        document["containerID"] = f"process://{status.process}"
    return document


def _state(state: Waiting | Running | Terminated) -> Document:
    if isinstance(state, Waiting):
        return {"waiting": {"reason": state.reason, "message": state.message}}
    if isinstance(state, Running):
        return {"running": {"startedAt": state.since}}
    signal = {"signal": state.signal} if state.signal else {}
    return {
        "terminated": {
            "exitCode": state.code, "reason": state.reason, "message": state.message,
            "startedAt": state.since, "finishedAt": state.until, **signal,
        }
    }  # fmt: skip
