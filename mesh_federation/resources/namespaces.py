"""Namespaces: none is deleted while it holds objects of others."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_command import local

from mesh_federation.jobs.namespace import JOB, NamespaceSettings
from mesh_federation.plan.objects import PlannedObject
from mesh_federation.resources.job import PRINTED, environment
from mesh_federation.resources.objects import Body, ClusterTarget, KubernetesObject, create, marks


def create_namespaces(
    planned: Sequence[PlannedObject],
    kubeconfig: pulumi.Output[str],
    target: ClusterTarget,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource] = (),
) -> list[KubernetesObject]:
    """Create namespaces; each after a Command that makes it if it does not exist, and that removes it last of all.

    Args:
        planned: the namespaces.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        parent: component that they belong to.
        after: resources that must exist before them.
    """
    return [
        create(each.body, target, parent, [_lifecycle(each.body, kubeconfig, target, parent, after)])
        for each in planned
    ]


def _lifecycle(
    body: Body,
    kubeconfig: pulumi.Output[str],
    target: ClusterTarget,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> local.Command:
    """Remember who made the namespace: the engine retains it, as it cannot know what others have in it."""
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
