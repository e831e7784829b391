"""What the engine says that it did, in the order in which it did it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGUN, ENDED, FAILED = "resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"


@dataclass(frozen=True)
class Event:
    """One step of the engine.

    Attributes:
        kind: begun, ended or failed.
        operation: in the engine's words: same, create, update, create-replacement, delete-replaced and so on.
        urn: the resource.
        type: the resource's type token.
    """

    kind: str
    operation: str
    urn: str
    type: str

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.urn.rpartition("::")[2]


def read(log: Path) -> list[Event]:
    """Read an event log; steps that changed nothing are left out."""
    events = []
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        for kind in (BEGUN, ENDED, FAILED):
            if kind in event:
                step = event[kind]["metadata"]
                events.append(Event(kind, step["op"], step["urn"], step["type"]))
    return [event for event in events if event.operation not in ("same", "refresh", "read")]


def changed(events: Sequence[Event]) -> dict[str, set[str]]:
    """Names of the resources that were changed, by operation."""
    found: dict[str, set[str]] = {}
    for event in events:
        if event.kind == ENDED:
            found.setdefault(event.operation, set()).add(event.name)
    return found


def position(events: Sequence[Event], kind: str, operation: str, name: str) -> int:
    """When a step was taken; the last one, where several objects have the name."""
    return max(
        index
        for index, event in enumerate(events)
        if (event.kind, event.operation, event.name) == (kind, operation, name)
    )
