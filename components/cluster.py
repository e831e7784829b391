"""A cluster: made by its provisioner's script, reached through one provider, identified by its creation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from components.objects import Body, Place, patch
from model import locality
from model.provisioning import Provision

SCRIPTS = "python3 -m components.provisioners"
"""Run in the project's folder, so that a checkout that moves changes nothing."""
PRINTED = ["stdout", "stderr"]
"""Outputs of a Command that are secret because an input is: the official plugin keeps what it prints in plain text."""


@dataclass(frozen=True)
class ClusterArgs:
    """Inputs of a Cluster.

    Attributes:
        provision: how it is made.
        stack: name of the Pulumi stack.
        locality: of its nodes, `region[/zone[/subzone]]`.
        objects: everything that the stack will make in the cluster, where that must not be there yet; else nothing.
    """

    provision: Provision
    stack: str
    locality: str
    objects: Sequence[Body] = ()


class Cluster(pulumi.ComponentResource):
    """**mesh-federation:index:Cluster** - one Kubernetes cluster, new or existing.

    Produces a Command that makes it, one that reads its kubeconfig, one that waits for its nodes where they take their
    time, the Kubernetes provider for all that is in it, and a NodePatch for each node of ours, by which Istio knows
    where its pods are. Its identity is the id of the first: replacing it replaces exactly what is in the cluster.

    Attributes:
        kubeconfig: secret; context and names are the logical name.
        provider: the only way into the cluster.
        place: where objects of this cluster are created.
    """

    kubeconfig: pulumi.Output[str]
    provider: kubernetes.Provider
    place: Place

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the cluster.

        Args:
            name: its logical name.
            args: how it is made.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Cluster", name, None, opts)
        made = args.provision
        script = f"{SCRIPTS}.{made.provisioner}"
        create = local.Command(
            f"{name}-create",
            create=f"{script} create",
            update="true",  # a changed script must not touch a cluster that runs
            delete=f"{script} delete",
            environment={"CLUSTER": made.name, "STACK": args.stack, **made.environment},
            stdin=made.config,
            triggers=[made.generation],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # A replaced cluster must be read again, and only a property says so to the engine: depends_on does not.
        read = local.Command(
            f"{name}-kubeconfig",
            create=f"{SCRIPTS}.kubeconfig create",
            update="true",
            delete=f"{SCRIPTS}.kubeconfig delete",
            environment={"CLUSTER": made.name, "CONTEXT": name, "STACK": args.stack},
            triggers=[create.id],
            logging=local.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=PRINTED),
        )
        self.kubeconfig = pulumi.Output.secret(read.stdout)
        self.provider = kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig,
            cluster_identifier=create.id,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        deleted_with = create if made.ours else None
        nodes = self._nodes(name, made, create, read) if made.boots else None
        self.place = Place(name, self.provider, args.stack, deleted_with, self._claim(name, args), nodes)
        for index, node in enumerate(made.nodes):
            patch(f"{name}:node-{index}", locality.node(node, args.locality), self.place, self)
        # Not the kubeconfig: the SDK writes a component's outputs in plain text to its debug log, and so to event logs.
        self.register_outputs({"provider": self.provider})

    def _nodes(self, name: str, made: Provision, create: local.Command, read: local.Command) -> local.Command:
        """Wait until nodes are ready, while all that is no pod is made already."""
        return local.Command(
            f"{name}-nodes",
            create=f"{SCRIPTS}.{made.provisioner} ready",
            update="true",
            environment={"CLUSTER": made.name, **made.environment},
            triggers=[create.id],
            add_previous_output_in_env=False,
            # Scripts on one cluster wait for each other, and all that is no pod waits for the kubeconfig alone.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[read], deleted_with=create),
        )

    def _claim(self, name: str, args: ClusterArgs) -> local.Command | None:
        """Refuse to take over what others made, before anything is touched."""
        if not args.objects:
            return None
        identities = sorted((_identity(body) for body in args.objects), key=lambda identity: sorted(identity.items()))
        return local.Command(
            f"{name}-claim",
            create=f"{SCRIPTS}.claim",
            stdin=json.dumps(identities, indent=1),
            environment={"CLUSTER": name, "STACK": args.stack, "KUBECONFIG_TEXT": self.kubeconfig},
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=PRINTED),
        )


def _identity(body: Body) -> dict[str, str]:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    return {
        "apiVersion": str(body["apiVersion"]),
        "kind": str(body["kind"]),
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata["name"]),
    }
