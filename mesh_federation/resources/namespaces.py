"""Namespaces, which hold what others put into them: none is deleted with anything of theirs in it."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local

from mesh_federation.jobs.namespace import JOB, NamespaceSettings
from mesh_federation.resources.job import PRINTED, environment
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
    name = str(metadata["name"])
    known = pulumi.Output.all(marks=marks(target), maker=target.owner or target.stack)
    settings = known.apply(lambda each: NamespaceSettings(target.cluster, name, each["maker"], each["marks"]))
    return local.Command(
        f"{target.cluster}:{metadata['name']}-namespace",
        create=JOB.command("create"),
        update="true",
        delete=JOB.command("delete"),
        stdin=kubeconfig,
        environment=environment(settings),
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
