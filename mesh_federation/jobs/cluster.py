"""The jobs that make, start and delete clusters: one per provider, named as the provider."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.provider import Provider
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.clusters.settings import ProviderSettings
from mesh_federation.clusters.workdir import Workdir, locked
from mesh_federation.jobs.job import Job, JobContext

Action = Callable[[ProviderSettings, JobContext], None]


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


def _job(provider: Provider) -> Job[ProviderSettings]:
    actions = {"create": provider.create, "start": provider.start, "delete": provider.delete}
    if provider.boots:
        actions["ready"] = provider.ready
    locked_actions = {action: _locked(action, act) for action, act in actions.items()}
    if not provider.ours:
        locked_actions["update"] = _update(provider)
    return Job(provider.name, ProviderSettings, locked_actions)


def _locked(action: str, act: Callable[[LocalCluster], None]) -> Action:
    def run(settings: ProviderSettings, context: JobContext) -> None:
        with alone(settings.name, action, context.workdir):
            act(LocalCluster(settings, context.workdir, context.folders))

    return run


def _update(provider: Provider) -> Action:
    def run(settings: ProviderSettings, context: JobContext) -> None:
        with alone(settings.name, "update", context.workdir):
            provider.update(LocalCluster(settings, context.workdir), context.previous.strip())

    return run


JOBS: Mapping[str, Job[ProviderSettings]] = {name: _job(provider) for name, provider in PROVIDERS.items()}
"""By the provider's name."""
