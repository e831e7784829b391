"""Checks of drift: whether `pulumi up --refresh` would change anything.

That is so if the stack's state differs from the stack file, which the engine knows, or if an object in a cluster
differs from the state. Objects are compared here: the engine takes ten times as long for it, and does not see what
somebody added to the end of a list.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mesh_federation.engine.snapshot import RecordedObject
from mesh_federation.engine.step import Step
from mesh_federation.plan.objects import Body
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.differences import Path, added_items, differing, text
from mesh_federation.verify.live_objects import ObjectIdentity, live_objects, resource_version
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive, Verdict, failed, passed

SHOWN = 10
"""Objects that are named; the rest is counted."""

Preview = Callable[[], Sequence[Step]]
"""Previews an update without a refresh; may raise Inconclusive."""


class UpdatePreview:
    """What an update would change in the stack's state, asked once for all checks."""

    def __init__(self, context: Context, preview: Preview | None) -> None:
        """Make no preview yet.

        Args:
            context: the federation.
            preview: previews the update; None where the state is known to have all that the stack file declares.
        """
        self._context, self._preview = context, preview
        self._lock = threading.Lock()
        self._result: Sequence[Step] | Inconclusive | None = None if preview else ()

    def changes(self) -> Sequence[Step]:
        """Return what the engine would change.

        Raises:
            Inconclusive: it does not say, or a cluster does not answer, on which it would wait.
        """
        with self._lock:
            if self._result is None:
                self._result = self._ask()
        if isinstance(self._result, Inconclusive):
            raise self._result
        return self._result

    def _ask(self) -> Sequence[Step] | Inconclusive:
        assert self._preview is not None
        try:
            for cluster in self._context.clusters.values():
                cluster.kubectl.output("get", "--raw=/readyz")
            return self._preview()
        except ClusterUnreachable as unreachable:
            return Inconclusive(f"no preview was made: {unreachable.message}", unreachable.hint)
        except Inconclusive as inconclusive:
            return inconclusive


def checks(context: Context, preview: Preview | None) -> Iterator[Check]:
    """Return one check for each cluster, and one for resources outside clusters.

    Args:
        context: the federation.
        preview: previews an update; None where the state is known to have all that the stack file declares.
    """
    update = UpdatePreview(context, preview)
    for cluster in context.clusters.values():
        description = f"{cluster.name}: every object is as the stack file declares it"
        yield Check("drift.objects", (cluster.path,), description, partial(objects, context, update, cluster))
    every = tuple(cluster.path for cluster in context.clusters.values())
    description = "every authority is as the stack file declares it"
    yield Check("drift.objects", every, description, partial(objects, context, update, None))


def objects(context: Context, update: UpdatePreview, cluster: ClusterUnderTest | None) -> Verdict:
    """Return what the engine would change in a cluster; None means outside all clusters."""
    name = cluster.name if cluster else None
    declared = [each for each in update.changes() if owner(each.name, context.clusters) == name]
    drifted = drift(cluster) if cluster else ()
    changes = [*declared, *(each for each in drifted if each.name not in {step.name for step in declared})]
    if changes:
        shown = ", ".join(map(str, changes[:SHOWN]))
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        hint = "./mesh up --refresh does that; ./mesh preview --refresh --diff shows it"
        return failed(f"the engine would {shown}{more}", hint, **{each.name: str(each) for each in changes})
    return passed("the engine would change nothing")


def drift(cluster: ClusterUnderTest) -> Iterator[Step]:
    """Compare the objects of a cluster with the stack's state; yields what an update with a refresh would change.

    Raises:
        Inconclusive: the cluster does not answer, or does not allow it.
    """
    for each, found in _found(cluster):
        if found is None:
            yield Step("create", each.name)
            continue
        different = [*differing(each.body, found), *map(text, added_items(each.body, found))]
        if different:
            yield Step("update", each.name, tuple(different))


@dataclass(frozen=True)
class WidenedObject:
    """An object to whose lists somebody added items, which the engine neither sees nor takes out.

    Attributes:
        name: of its resource.
        identity: of the object.
        version: its `resourceVersion`.
        items: paths of the items, last ones first.
    """

    name: str
    identity: ObjectIdentity
    version: str
    items: tuple[Path, ...]

    def __str__(self) -> str:
        """Name it, with the paths of the items."""
        return f"{self.name}: {', '.join(map(text, self.items))}"


def widened(cluster: ClusterUnderTest) -> list[WidenedObject]:
    """Return the objects of a cluster to whose lists somebody added items.

    Raises:
        Inconclusive: the cluster does not answer, or does not allow it.
    """
    return [
        WidenedObject(each.name, ObjectIdentity.of(found), resource_version(found), tuple(items))
        for each, found in _found(cluster)
        if found is not None and (items := added_items(each.body, found))
    ]


def _found(cluster: ClusterUnderTest) -> Iterator[tuple[RecordedObject, Body | None]]:
    """Return each object of the stack's state, with what its cluster has of it."""
    live = live_objects(cluster.kubectl, [ObjectIdentity.of(each.body) for each in cluster.recorded])
    return ((each, live.get(ObjectIdentity.of(each.body))) for each in cluster.recorded)


def owner(resource: str, clusters: Iterable[str]) -> str | None:
    """Return the cluster that a resource belongs to, by the resource's name; None if it belongs to none."""
    known = [name for name in clusters if resource.startswith((f"{name}:", f"{name}-"))]
    return max(known, key=len, default=None)
