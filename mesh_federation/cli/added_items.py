"""Items that somebody added to the lists of a stack's objects: `--refresh` takes them out.

One more root, caller or host opens what the stack file does not declare, and the engine does not see it: it compares
as many items as are declared. Each object is changed in place, as it must not be gone for a moment.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from mesh_federation.cli.verify import NotUp, under_test
from mesh_federation.engine.pulumi import Engine
from mesh_federation.stack.config import Federation
from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.drift import WidenedObject, widened
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.verdict import Inconclusive

Tell = Callable[[str], None]


def show(engine: Engine, federation: Federation, tell: Tell) -> None:
    """Tell which items `up --refresh` would take out.

    Args:
        engine: the engine of the stack.
        federation: as the stack file declares it.
        tell: prints a line.
    """
    for _, each in _widened(engine, federation):
        tell(f"somebody added items, which `up --refresh` takes out: {each}")


def take_out(engine: Engine, federation: Federation, tell: Tell) -> bool:
    """Take such items out, and say whether all are out. An object that changes meanwhile stays as it is, and is told.

    Args:
        engine: the engine of the stack, whose clusters run.
        federation: as the stack file declares it.
        tell: prints a line.
    """
    reasons = []
    for cluster, each in _widened(engine, federation):
        reasons.append(_refusal(cluster, each))
        tell(f"items that somebody added {f'stay, {reasons[-1]}' if reasons[-1] else 'are taken out'}: {each}")
    return not any(reasons)


def _refusal(cluster: ClusterUnderTest, widened_object: WidenedObject) -> str:
    """Take the items of one object out; returns why they stay, empty if they are out."""
    identity = widened_object.identity
    namespace = [f"--namespace={identity.namespace}"] if identity.namespace else []
    patch = ["patch", "--filename=-", *namespace, "--type=json", f"--patch={json.dumps(_removal(widened_object))}"]
    try:
        done = cluster.kubectl.run(*patch, stdin=json.dumps(identity.request))
    except Inconclusive as inconclusive:
        return inconclusive.message
    return (done.stderr.strip() or "kubectl failed") if done.returncode else ""


def _widened(engine: Engine, federation: Federation) -> Sequence[tuple[ClusterUnderTest, WidenedObject]]:
    """Look at every cluster. A cluster that does not answer is left to the engine, which reports it."""
    try:
        context, _ = under_test(engine, federation)
    except NotUp:
        return []
    found = map_parallel(_of_cluster, context.clusters.values())
    return [(cluster, each) for cluster, objects in found for each in objects]


def _of_cluster(cluster: ClusterUnderTest) -> list[WidenedObject]:
    try:
        return widened(cluster)
    except Inconclusive:
        return []


def _removal(widened_object: WidenedObject) -> list[Mapping[str, str]]:
    """Write a patch that fails if the object is no longer the one that was read.

    Sources: RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer).
    """
    unchanged = {"op": "test", "path": "/metadata/resourceVersion", "value": widened_object.version}
    removed = [{"op": "remove", "path": _pointer(path)} for path in widened_object.items]
    return [unchanged, *removed]


def _pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
