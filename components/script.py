"""Scripts that work in a cluster that is there: each is a Command that reaches it by its kubeconfig."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from components.cluster import PRINTED, SCRIPTS
from components.objects import Place


@dataclass(frozen=True)
class ScriptArgs:
    """What a script needs to run.

    Attributes:
        module: its name in components/provisioners.
        environment: its settings.
        triggers: values whose change makes it run again; the cluster's provider among them, as a new cluster is one.
        kubeconfig: of the cluster; secret.
        place: the cluster.
        after: what must exist before.
    """

    module: str
    environment: Mapping[str, pulumi.Input[str]]
    triggers: Sequence[pulumi.Input[str]]
    kubeconfig: pulumi.Output[str]
    place: Place
    after: Sequence[pulumi.Resource]


def run(name: str, args: ScriptArgs, parent: pulumi.Resource) -> local.Command:
    """Run the script when its resource is made; nothing that it did is undone but by the end of the cluster."""
    return local.Command(
        name,
        create=f"{SCRIPTS}.{args.module}",
        stdin=args.kubeconfig,
        environment=args.environment,
        triggers=list(args.triggers),
        logging=local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(args.after),
            deleted_with=args.place.deleted_with,
            additional_secret_outputs=PRINTED,
        ),
    )
