"""Checks of drift: whether `pulumi up --refresh` would change anything."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from mesh_federation.engine.step import Step
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import Context
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive, Verdict, failed, passed

SHOWN = 10
"""Objects that are named; the rest is counted."""

Refresh = Callable[[], Sequence[Step]]
"""Previews an update with a refresh; may raise Inconclusive."""


class RefreshedPreview:
    """The preview of an update with a refresh, made once for all checks."""

    def __init__(self, context: Context, refresh: Refresh) -> None:
        """Make no preview yet.

        Args:
            context: the federation.
            refresh: previews the update.
        """
        self._context, self._refresh = context, refresh
        self._lock = threading.Lock()
        self._result: Sequence[Step] | Inconclusive | None = None

    def changes(self) -> Sequence[Step]:
        """Return what the engine would change.

        Raises:
            Inconclusive: it does not say, or a cluster does not answer, on which it would wait.
        """
        with self._lock:
            if self._result is None:
                self._result = self._preview()
        if isinstance(self._result, Inconclusive):
            raise self._result
        return self._result

    def _preview(self) -> Sequence[Step] | Inconclusive:
        try:
            for cluster in self._context.clusters.values():
                cluster.kubectl.output("get", "--raw=/readyz")
            return self._refresh()
        except ClusterUnreachable as unreachable:
            return Inconclusive(f"no preview was made: {unreachable.message}", unreachable.hint)
        except Inconclusive as inconclusive:
            return inconclusive


def checks(context: Context, refresh: Refresh) -> Iterator[Check]:
    """Return one check for each cluster, and one for resources outside clusters.

    Args:
        context: the federation.
        refresh: previews an update with a refresh.
    """
    preview = RefreshedPreview(context, refresh)
    for cluster in context.clusters.values():
        description = f"{cluster.name}: every object is as the stack file declares it"
        yield Check("drift.objects", (cluster.path,), description, partial(objects, context, preview, cluster.name))
    every = tuple(cluster.path for cluster in context.clusters.values())
    description = "every authority is as the stack file declares it"
    yield Check("drift.objects", every, description, partial(objects, context, preview, None))


def objects(context: Context, preview: RefreshedPreview, cluster: str | None) -> Verdict:
    """Return what the engine would change in a cluster; None means outside all clusters."""
    changes = [each for each in preview.changes() if owner(each.name, context.clusters) == cluster]
    if changes:
        shown = ", ".join(map(str, changes[:SHOWN]))
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        hint = "./mesh up --refresh does that; ./mesh preview --refresh --diff shows it"
        return failed(f"the engine would {shown}{more}", hint, **{each.name: str(each) for each in changes})
    return passed("the engine would change nothing")


def owner(resource: str, clusters: Iterable[str]) -> str | None:
    """Return the cluster that a resource belongs to, by the resource's name; None if it belongs to none."""
    known = [name for name in clusters if resource.startswith((f"{name}:", f"{name}-"))]
    return max(known, key=len, default=None)
