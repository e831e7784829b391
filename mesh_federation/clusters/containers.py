"""Clusters whose nodes are containers: made, adopted, started and removed alike, whichever program makes them.

Environment:
    CLUSTER: the real name. MESH_HOME: see place.py. READY_WITHIN: see readiness.py.
    LAB_NETWORK, LAB_SUBNET, LAB_NODE_RANGE: see network.py.
Standard input of create: the program's configuration; the nodes carry a hash of what they were made from.
"""

import sys
from collections.abc import Callable, Mapping

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
from mesh_federation.clusters.container_provider import ContainerProvider, Order


def actions(maker: ContainerProvider) -> Mapping[str, Callable[[str], None]]:
    """Return what the program's script can do, by the word for it."""
    return {
        "create": lambda name: create(maker, name, sys.stdin.read()),
        "ready": lambda name: ready(maker, name),
        "start": lambda name: start(maker, name),
        "delete": lambda name: delete(maker, name),
    }


def create(maker: ContainerProvider, name: str, text: str) -> None:
    """Make the cluster, or adopt the one that this checkout made from the same configuration."""
    order = maker.order(text)
    with docker.alone(name):
        nodes = maker.containers(name)
        match ownership.of(name, nodes):
            case ownership.OwnershipState.OURS:
                _wake(maker, name, nodes)
                refusals.other_config(maker, name, order)
            case ownership.OwnershipState.FOREIGN:
                refusals.foreign(maker, name, order)
            case ownership.OwnershipState.HALF:
                _remove(maker, name)
                _make(maker, name, order)
            case ownership.OwnershipState.NOT:
                _make(maker, name, order)


def ready(maker: ContainerProvider, name: str) -> None:
    """Wait until every node of a new cluster is ready."""
    _wait(maker, name, maker.containers(name))


def start(maker: ContainerProvider, name: str) -> None:
    """Start what stopped, reconnect what lost its network, and wait until every node is ready; often all is well."""
    nodes = maker.containers(name)
    if ownership.of(name, nodes) is not ownership.OwnershipState.OURS:
        workdir.gone(name)
    _wake(maker, name, nodes)


def delete(maker: ContainerProvider, name: str) -> None:
    """Remove the cluster if it is there and ours, and with the last one the lab's network."""
    with docker.alone(name):
        stands = ownership.of(name, maker.containers(name))
        if stands in (ownership.OwnershipState.OURS, ownership.OwnershipState.HALF):
            generations.let_importers_move(name)
            _remove(maker, name)
        if stands is ownership.OwnershipState.FOREIGN:
            what = f"cluster {name} is left alone: what has that name now was not made by this checkout"
            print(docker.Trouble(what, f"if nobody needs it: {maker.removal(name)}"), file=sys.stderr)
        ownership.forget(name)
    network.remove()


def _make(maker: ContainerProvider, name: str, order: Order) -> None:
    _refuse_without_memory(name)
    with network.in_use():
        ownership.begin(name, maker.program)
        done = maker.make(name, order.text)
    if done.returncode:
        _withdraw(maker, name, done)
        refusals.explain(maker, name, order, done)
    ownership.complete(name, attachment.addresses(maker.lasting(name, maker.containers(name))))


def _remove(maker: ContainerProvider, name: str) -> None:
    done = maker.remove(name)
    if done.returncode:
        docker.fail(done)


def _wake(maker: ContainerProvider, name: str, nodes: list[docker.Node]) -> None:
    if not workdir.kubeconfig(name).exists():
        told = maker.kubeconfig(name)
        if told.returncode:
            docker.fail(told)
        workdir.write_secret(workdir.kubeconfig(name), told.stdout)
    attachment.mend(maker.lasting(name, nodes), ownership.addresses(name))
    _wait(maker, name, nodes)


def _wait(maker: ContainerProvider, name: str, nodes: list[docker.Node]) -> None:
    readiness.wait(name, maker.members(name, nodes), maker.logs(name))


def _withdraw(maker: ContainerProvider, name: str, failed: docker.Done) -> None:
    """Claim nothing where nothing is left of ours: another checkout may take the name before we try again.

    Such programs remove what they began, and begin nothing where the name is taken.
    """
    if maker.taken in failed.stderr or not maker.containers(name):
        ownership.forget(name)
    network.remove()


def _refuse_without_memory(name: str) -> None:
    shortage = machine_limits.memory(machine_limits.read())
    if shortage and shortage.fatal:
        sys.exit(str(docker.Trouble(f"cluster {name} is not begun: {shortage.what}", shortage.fix)))
