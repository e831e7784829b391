"""A cluster: made by the job of its provider, reached through one Pulumi provider, identified by its creation."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import local

from mesh_federation.clusters import kubectl
from mesh_federation.clusters.settings import ClusterSettings
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.jobs import kubeconfig, ownership_check
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.jobs.ownership_check import OwnershipCheckSettings
from mesh_federation.plan import locality
from mesh_federation.plan.provisioning import Provision
from mesh_federation.resources.job import PRINTED, environment
from mesh_federation.resources.objects import Body, ClusterTarget, patch

OWNER_DIGITS = 16


@dataclass(frozen=True)
class ClusterArgs:
    """Inputs of a Cluster.

    Attributes:
        provision: how it is made.
        stack: name of the Pulumi stack.
        locality: of its nodes, `region[/zone[/subzone]]`.
        objects: everything that the stack will make in the cluster, where that is not ours; else nothing.
        adopt: objects of others are to be taken over, or at least looked at for that.
        adopted: those that are; `Kind namespace/name`.
    """

    provision: Provision
    stack: str
    locality: str
    objects: Sequence[Body] = ()
    adopt: bool = False
    adopted: Sequence[str] = ()


class Cluster(pulumi.ComponentResource):
    """**mesh-federation:index:Cluster** - one Kubernetes cluster, new or existing.

    Produces a Command that makes it, one that reads its kubeconfig, one that waits for its nodes where they take their
    time, the Kubernetes provider for all that is in it, and a NodePatch for each node of ours, by which Istio knows
    where its pods are. Its identity is the id of the first: replacing it replaces exactly what is in the cluster.
    A cluster that exists already is only asked which one it is, and claimed; its kubeconfig is no part of the state.

    Attributes:
        name: its real name.
        kubeconfig: secret, where the cluster is ours; else the name of the file that every run keeps.
        uid: of a cluster that is not ours, which it is.
        provider: the only way into the cluster.
        target: where objects of this cluster are created.
    """

    name: str
    kubeconfig: pulumi.Output[str]
    uid: pulumi.Output[str] | None
    provider: kubernetes.Provider
    target: ClusterTarget

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the cluster.

        Args:
            name: its logical name.
            args: how it is made.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:Cluster", name, None, opts)
        made = args.provision
        self.name = made.name
        job = JOBS[made.provider.name]
        create = local.Command(
            f"{name}-create",
            create=job.command("create"),
            # A changed script must not touch a cluster that runs; one that is not ours is asked which one it is.
            update="true" if made.provider.ours else job.command("update"),
            delete=job.command("delete"),
            environment=environment(made.settings),
            triggers=[made.generation],
            add_previous_output_in_env=not made.provider.ours,
            opts=pulumi.ResourceOptions(parent=self),
        )
        read = self._read(name, made, create) if made.provider.ours else None
        reference = kubectl.reference(made.name)
        self.kubeconfig = pulumi.Output.secret(read.stdout) if read else create.id.apply(lambda _: reference)
        self.uid = None if made.provider.ours else create.stdout
        self.provider = kubernetes.Provider(
            name,
            kubeconfig=self.kubeconfig if made.provider.ours else self.kubeconfig.apply(_file),
            cluster_identifier=create.id,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        owner = None if made.provider.ours else create.id.apply(_owner)
        self.target = ClusterTarget(
            name,
            self.provider,
            args.stack,
            deleted_with=create if made.provider.ours else None,
            claim=self._claim(name, args, owner) if owner else None,
            nodes=self._nodes(name, made, create, read) if read and made.provider.boots else None,
            owner=owner,
            adopted=frozenset(args.adopted),
        )
        for index, node in enumerate(made.nodes):
            patch(f"{name}:node-{index}", locality.node(node, args.locality), self.target, self)
        # Not the kubeconfig: the SDK writes a component's outputs in plain text to its debug log, and so to event logs.
        self.register_outputs({"provider": self.provider})

    def _read(self, name: str, made: Provision, create: local.Command) -> local.Command:
        """Read the kubeconfig of a cluster of ours; a replaced one is read again.

        Only a property says so to the engine: depends_on does not.
        """
        return local.Command(
            f"{name}-kubeconfig",
            create=kubeconfig.JOB.command("create"),
            update="true",
            delete=kubeconfig.JOB.command("delete"),
            environment=environment(ClusterSettings(made.name, name, made.settings.stack)),
            triggers=[create.id],
            logging=local.Logging.NONE,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=PRINTED),
        )

    def _nodes(self, name: str, made: Provision, create: local.Command, read: local.Command) -> local.Command:
        """Wait until nodes are ready, while all that is no pod is made already."""
        return local.Command(
            f"{name}-nodes",
            create=JOBS[made.provider.name].command("ready"),
            update="true",
            environment=environment(made.settings),
            triggers=[create.id],
            add_previous_output_in_env=False,
            # Scripts on one cluster wait for each other, and all that is no pod waits for the kubeconfig alone.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[read], deleted_with=create),
        )

    def _claim(self, name: str, args: ClusterArgs, owner: pulumi.Output[str]) -> local.Command:
        """Refuse to take over what others made, before anything is touched."""
        wanted = [{**_identity(body), **({"body": body} if args.adopt else {})} for body in args.objects]
        wanted.sort(key=lambda each: [str(each[key]) for key in ("apiVersion", "kind", "name", "namespace")])

        def settings(known: Sequence[str]) -> OwnershipCheckSettings:
            return OwnershipCheckSettings(
                cluster=name,
                stack=args.stack,
                owner_id=known[0],
                kubeconfig=known[1],
                adopted=tuple(sorted(args.adopted)),
            )

        return local.Command(
            f"{name}-claim",
            create=ownership_check.JOB.command(),
            stdin=json.dumps(wanted, indent=1),
            environment=environment(pulumi.Output.all(owner, self.kubeconfig).apply(settings)),
            logging=local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=PRINTED),
        )


def _owner(creation: str) -> str:
    """Return what tells objects of this stack, in this cluster, from those of any other.

    The id of the create command is made once, at random, and kept in the state alone. It identifies the provider too: a
    provider that is another one finds the objects of the one before to be somebody else's, and touches nothing.
    """
    return sha256(creation.encode()).hexdigest()[:OWNER_DIGITS]


def _file(reference: str) -> str:
    """Return the path of a kept kubeconfig, the same in every checkout whose own folder is in its usual place."""
    file, here = Workdir.of(os.environ).home / reference, Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _identity(body: Body) -> dict[str, object]:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    return {
        "apiVersion": str(body["apiVersion"]),
        "kind": str(body["kind"]),
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata["name"]),
    }
