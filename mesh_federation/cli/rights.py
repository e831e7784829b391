"""`mesh observe --rbac`: prints the rights that a stack needs in a cluster whose Istio belongs to others."""

import sys
from pathlib import Path

from mesh_federation.cli import stacks
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.observe import declared, of_others
from mesh_federation.cli.streams import tell
from mesh_federation.plan.federation import plan
from mesh_federation.plan.rights import Subject, rights
from mesh_federation.stack import yaml_writer
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.text import excerpt

RULE = "no-rights"


def print_rights(stack: str, overlay: Path | None, subject: str, cluster: str) -> None:
    """Print roles and bindings for the owner of one cluster, to read and to apply.

    Args:
        stack: the stack.
        overlay: over the stack file.
        subject: who is to have the rights: User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME.
        cluster: which; empty for the only one whose Istio belongs to others.

    Raises:
        Refused: it is not clear who or which cluster is meant.
    """
    whom = read_subject(subject)
    workspace = stacks.checkout(stack, overlay)
    theirs = {each.name: each for each in of_others(declared(workspace, stack), stack)}
    name = stacks.chosen(cluster, list(theirs), "clusters with an Istio of others")
    federation = stacks.valid_or_none(workspace, stack)
    if federation is None:
        tell(f"these rights are for `mesh observe` alone, as {stack} is not valid yet: observe, then ask again")
    linked = plan(federation, stack).clusters[name] if federation else None
    namespace = theirs[name].istio_namespace
    sys.stdout.write("---\n".join(map(yaml_writer.write, rights(stack, whom, namespace, linked))))
    if theirs[name].observed is None and theirs[name].istio.namespace is None:
        tell(f"if istiod is in another namespace than {namespace}, declare it first: clusters.{name}.istio.namespace")
    tell(f"the owner of {name} reads this, and applies it: kubectl apply --filename=-")


def read_subject(text: str) -> Subject:
    """Return the subject that a text means.

    Raises:
        Refused: it means none.
    """
    kind, _, name = text.partition(":")
    namespace, _, account = name.rpartition("/")
    if kind == "ServiceAccount" and namespace and account and "/" not in namespace:
        return Subject(kind, account, namespace)
    if kind in ("User", "Group") and name:
        return Subject(kind, name)
    fix = "write User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME"
    raise Refused(Problem("", RULE, f"{excerpt(text)} names nobody who could have rights", fix))
