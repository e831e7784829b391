"""Items that somebody added to the lists of a stack's objects: `--refresh` takes them out.

One more root, caller or host opens what the stack file does not declare, and the engine does not see it: it compares
as many items as are declared. Each object is changed in place, as it must not be gone for a moment.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mesh_federation.cli.verify import NotUp, observed
from mesh_federation.engine.pulumi import Engine
from mesh_federation.stack.config import Federation
from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.drift import WidenedObject, widened
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


def take_out(engine: Engine, federation: Federation, tell: Tell) -> None:
    """Take such items out. An object that changes meanwhile is left and told: the next run looks again.

    Args:
        engine: the engine of the stack, whose clusters run.
        federation: as the stack file declares it.
        tell: prints a line.
    """
    for cluster, each in _widened(engine, federation):
        identity = each.identity
        namespace = [f"--namespace={identity.namespace}"] if identity.namespace else []
        words = ["patch", "--filename=-", *namespace, "--type=json", f"--patch={json.dumps(_removal(each))}"]
        done = cluster.kubectl.run(*words, stdin=json.dumps(identity.request))
        tell(f"items that somebody added {'stay' if done.returncode else 'are taken out'}: {each}")
        if done.returncode:
            tell(f"  {done.stderr.strip()}")


def _widened(engine: Engine, federation: Federation) -> Sequence[tuple[ClusterUnderTest, WidenedObject]]:
    """Look at every cluster. A cluster that does not answer is left to the engine, which reports it."""
    try:
        context, _ = observed(engine, federation)
    except NotUp:
        return []
    clusters = list(context.clusters.values())
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_of_cluster, clusters))
    return [(cluster, each) for cluster, objects in zip(clusters, found, strict=True) for each in objects]


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
