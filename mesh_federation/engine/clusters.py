"""Clusters between two runs: after a reboot the processes of simulated ones are gone, or somebody removed a cluster."""

import json
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from mesh_federation.clusters import journal, kubeconfigs, kubectl
from mesh_federation.clusters.identity import SILENT
from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.engine.pulumi import Engine, EngineError, RecordedCluster
from mesh_federation.engine.state_owner import lost
from mesh_federation.jobs import kubeconfig
from mesh_federation.jobs.catalog import JOBS
from mesh_federation.process import ProcessResult
from mesh_federation.resources.existing import keep
from mesh_federation.stack.config import Cluster, Federation
from mesh_federation.stack.kubeconfig import UnusableKubeconfig

GONE_FOR_GOOD = "PULUMI_K8S_DELETE_UNREACHABLE"
"""The Kubernetes provider's own switch: what was in a cluster that does not answer counts as deleted."""


def wake(engine: Engine, tell: Callable[[str], None]) -> None:
    """Start every cluster of the stack that does not run; one that is gone is forgotten, so that it is made anew.

    The kubeconfigs of the others are written again: a file may be lost, or another cluster's by now.

    Raises:
        EngineError: the state does not know what runs; or a cluster that is there does not start: the error of its job.
    """
    clusters = engine.recorded_clusters()
    if problem := lost(engine.workspace, engine.stack, frozenset(cluster.name for cluster in clusters)):
        raise EngineError(problem.what, problem.fix)
    with ThreadPoolExecutor() as pool:
        awake = list(pool.map(lambda cluster: _starts(engine, cluster, tell), clusters))
    gone = [cluster for cluster, runs in zip(clusters, awake, strict=True) if not runs and not cluster.outgoing]
    for cluster in gone:
        tell(f"cluster {cluster.name} is gone: it is made anew, with everything in it")
        engine.forget(cluster)
        kubeconfigs.forget(engine.workspace.home, engine.stack, cluster.name)
    reached = [each.kubeconfig for each in clusters if each.kubeconfig and each not in gone]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda settings: engine.run_job(kubeconfig.JOB, "create", settings), reached):
            if done.returncode:
                raise EngineError(done.stderr.strip())


def sweep(
    engine: Engine, standing: Collection[str], tell: Callable[[str], None],
    why: str = "which an earlier run began and did not finish",
) -> None:  # fmt: skip
    """Remove every cluster of the stack that the engine does not know, by the entries that its job left in the journal.

    Args:
        engine: of the stack.
        standing: real names of the clusters that are meant to be there.
        tell: tells a person.
        why: how it comes that the engine does not know it.

    Raises:
        EngineError: a cluster cannot be removed; the error of its job.
    """
    for entry in journal.entries(engine.workspace.home, engine.stack):
        if entry.name not in standing:
            done = engine.run_job(JOBS[entry.job], "delete", JOBS[entry.job].read(json.dumps(entry.settings)))
            if done.returncode:
                raise EngineError(done.stderr.strip())
            tell(f"cluster {entry.name}, {why}, is removed")


def reach(engine: Engine, declared: Federation | None, tell: Callable[[str], None]) -> None:
    """Read the kubeconfigs of a stack's existing clusters anew, and prove that they lead to the clusters that they did.

    Args:
        engine: of the stack.
        declared: what its stack file says now; None where that is not sound: then what it said at the last `up` counts.
        tell: tells a person.

    Raises:
        EngineError: a kubeconfig leads to no cluster, or to another one.
    """
    meant = declared.clusters if declared else {}
    existing = [cluster for cluster in engine.recorded_clusters() if cluster.is_existing and not cluster.outgoing]
    for cluster in existing:
        _keep(engine, cluster, meant.get(cluster.logical), tell)
    with ThreadPoolExecutor() as pool:
        proven = list(pool.map(lambda cluster: _proven(engine, cluster), existing))
    for done in proven:
        if done.returncode == SILENT and engine.environment.get(GONE_FOR_GOOD) == "true":
            tell(done.stderr.strip())
        elif done.returncode == SILENT:
            raise EngineError(f"{done.stderr.strip()}; if it is gone for good, `down` needs {GONE_FOR_GOOD}=true")
        elif done.returncode:
            raise EngineError(done.stderr.strip())


def _keep(engine: Engine, cluster: RecordedCluster, declared: Cluster | None, tell: Callable[[str], None]) -> None:
    """Take the kubeconfig that the stack file names; the one of the last run serves where that cannot be read."""
    written, context = cluster.settings.spec.kubeconfig, cluster.settings.spec.context
    if declared and declared.kubeconfig:
        written, context = declared.kubeconfig, declared.context or ""
    home = engine.workspace.home
    try:
        keep(home, engine.stack, cluster.logical, cluster.name, written, context, engine.workspace.checkout)
    except UnusableKubeconfig as unusable:
        told = f"clusters.{cluster.logical}.kubeconfig: {unusable}"
        if not (home / kubectl.reference(cluster.name)).exists():
            raise EngineError(f"{told}\n  -> {unusable.fix}") from None
        tell(f"{told}; {cluster.logical} is reached as at the last run")


def _proven(engine: Engine, cluster: RecordedCluster) -> ProcessResult:
    return engine.run_job(cluster.job, "update", cluster.settings, previous=cluster.printed)


def _starts(engine: Engine, cluster: RecordedCluster, tell: Callable[[str], None]) -> bool:
    """Start a cluster and tell what had to be mended; says whether there was one to start."""
    done = engine.run_job(cluster.job, "start", cluster.settings)
    if done.returncode not in (0, GONE):
        raise EngineError(done.stderr.strip())
    if done.returncode == GONE:
        return False
    for line in done.stderr.splitlines():
        tell(line)
    return True
