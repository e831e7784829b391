"""Events on pods, as kubelets write them."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from mesh_federation.native.api_client import ApiClient, ApiError
from mesh_federation.native.status import now

NORMAL, WARNING = "Normal", "Warning"
COMPONENT = "kubelet"
"""What people and tools look for."""
LONGEST_MESSAGE = 1000
REMEMBERED = 1000
"""Events that are counted up when they come again."""


@dataclass(frozen=True)
class PodReference:
    """The pod that an event is about, and which container."""

    namespace: str
    name: str
    uid: str
    container: str = ""


@dataclass(frozen=True)
class _Event:
    pod: PodReference
    kind: str
    reason: str
    message: str


class EventRecorder:
    """Writes events in a thread of its own, so that no pod waits for them; one that comes again is counted up."""

    def __init__(self, api: ApiClient, node: str) -> None:
        """Take the API server, and the node's name."""
        self._api, self._node = api, node
        self._events = SimpleQueue[_Event]()
        self._known: dict[_Event, tuple[str, int]] = {}
        threading.Thread(target=self._write, daemon=True).start()

    def record(self, pod: PodReference, kind: str, reason: str, message: str) -> None:
        """Record an event. The kind is `NORMAL` or `WARNING`."""
        self._events.put(_Event(pod, kind, reason, message[:LONGEST_MESSAGE]))

    def _write(self) -> None:
        while True:
            event = self._events.get()
            with suppress(ApiError, OSError):  # an event is never worth more than one attempt
                self._write_one(event)

    def _write_one(self, event: _Event) -> None:
        path = f"/api/v1/namespaces/{event.pod.namespace}/events"
        name, count = self._known.pop(event, ("", 0))
        if name:
            self._api.patch(f"{path}/{name}", {"count": count + 1, "lastTimestamp": now()})
        else:
            name = f"{event.pod.name}.{time.time_ns():x}"
            self._api.create(path, {**_body(event, self._node), "metadata": {"name": name}})
        self._known[event] = (name, count + 1)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]


def _body(event: _Event, node: str) -> Mapping[str, object]:
    container = {"fieldPath": f"spec.containers{{{event.pod.container}}}"} if event.pod.container else {}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": event.pod.namespace, "name": event.pod.name,
            "uid": event.pod.uid, **container,
        },
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": COMPONENT, "host": node},
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
    }  # fmt: skip
