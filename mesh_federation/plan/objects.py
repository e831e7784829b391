"""What exists in a cluster: each Kubernetes object once, with what it waits for and what is filled in later.

Components turn planned objects into resources; the ownership check, golden files and tests read the same list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from mesh_federation.stack.config import NamespacedName

Body = dict[str, object]
"""A Kubernetes object, as its API has it."""

LONGEST_NAME = 63
TRUST_ANNOTATION = "mesh-federation/trust"
"""On the pods of everything that reads certificates when it starts: another value restarts them."""
TRUST_HASH = "trust hash"
"""The value of that annotation, by which a component hands it over."""


@dataclass(frozen=True)
class Fill:
    """A field that the plan leaves open, because only running clusters or the engine know its value.

    Attributes:
        path: keys and indexes of lists that lead to the field.
        needs: names of the values that it is computed from.
        compute: takes these values, in this order, and returns the value of the field.
        example: a value that the field could have; None where no question needs one.
    """

    path: tuple[str | int, ...]
    needs: tuple[str, ...]
    compute: Callable[..., object]
    example: object = None


@dataclass(frozen=True)
class PlannedObject:
    """One Kubernetes object of a cluster.

    Attributes:
        body: the object, as far as the plan knows it.
        fills: its fields that are known later.
        after: names of objects of the same component that must exist before it.
    """

    body: Body
    fills: tuple[Fill, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Kind and full name: `Kind namespace/name`, or `Kind name` without a namespace."""
        reference = self.reference
        return f"{self.kind} {reference if reference.namespace else reference.name}"

    @property
    def reference(self) -> NamespacedName:
        """Namespace and name of the object; an empty namespace for one that belongs to the whole cluster."""
        metadata = self.body["metadata"]
        assert isinstance(metadata, Mapping)
        return NamespacedName(str(metadata.get("namespace") or ""), str(metadata["name"]))

    @property
    def example(self) -> Body | None:
        """The object as it could be, to ask a cluster whether it would admit it; None where a field has no example."""
        if any(fill.example is None for fill in self.fills):
            return None
        body = self.body
        for fill in self.fills:
            body = with_field(body, fill.path, fill.example)
        return body

    def filled(self, values: Mapping[str, object]) -> Body:
        """Return the whole object.

        Args:
            values: at least those that its open fields need, by name.
        """
        body = self.body
        for fill in self.fills:
            body = with_field(body, fill.path, fill.compute(*(values[name] for name in fill.needs)))
        return body


def with_field(body: Mapping[str, object], path: Sequence[str | int], value: object) -> Body:
    """Return a copy of an object in which one field has another value."""
    key, *rest = path
    assert isinstance(key, str)
    return {**body, key: _within(body.get(key), rest, value)}


def _within(part: object, path: Sequence[str | int], value: object) -> object:
    """Return a copy of a part of an object in which one field has another value."""
    if not path:
        return value
    key, *rest = path
    if isinstance(key, str):
        return with_field(part if isinstance(part, Mapping) else {}, path, value)
    assert isinstance(part, list)
    return [*part[:key], _within(part[key], rest, value), *part[key + 1 :]]


def restarted_by_trust(body: Body, after: tuple[str, ...] = ()) -> PlannedObject:
    """Plan a workload whose pods restart, one after the other, when the trust that they read at their start changes."""
    path = ("spec", "template", "metadata", "annotations", TRUST_ANNOTATION)
    return PlannedObject(body, (Fill(path, (TRUST_HASH,), _as_it_is, example="none"),), after)


def _as_it_is(value: object) -> object:
    return value


def object_name(role: str, service: NamespacedName, *others: str) -> str:
    """Name an object after the service it serves: an RFC 1123 label, as istiod takes no dots in a Gateway's name.

    Where hyphens could make two services read alike, or the name grows too long, a few digits of a hash keep it unique.

    Args:
        role: what the object is for.
        service: the service.
        others: what else distinguishes it from objects of the same role and service.
    """
    parts = (service.namespace, service.name, *others)
    plain = "-".join((role, *parts)).replace(".", "-")
    if len(plain) <= LONGEST_NAME and not set("-.") & set("".join(parts)):
        return plain
    digits = sha256("/".join(parts).encode()).hexdigest()[:6]
    return f"{plain[: LONGEST_NAME - len(digits) - 1].rstrip('-')}-{digits}"
