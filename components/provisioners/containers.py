"""Clusters whose nodes are containers: made, adopted, started and removed alike, whichever program makes them.

Environment:
    CLUSTER: the real name. MESH_HOME: see place.py. READY_WITHIN: see readiness.py.
    LAB_NETWORK, LAB_SUBNET, LAB_NODE_RANGE: see network.py.
Standard input of create: the program's configuration; the nodes carry a hash of what they were made from.
"""

import sys
from collections.abc import Callable, Mapping

from components.provisioners import (
    attachment,
    docker,
    generations,
    limits,
    network,
    ownership,
    place,
    readiness,
    refusals,
)
from components.provisioners.maker import Maker, Order


def actions(maker: Maker) -> Mapping[str, Callable[[str], None]]:
    """Return what the program's script can do, by the word for it."""
    return {
        "create": lambda name: create(maker, name, sys.stdin.read()),
        "ready": lambda name: ready(maker, name),
        "start": lambda name: start(maker, name),
        "delete": lambda name: delete(maker, name),
    }


def create(maker: Maker, name: str, text: str) -> None:
    """Make the cluster, or adopt the one that this checkout made from the same configuration."""
    order = maker.order(text)
    with docker.alone(name):
        nodes = maker.containers(name)
        match ownership.of(name, nodes):
            case ownership.Stands.OURS:
                _wake(maker, name, nodes)
                refusals.other_config(maker, name, order)
            case ownership.Stands.FOREIGN:
                refusals.foreign(maker, name, order)
            case ownership.Stands.HALF:
                _remove(maker, name)
                _make(maker, name, order)
            case ownership.Stands.NOT:
                _make(maker, name, order)


def ready(maker: Maker, name: str) -> None:
    """Wait until every node of a new cluster is ready."""
    _wait(maker, name, maker.containers(name))


def start(maker: Maker, name: str) -> None:
    """Start what stopped, reconnect what lost its network, and wait until every node is ready; often all is well."""
    nodes = maker.containers(name)
    if ownership.of(name, nodes) is not ownership.Stands.OURS:
        place.gone(name)
    _wake(maker, name, nodes)


def delete(maker: Maker, name: str) -> None:
    """Remove the cluster if it is there and ours, and with the last one the lab's network."""
    with docker.alone(name):
        stands = ownership.of(name, maker.containers(name))
        if stands in (ownership.Stands.OURS, ownership.Stands.HALF):
            generations.let_importers_move(name)
            _remove(maker, name)
        if stands is ownership.Stands.FOREIGN:
            what = f"cluster {name} is left alone: what has that name now was not made by this checkout"
            print(docker.Trouble(what, f"if nobody needs it: {maker.removal(name)}"), file=sys.stderr)
        ownership.forget(name)
    network.remove()


def _make(maker: Maker, name: str, order: Order) -> None:
    _refuse_without_memory(name)
    with network.in_use():
        ownership.begin(name, f"{place.SCRIPT_PREFIX}{maker.program}")
        done = maker.make(name, order.text)
    if done.returncode:
        _withdraw(maker, name, done)
        refusals.explain(maker, name, order, done)
    ownership.complete(name, attachment.addresses(maker.lasting(name, maker.containers(name))))


def _remove(maker: Maker, name: str) -> None:
    done = maker.remove(name)
    if done.returncode:
        docker.fail(done)


def _wake(maker: Maker, name: str, nodes: list[docker.Node]) -> None:
    if not place.kubeconfig(name).exists():
        told = maker.kubeconfig(name)
        if told.returncode:
            docker.fail(told)
        place.write_secret(place.kubeconfig(name), told.stdout)
    attachment.mend(maker.lasting(name, nodes), ownership.addresses(name))
    _wait(maker, name, nodes)


def _wait(maker: Maker, name: str, nodes: list[docker.Node]) -> None:
    readiness.wait(name, maker.members(name, nodes), maker.logs(name))


def _withdraw(maker: Maker, name: str, failed: docker.Done) -> None:
    """Claim nothing where nothing is left of ours: another checkout may take the name before we try again.

    Such programs remove what they began, and begin nothing where the name is taken.
    """
    if maker.taken in failed.stderr or not maker.containers(name):
        ownership.forget(name)
    network.remove()


def _refuse_without_memory(name: str) -> None:
    shortage = limits.memory(limits.read())
    if shortage and shortage.fatal:
        sys.exit(str(docker.Trouble(f"cluster {name} is not begun: {shortage.what}", shortage.fix)))
