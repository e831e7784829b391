"""Namespaces, which hold what others put into them: none is deleted with anything of theirs in it."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local

from mesh_federation import jobs
from mesh_federation.resources.job import PRINTED
from mesh_federation.resources.objects import Body, ClusterTarget, KubernetesObject, create, marks


def create_all(
    bodies: Sequence[Body],
    kubeconfig: pulumi.Output[str],
    target: ClusterTarget,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
) -> list[KubernetesObject]:
    """Create namespaces; each after a Command that makes it where it is not there, and that removes it last of all.

    Args:
        bodies: of the namespaces.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        parent: component that they belong to.
        after: what must exist before them.
    """
    return [create(body, target, parent, [_keeper(body, kubeconfig, target, parent, after)]) for body in bodies]


def _keeper(
    body: Body,
    kubeconfig: pulumi.Output[str],
    target: ClusterTarget,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> local.Command:
    """Know who made the namespace: the engine retains it, as it only knows that it is there."""
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    first = [target.claim] if target.claim else []
    return local.Command(
        f"{target.cluster}:{metadata['name']}-namespace",
        create=jobs.command("namespace", "create"),
        update="true",
        delete=jobs.command("namespace", "delete"),
        stdin=kubeconfig,
        environment={
            "CLUSTER": target.cluster,
            "NAMESPACE": metadata["name"],
            "LABELS": pulumi.Output.json_dumps(marks(target)),
            "STACK": target.owner or target.stack,
        },
        triggers=[target.provider.id],
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=[*after, *first],
            deleted_with=target.deleted_with,
            additional_secret_outputs=PRINTED,
        ),
    )
