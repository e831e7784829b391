"""Clusters whose nodes are containers: made, adopted, started and removed alike, whichever program makes them."""

import sys

from mesh_federation.clusters import (
    attachment,
    docker,
    generations,
    machine_limits,
    network,
    ownership,
    readiness,
    refusals,
    workdir,
)
from mesh_federation.clusters.container_provider import ContainerConfig, ContainerProvider
from mesh_federation.clusters.local_cluster import ContainerCluster
from mesh_federation.clusters.ownership import OwnershipState
from mesh_federation.process import ProcessResult


def create(provider: ContainerProvider, cluster: ContainerCluster, text: str) -> None:
    """Make the cluster, or adopt the one that this checkout made from the same configuration.

    Args:
        provider: the program that makes it.
        cluster: which.
        text: the program's configuration; the nodes carry a hash of what they were made from.
    """
    config = provider.config(text)
    with docker.alone(cluster.name, cluster.workdir):
        nodes = provider.containers(cluster.name)
        match ownership.of(cluster, nodes):
            case OwnershipState.OURS:
                _wake(provider, cluster, nodes)
                refusals.other_config(provider, cluster, config)
            case OwnershipState.FOREIGN:
                refusals.foreign(provider, cluster, config)
            case OwnershipState.HALF:
                _remove(provider, cluster)
                _make(provider, cluster, config)
            case OwnershipState.NOT:
                _make(provider, cluster, config)


def ready(provider: ContainerProvider, cluster: ContainerCluster) -> None:
    """Wait until every node of a new cluster is ready."""
    _wait(provider, cluster, provider.containers(cluster.name))


def start(provider: ContainerProvider, cluster: ContainerCluster) -> None:
    """Start what stopped, reconnect what lost its network, and wait until every node is ready; often all is well."""
    nodes = provider.containers(cluster.name)
    if ownership.of(cluster, nodes) is not OwnershipState.OURS:
        cluster.exit_as_gone()
    _wake(provider, cluster, nodes)


def delete(provider: ContainerProvider, cluster: ContainerCluster) -> None:
    """Remove the cluster if it is there and ours, and with the last one the lab's network."""
    with docker.alone(cluster.name, cluster.workdir):
        owned = ownership.of(cluster, provider.containers(cluster.name))
        if owned in (OwnershipState.OURS, OwnershipState.HALF):
            generations.let_importers_move(cluster)
            _remove(provider, cluster)
        if owned is OwnershipState.FOREIGN:
            what = f"cluster {cluster.name} is left alone: what has that name now was not made by this checkout"
            print(docker.Trouble(what, f"if nobody needs it: {provider.removal(cluster.name)}"), file=sys.stderr)
        ownership.forget(cluster)
    network.remove(cluster.settings.network, cluster.workdir)


def _make(provider: ContainerProvider, cluster: ContainerCluster, config: ContainerConfig) -> None:
    _refuse_without_memory(cluster.name)
    settings = cluster.settings.network
    with network.in_use(settings, cluster.workdir):
        ownership.begin(cluster, provider.program)
        done = provider.make(cluster, config.text)
    if done.returncode:
        _withdraw(provider, cluster, done)
        refusals.explain(provider, cluster, config, done)
    nodes = provider.lasting(cluster.name, provider.containers(cluster.name))
    ownership.complete(cluster, attachment.addresses(settings.name, nodes))


def _remove(provider: ContainerProvider, cluster: ContainerCluster) -> None:
    done = provider.remove(cluster)
    if done.returncode:
        docker.fail(done)


def _wake(provider: ContainerProvider, cluster: ContainerCluster, nodes: list[docker.Node]) -> None:
    if not cluster.kubeconfig.exists():
        read = provider.kubeconfig(cluster)
        if read.returncode:
            docker.fail(read)
        workdir.write_secret(cluster.kubeconfig, read.stdout)
    attachment.mend(cluster, provider.lasting(cluster.name, nodes), ownership.addresses(cluster))
    _wait(provider, cluster, nodes)


def _wait(provider: ContainerProvider, cluster: ContainerCluster, nodes: list[docker.Node]) -> None:
    readiness.wait(cluster, provider.members(cluster.name, nodes), provider.logs(cluster.name))


def _withdraw(provider: ContainerProvider, cluster: ContainerCluster, failed: ProcessResult) -> None:
    """Claim nothing where nothing is left of ours: another checkout may take the name before we try again.

    Such programs remove what they began, and begin nothing where the name is taken.
    """
    if provider.taken in failed.stderr or not provider.containers(cluster.name):
        ownership.forget(cluster)
    network.remove(cluster.settings.network, cluster.workdir)


def _refuse_without_memory(name: str) -> None:
    shortage = machine_limits.memory(machine_limits.read())
    if shortage and shortage.fatal:
        sys.exit(str(docker.Trouble(f"cluster {name} is not begun: {shortage.what}", shortage.fix)))
