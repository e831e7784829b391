"""Jobs in a cluster: each is a Command that reaches it by its kubeconfig."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pulumi
from pulumi_command import local

from mesh_federation import document
from mesh_federation.jobs.job import Job
from mesh_federation.resources.objects import ClusterTarget

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PRINTED = ["stdout", "stderr"]
"""Outputs of a Command that are secret because an input is: the official plugin keeps what it prints in plain text."""

Settings = TypeVar("Settings", bound="DataclassInstance")


@dataclass(frozen=True)
class JobArgs(Generic[Settings]):
    """Inputs of a job.

    Attributes:
        job: which job.
        settings: its document; an Output if some of it is known only when resources are created.
        triggers: values whose change makes it run again; the cluster's provider among them, for a new cluster.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: resources that must exist before.
    """

    job: Job[Settings]
    settings: Settings | pulumi.Output[Settings]
    triggers: Sequence[pulumi.Input[str]]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


def run(name: str, args: JobArgs[Settings], parent: pulumi.Resource) -> local.Command:
    """Run the job when its resource is created; only deleting the cluster undoes its effects."""
    return local.Command(
        name,
        create=args.job.command(),
        stdin=args.kubeconfig,
        environment=environment(args.settings),
        triggers=list(args.triggers),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(args.after),
            deleted_with=args.target.deleted_with,
            additional_secret_outputs=PRINTED,
        ),
    )


def environment(settings: Settings | pulumi.Output[Settings]) -> dict[str, pulumi.Input[str]]:
    """Return the environment of a job's Command: its document."""
    known = settings.apply(document.write) if isinstance(settings, pulumi.Output) else document.write(settings)
    return {document.VARIABLE: known}
