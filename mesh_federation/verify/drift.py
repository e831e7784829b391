"""Checks of drift: whether the engine, after a look at the clusters, would change anything."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from mesh_federation.engine.step import Step
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import Context
from mesh_federation.verify.verdict import Inconclusive, Unreachable, Verdict, failed, passed

SHOWN = 10
"""Objects that are named before the rest is counted."""

Ask = Callable[[], Sequence[Step]]


class Engine:
    """The engine's answer: one look at all clusters, however many checks want it."""

    def __init__(self, scene: Context, ask: Ask) -> None:
        """Ask nothing yet.

        Args:
            scene: the federation.
            ask: takes a look at the clusters; may raise Unseen.
        """
        self._scene, self._ask = scene, ask
        self._lock = threading.Lock()
        self._answer: Sequence[Step] | Inconclusive | None = None

    def changes(self) -> Sequence[Step]:
        """Return what it would change.

        Raises:
            Unseen: it cannot tell, or a cluster does not answer, for which it would wait.
        """
        with self._lock:
            if self._answer is None:
                self._answer = self._asked()
        if isinstance(self._answer, Inconclusive):
            raise self._answer
        return self._answer

    def _asked(self) -> Sequence[Step] | Inconclusive:
        try:
            for site in self._scene.sites.values():
                site.cluster.told("get", "--raw=/readyz")
            return self._ask()
        except Unreachable as away:
            return Inconclusive(f"the engine is not asked: {away.found}", away.hint)
        except Inconclusive as unseen:
            return unseen


def checks(scene: Context, ask: Ask) -> Iterator[Check]:
    """Plan a check for each cluster, and one for what is in none.

    Args:
        scene: the federation.
        ask: asks the engine what it would change; may raise Unseen.
    """
    engine = Engine(scene, ask)
    for site in scene.sites.values():
        proves = f"{site.name}: every object is as the stack file says"
        yield Check("drift.objects", (site.path,), proves, partial(objects, scene, engine, site.name))
    every = tuple(site.path for site in scene.sites.values())
    proves = "every authority is as the stack file says"
    yield Check("drift.objects", every, proves, partial(objects, scene, engine, None))


def objects(scene: Context, engine: Engine, cluster: str | None) -> Verdict:
    """Ask the engine what it would change in a cluster, or, with None, in none of them."""
    found = [each for each in engine.changes() if owner(each.name, scene.sites) == cluster]
    if found:
        shown = ", ".join(map(str, found[:SHOWN]))
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        hint = "./mesh up --refresh does that; ./mesh preview --refresh --diff shows it"
        return failed(f"the engine would {shown}{more}", hint, **{each.name: str(each) for each in found})
    return passed("the engine would change nothing")


def owner(resource: str, clusters: Iterable[str]) -> str | None:
    """Return the cluster that a resource is part of, by the resource's name; None where it is in none."""
    known = [name for name in clusters if resource.startswith((f"{name}:", f"{name}-"))]
    return max(known, key=len, default=None)
