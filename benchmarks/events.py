"""From the engine's events to phases: pure functions on what happened to which resource, and when.

The engine's own timestamps are whole seconds, so events are stamped as they arrive (benchmarks/follow.py).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

COMPONENT = "mesh-federation:index:"
PHASE_OF = {
    "Cluster": "clusters",
    "MetalLB": "MetalLB",
    "CertificateAuthority": "trust",
    "IstioInstall": "Istio",
    "Gateway": "gateways",
    "Export": "links",
    "Import": "links",
    "Sample": "workloads",
}
"""Which phase a resource belongs to, by the component that it is in.

The namespaces of the samples belong to none: they are made as soon as a cluster runs, long before the first workload.
"""

PHASES = tuple(dict.fromkeys(PHASE_OF.values()))
_BEGINS, _ENDS = "resourcePreEvent", "resOutputsEvent"


@dataclass(frozen=True)
class Event:
    """The beginning or the end of the engine's work on one resource.

    Attributes:
        at: seconds since the command was started.
        begins: whether it is the beginning.
        urn: of the resource.
    """

    at: float
    begins: bool
    urn: str


@dataclass(frozen=True)
class Span:
    """When a phase began and ended.

    Attributes:
        start: seconds since the command was started, of the first beginning of one of its resources.
        end: the same, of the last end.
    """

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasted. Phases overlap, so these do not add up to the whole."""
        return self.end - self.start


def read(line: str, at: float) -> Event | None:
    """Read one line of the engine's event log; None if it is about no resource.

    Args:
        line: JSON.
        at: when it arrived.
    """
    event = json.loads(line)
    for kind in (_BEGINS, _ENDS):
        if kind in event:
            return Event(at, kind == _BEGINS, event[kind]["metadata"]["urn"])
    return None


def types(urn: str) -> list[str]:
    """Return the type tokens of a resource's ancestors and, last, its own."""
    return urn.split("::")[2].split("$")


def phase_of(urn: str) -> str | None:
    """Return the phase of a resource; None for providers and for components, which end with the last in them."""
    *ancestors, own = types(urn)
    if own.startswith((COMPONENT, "pulumi:providers:")):
        return None
    components = [token.removeprefix(COMPONENT) for token in ancestors if token.startswith(COMPONENT)]
    return PHASE_OF.get(components[-1]) if components else None


def phases(events: Iterable[Event]) -> dict[str, Span]:
    """Return when each phase began and ended, in the order of PHASES; phases without an end are left out."""
    by_phase: dict[str, list[Event]] = {phase: [] for phase in PHASES}
    for event in events:
        if phase := phase_of(event.urn):
            by_phase[phase].append(event)
    return {
        phase: Span(min(event.at for event in own), max(event.at for event in own if not event.begins))
        for phase, own in by_phase.items()
        if any(not event.begins for event in own)
    }


def kubernetes_objects(events: Iterable[Event]) -> list[str]:
    """Return the URNs of all objects of the Kubernetes API that the engine worked on, sorted."""
    return sorted({event.urn for event in events if types(event.urn)[-1].startswith("kubernetes:")})
