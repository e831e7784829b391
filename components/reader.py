"""The component Reader."""

from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs.remote_reader import JOB, RemoteReaderSettings
from mesh_federation.plan.discovery import DiscoveryPlan
from mesh_federation.resources.job import PRINTED, environment
from mesh_federation.resources.objects import ClusterTarget, create_planned


@dataclass(frozen=True)
class ReaderArgs:
    """Inputs of a Reader.

    Attributes:
        plan: the cluster that reads and the one that is read.
        kubeconfig: of the cluster that is read; secret.
        target: the cluster that is read.
        namespace: of the account.
    """

    plan: DiscoveryPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    namespace: pulumi.Resource


class Reader(pulumi.ComponentResource):
    """**mesh-federation:index:Reader** - the account as which the istiod of another cluster reads this one.

    Resources: a ServiceAccount with a ClusterRole, a Role and their bindings, and a Command that requests its token.

    Attributes:
        kubeconfig: with which that istiod reads; secret.
    """

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: ReaderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Let another cluster's istiod read this one.

        Args:
            name: of the component.
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Reader", name, None, opts)
        plan, target = args.plan, args.target
        made = create_planned(plan.reader_objects, target, self, [args.namespace])
        token = local.Command(
            f"{name}-token",
            create=JOB.command(),
            stdin=args.kubeconfig,
            environment=environment(
                RemoteReaderSettings(
                    cluster=plan.of,
                    reader=plan.cluster,
                    account=str(plan.account),
                    hours=plan.hours,
                    server=plan.server,
                    from_pod=not plan.simulated,
                )
            ),
            triggers=[target.provider.id],
            logging=local.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(made.values()),
                deleted_with=target.deleted_with,
                additional_secret_outputs=PRINTED,
            ),
        )
        self.kubeconfig = pulumi.Output.secret(token.stdout)
        # Not the kubeconfig: the SDK writes a component's outputs in plain text to its debug log, and so to event logs.
        self.register_outputs({})
