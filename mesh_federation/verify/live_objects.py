"""The objects of a cluster that a stack made, as its API server has them: all read by one kubectl.

It asks for each by its name, which needs no right to list, and reads no object of others.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mesh_federation.plan.objects import Body
from mesh_federation.verify.kubectl import EXEC_SECONDS, CachedKubectl

AT_ONCE = 100
"""Objects that one kubectl reads, one after the other, within its time limit."""
UNKNOWN_KIND = r'no matches for kind "([^"]+)" in version "([^"]+)"'
"""Pattern of what kubectl prints of a kind that the API server does not serve: none of its objects can exist."""


class ObjectIdentity(NamedTuple):
    """What tells the objects of a cluster apart."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "ObjectIdentity":
        """Return the identity of an object."""
        metadata = body["metadata"]
        return cls(body["apiVersion"], body["kind"], metadata.get("namespace") or "", metadata["name"])

    @property
    def request(self) -> Body:
        """A body by which kubectl finds the object."""
        metadata = {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}


def resource_version(body: Mapping[str, Any]) -> str:
    """Return the version of an object, which changes with it."""
    return str(body["metadata"]["resourceVersion"])


def live_objects(kubectl: CachedKubectl, wanted: Sequence[ObjectIdentity]) -> dict[ObjectIdentity, Body]:
    """Return those of the wanted objects that exist.

    Raises:
        Inconclusive: the cluster does not answer, or does not allow it.
    """
    parts = (wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE))
    return {ObjectIdentity.of(body): body for part in parts for body in _read(kubectl, part)}


def _read(kubectl: CachedKubectl, wanted: Sequence[ObjectIdentity]) -> Iterator[Body]:
    if not wanted:
        return
    words = ["get", "--filename=-", "--ignore-not-found", "--output=json"]
    done = kubectl.run(*words, stdin=_requests(wanted), seconds=EXEC_SECONDS)
    unknown = set(re.findall(UNKNOWN_KIND, done.stderr)) if done.returncode else set()
    known = [each for each in wanted if (each.kind, each.api_version) not in unknown]
    if len(known) < len(wanted):
        yield from _read(kubectl, known)
    elif done.returncode:
        raise kubectl.inconclusive("cannot read the objects of the stack", done.stderr)
    elif done.stdout.strip():
        found = json.loads(done.stdout)
        yield from found["items"] if found["kind"] == "List" else [found]


def _requests(wanted: Iterable[ObjectIdentity]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [each.request for each in wanted]})
