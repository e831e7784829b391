"""Jobs in a cluster that is there: each is a Command that reaches it by its kubeconfig."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation import jobs
from mesh_federation.resources.objects import ClusterTarget

PRINTED = ["stdout", "stderr"]
"""Outputs of a Command that are secret because an input is: the official plugin keeps what it prints in plain text."""


@dataclass(frozen=True)
class JobArgs:
    """What a job needs to run.

    Attributes:
        job: its name (jobs/__main__.py).
        environment: its settings.
        triggers: values whose change makes it run again; the cluster's provider among them, as a new cluster is one.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        after: what must exist before.
    """

    job: str
    environment: Mapping[str, pulumi.Input[str]]
    triggers: Sequence[pulumi.Input[str]]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    after: Sequence[pulumi.Resource]


def run(name: str, args: JobArgs, parent: pulumi.Resource) -> local.Command:
    """Run the job when its resource is made; nothing that it did is undone but by the end of the cluster."""
    return local.Command(
        name,
        create=jobs.command(args.job),
        stdin=args.kubeconfig,
        environment=args.environment,
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
