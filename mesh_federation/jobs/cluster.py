"""The jobs that make, start and delete clusters: one per provider, named as the provider."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from mesh_federation.clusters import containers, existing, kwok
from mesh_federation.clusters.container_provider import ContainerProvider
from mesh_federation.clusters.k3d import K3D
from mesh_federation.clusters.kind import KIND
from mesh_federation.clusters.local_cluster import ContainerCluster, LocalCluster
from mesh_federation.clusters.settings import ClusterSettings, ContainerClusterSettings
from mesh_federation.clusters.workdir import Workdir, locked
from mesh_federation.jobs.job import Job, JobContext

Settings = TypeVar("Settings", bound=ClusterSettings)
Action = Callable[[LocalCluster[Settings], JobContext], None]


@contextmanager
def alone(name: str, action: str, workdir: Workdir) -> Iterator[None]:
    """Let no two jobs work on one cluster: an engine that is killed leaves its job running, and the next one waits.

    Args:
        name: the cluster's real name.
        action: what is done, for the message at Ctrl-C.
        workdir: where the cluster is.
    """
    try:
        with locked(workdir.home / "locks" / name):
            yield
    except KeyboardInterrupt:
        sys.exit(f"{action} of {name} was interrupted; the next run goes on where it stopped")


def _job(provider: str, settings: type[Settings], actions: Mapping[str, Action[Settings]]) -> Job[Settings]:
    return Job(provider, settings, {action: _locked(action, does) for action, does in actions.items()})


def _locked(action: str, does: Action[Settings]) -> Callable[[Settings, JobContext], None]:
    def act(settings: Settings, context: JobContext) -> None:
        with alone(settings.name, action, context.workdir):
            does(LocalCluster(settings, context.workdir), context)

    return act


def _of_containers(provider: ContainerProvider) -> Mapping[str, Action[ContainerClusterSettings]]:
    def without_input(does: Callable[[ContainerProvider, ContainerCluster], None]) -> Action[ContainerClusterSettings]:
        return lambda cluster, context: does(provider, cluster)

    return {
        "create": lambda cluster, context: containers.create(provider, cluster, context.stdin),
        "ready": without_input(containers.ready),
        "start": without_input(containers.start),
        "delete": without_input(containers.delete),
    }


JOBS: Mapping[str, Job[Any]] = {
    job.name: job
    for job in (
        _job(
            "existing",
            ClusterSettings,
            {
                "create": lambda cluster, context: existing.create(cluster),
                "update": lambda cluster, context: existing.update(cluster, context.previous.strip()),
                "start": lambda cluster, context: existing.start(cluster),
                "delete": lambda cluster, context: existing.delete(cluster),
            },
        ),
        _job("k3d", ContainerClusterSettings, _of_containers(K3D)),
        _job("kind", ContainerClusterSettings, _of_containers(KIND)),
        _job(
            "kwok",
            ClusterSettings,
            {
                "create": lambda cluster, context: kwok.create(cluster, context.stdin),
                "start": lambda cluster, context: kwok.start(cluster),
                "delete": lambda cluster, context: kwok.delete(cluster),
            },
        ),
    )
}
"""By the provider's name."""
