"""The identity of existing clusters: the UID of the namespace kube-system, whatever kubeconfig leads to the cluster."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mesh_federation.stack.problem import Problem


@dataclass(frozen=True)
class Recorded:
    """What the last `up` recorded of an existing cluster.

    Attributes:
        name: its real name, which never changes.
        uid: UID of its namespace kube-system; empty if the `up` was interrupted.
    """

    name: str
    uid: str


def findings(
    recorded: Mapping[str, Recorded], found: Mapping[str, str], declared: Collection[str]
) -> Iterator[Problem]:
    """Yield a problem for each declared cluster that is not the cluster with the stack's objects.

    Args:
        recorded: existing clusters in the last `up`, by logical name.
        found: UIDs of the declared existing clusters that answered, by logical name.
        declared: logical names of the declared existing clusters.
    """
    for name, uid in found.items():
        was = recorded.get(name)
        if was and was.uid and was.uid != uid:
            yield _another(name, was.uid, uid)
    before: dict[str, str] = {}
    for name, uid in sorted(found.items(), key=lambda one: (one[0] not in recorded, one[0])):
        first = before.setdefault(uid, name)
        if first != name:
            yield _twice(first, name, uid)
    gone = {each.uid: name for name, each in recorded.items() if name not in declared and each.uid}
    for name, uid in found.items():
        if name not in recorded and uid in gone:
            yield _renamed(gone[uid], name, uid)


def _another(name: str, was: str, uid: str) -> Problem:
    return Problem(
        f"clusters.{name}.kubeconfig",
        "another-cluster",
        f"it leads to the cluster {uid} (UID of its namespace kube-system), but {name} was {was} at the last `up`: what"
        " the stack made is there, and would be looked for here",
        f"name the kubeconfig and context of {was}; or give the other cluster a key of its own under clusters, and"
        f" remove {name}, whose objects the next `up` then deletes where they are",
    )


def _twice(first: str, second: str, uid: str) -> Problem:
    return Problem(
        f"clusters.{second}.kubeconfig",
        "one-cluster-twice",
        f"{first} and {second} are one cluster, {uid} (UID of its namespace kube-system): each would overwrite the"
        " mesh of the other",
        f"remove {second}, or name the kubeconfig and context of another cluster",
    )


def _renamed(old: str, new: str, uid: str) -> Problem:
    return Problem(
        f"clusters.{new}",
        "cluster-renamed",
        f"{new} is the cluster {uid} (UID of its namespace kube-system), which was {old} at the last `up`: its objects"
        f" would be made anew under {new}, over themselves, and then deleted as those of {old}",
        f"write {old} again; to change the name, remove {old} with an `up` of its own, which takes its mesh down, and"
        f" then add {new}",
    )
