"""A reader: an account in one cluster as which another cluster's istiod reads it, and its credentials."""

from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs.remote_reader import JOB, RemoteReaderSettings
from mesh_federation.plan import discovery
from mesh_federation.resources.job import PRINTED, environment
from mesh_federation.resources.objects import ClusterTarget, create, create_all


@dataclass(frozen=True)
class ReaderArgs:
    """Inputs of a Reader.

    Attributes:
        plan: who reads whom.
        kubeconfig: of the cluster that is read; secret.
        target: the cluster that is read.
        namespace: in which the account is.
    """

    plan: discovery.DiscoveryPlan
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    namespace: pulumi.Resource


class Reader(pulumi.ComponentResource):
    """**mesh-federation:index:Reader** - the right to read a cluster, for the istiod of another.

    Produces a ServiceAccount with a ClusterRole, a Role and their bindings, and a Command that asks for its token.

    Attributes:
        kubeconfig: with which that istiod reads; secret.
    """

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: ReaderArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Let another cluster's istiod read this one.

        Args:
            name: of the component.
            args: who reads whom.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Reader", name, None, opts)
        plan, target = args.plan, args.target
        account = create(discovery.account(plan), target, self, [args.namespace])
        rights = create_all(discovery.rights(plan), target, self, [args.namespace])
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
                depends_on=[account, *rights],
                deleted_with=target.deleted_with,
                additional_secret_outputs=PRINTED,
            ),
        )
        self.kubeconfig = pulumi.Output.secret(token.stdout)
        # Not the kubeconfig: the SDK writes a component's outputs in plain text to its debug log, and so to event logs.
        self.register_outputs({})
