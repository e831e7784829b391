"""Clusters beside the engine: starts stopped ones, forgets missing ones, and removes those that no run completed.

The clusters of a new stack are begun before the engine, which takes seconds to load on one processor.
"""

import json
import signal
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from mesh_federation.clusters import journal, kubeconfigs, kubectl
from mesh_federation.clusters.identity import SILENT
from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.engine.pulumi import Engine, EngineError, RecordedCluster
from mesh_federation.engine.state_owner import unknown_to_state
from mesh_federation.jobs import kubeconfig
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.plan.provisioning import Provision, provision
from mesh_federation.process import ProcessResult
from mesh_federation.resources.existing import keep
from mesh_federation.stack.config import Cluster, Federation
from mesh_federation.stack.kubeconfig import UnusableKubeconfig

GONE_FOR_GOOD = "PULUMI_K8S_DELETE_UNREACHABLE"
"""Variable of the Kubernetes provider: objects of a cluster that does not answer count as deleted."""


def start_all(engine: Engine, tell: Callable[[str], None]) -> list[RecordedCluster]:
    """Start every stopped cluster of the stack, and forget missing ones, so that the next run recreates them.

    The kubeconfigs of the others are written again: a file may be lost, or lead to another cluster.

    Returns:
        All clusters that the state had.

    Raises:
        EngineError: the state does not know the clusters of this checkout, or a cluster does not start.
    """
    clusters = engine.recorded_clusters()
    if problem := unknown_to_state(engine.workspace, engine.stack, frozenset(cluster.name for cluster in clusters)):
        raise EngineError(problem.what, problem.fix)
    with ThreadPoolExecutor() as pool:
        running = list(pool.map(lambda cluster: _starts(engine, cluster, tell), clusters))
    gone = [cluster for cluster, runs in zip(clusters, running, strict=True) if not runs and not cluster.outgoing]
    for cluster in gone:
        tell(f"cluster {cluster.name} is gone: it is recreated with everything in it")
        engine.forget(cluster)
        kubeconfigs.forget(engine.workspace.home, engine.stack, cluster.name)
    reached = [each.kubeconfig for each in clusters if each.kubeconfig and each not in gone]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda settings: engine.run_job(kubeconfig.JOB, "create", settings), reached):
            if done.returncode:
                raise EngineError(done.stderr.strip())
    return clusters


def ours(engine: Engine, federation: Federation) -> list[Provision]:
    """Return the clusters of a federation that the engine makes."""
    planned = (provision(federation, each, engine.stack) for each in federation.clusters.values())
    return [each for each in planned if each.provider.ours]


@contextmanager
def begun(engine: Engine, early: Collection[Provision]) -> Iterator[None]:
    """Make the clusters of a new stack while the block runs, in which the engine makes them too.

    Its jobs wait for these, as for those of a run that was killed, and find the clusters made. One that fails here
    fails there too, which tells it. Where the engine makes no cluster, because the program is refused, none stays.

    Args:
        engine: the engine of the stack.
        early: the clusters.
    """
    jobs = [engine.start_job(JOBS[each.provider.name], "create", each.settings) for each in early]
    try:
        yield
    except BaseException:
        for job in jobs:
            job.send_signal(signal.SIGINT)
            job.wait()
        for each in early if not engine.recorded_clusters() else ():
            engine.run_job(JOBS[each.provider.name], "delete", each.settings)
        raise
    for job in jobs:
        job.wait()


def remove_orphans(
    engine: Engine, known: Collection[str], tell: Callable[[str], None],
    why: str = "which an earlier run did not complete",
) -> None:  # fmt: skip
    """Remove the clusters in the journal of a stack that the engine does not know.

    Args:
        engine: the engine of the stack.
        known: real names of the clusters that the engine knows.
        tell: prints a line.
        why: why the engine does not know them.

    Raises:
        EngineError: a cluster cannot be removed.
    """
    for entry in journal.entries(engine.workspace.home, engine.stack):
        if entry.name not in known:
            done = engine.run_job(JOBS[entry.job], "delete", JOBS[entry.job].read(json.dumps(entry.settings)))
            if done.returncode:
                raise EngineError(done.stderr.strip())
            tell(f"cluster {entry.name}, {why}, is removed")


def refresh_kubeconfigs(engine: Engine, declared: Federation | None, tell: Callable[[str], None]) -> None:
    """Read the kubeconfigs of a stack's existing clusters again, and verify that they lead to the same clusters.

    Args:
        engine: the engine of the stack.
        declared: the declared federation; None if it is invalid: then the kubeconfigs of the last run are used.
        tell: prints a line.

    Raises:
        EngineError: a kubeconfig leads to no cluster, or to another one.
    """
    specs = declared.clusters if declared else {}
    existing = [cluster for cluster in engine.recorded_clusters() if cluster.is_existing and not cluster.outgoing]
    for cluster in existing:
        _keep(engine, cluster, specs.get(cluster.logical), tell)
    with ThreadPoolExecutor() as pool:
        verified = list(pool.map(lambda cluster: _verified(engine, cluster), existing))
    for done in verified:
        if done.returncode == SILENT and engine.environment.get(GONE_FOR_GOOD) == "true":
            tell(done.stderr.strip())
        elif done.returncode == SILENT:
            raise EngineError(f"{done.stderr.strip()}; if it is gone for good, `down` needs {GONE_FOR_GOOD}=true")
        elif done.returncode:
            raise EngineError(done.stderr.strip())


def _keep(engine: Engine, cluster: RecordedCluster, declared: Cluster | None, tell: Callable[[str], None]) -> None:
    """Keep a copy of the declared kubeconfig; if it cannot be read, the copy of the last run is used."""
    written, context = cluster.settings.spec.kubeconfig, cluster.settings.spec.context
    if declared and declared.kubeconfig:
        written, context = declared.kubeconfig, declared.context or ""
    home = engine.workspace.home
    try:
        keep(home, engine.stack, cluster.logical, cluster.name, written, context, engine.workspace.checkout)
        kubeconfigs.record(home / kubeconfigs.shown(engine.stack, cluster.logical), cluster.name)
    except UnusableKubeconfig as unusable:
        what = f"clusters.{cluster.logical}.kubeconfig: {unusable}"
        if not (home / kubectl.reference(cluster.name)).exists():
            raise EngineError(what, unusable.fix) from None
        tell(f"{what}; the kubeconfig of the last run is used for {cluster.logical}")


def _verified(engine: Engine, cluster: RecordedCluster) -> ProcessResult:
    return engine.run_job(cluster.job, "update", cluster.settings, previous=cluster.printed)


def _starts(engine: Engine, cluster: RecordedCluster, tell: Callable[[str], None]) -> bool:
    """Start a cluster and print what was repaired; returns False if the cluster is missing."""
    done = engine.run_job(cluster.job, "start", cluster.settings)
    if done.returncode not in (0, GONE):
        raise EngineError(done.stderr.strip())
    if done.returncode == GONE:
        return False
    for line in done.stderr.splitlines():
        tell(line)
    return True
