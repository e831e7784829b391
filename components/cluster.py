"""The component Cluster."""

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
from mesh_federation.jobs.prerequisites import Prerequisite
from mesh_federation.plan import locality
from mesh_federation.plan.objects import PlannedObject
from mesh_federation.plan.provisioning import Provision
from mesh_federation.resources.job import PRINTED, environment
from mesh_federation.resources.objects import Body, ClusterTarget, patch
from mesh_federation.resources.prerequisites import check_prerequisites

OWNER_DIGITS = 16


@dataclass(frozen=True)
class ClusterArgs:
    """Inputs of a Cluster.

    Attributes:
        provision: how it is made.
        stack: name of the Pulumi stack.
        locality: of its nodes, `region[/zone[/subzone]]`.
        objects: everything that the stack will create in the cluster, where it exists already; else none.
        prerequisites: objects that others must have made in it before.
        adopt: objects of others may be adopted, so that the ownership check compares them.
        adopted: objects of others that are adopted; `Kind namespace/name`.
        has_istio: Istio is in it already, so that its API server can be asked before anything is made whether it would
            admit all objects.
    """

    provision: Provision
    stack: str
    locality: str
    objects: Sequence[PlannedObject] = ()
    prerequisites: Sequence[Prerequisite] = ()
    adopt: bool = False
    adopted: Sequence[str] = ()
    has_istio: bool = False


class Cluster(pulumi.ComponentResource):
    """**mesh-federation:index:Cluster** - one Kubernetes cluster, new or existing.

    Resources: a Command that makes it, one that reads its kubeconfig, one that waits for its nodes if they boot, the
    Kubernetes provider for all its objects, and a NodePatch for each of its nodes, from which Istio learns the locality
    of its pods. Its identity is the id of the first: replacing it replaces exactly the objects in the cluster. For an
    existing cluster, a Command that identifies it, one that checks that no object of the stack is somebody else's, and
    one that checks the prerequisites; its kubeconfig is no part of the state.

    Attributes:
        name: its real name.
        kubeconfig: secret, where this stack makes the cluster; else the name of the file that every run keeps.
        uid: of an existing cluster; else None.
        provider: of all objects in the cluster.
        target: for creating objects in the cluster.
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
            args: inputs.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:Cluster", name, None, opts)
        made = args.provision
        self.name = made.name
        job = JOBS[made.provider.name]
        create = local.Command(
            f"{name}-create",
            create=job.command("create"),
            # A changed script must not touch a running cluster; an existing one is identified again.
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
        target = ClusterTarget(
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
            patch(f"{name}:node-{index}", locality.node(node, args.locality), target, self)
        self.target = check_prerequisites(args.prerequisites, self.kubeconfig, target, self)
        # Not the kubeconfig: the SDK writes a component's outputs in plain text to its debug log, and so to event logs.
        self.register_outputs({"provider": self.provider})

    def _read(self, name: str, made: Provision, create: local.Command) -> local.Command:
        """Read the kubeconfig of a cluster that this stack makes; again when the cluster is replaced.

        The engine does so for a changed property only, not for depends_on.
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
        """Wait until nodes are ready; objects that are no pods are created meanwhile."""
        return local.Command(
            f"{name}-nodes",
            create=JOBS[made.provider.name].command("ready"),
            update="true",
            environment=environment(made.settings),
            triggers=[create.id],
            add_previous_output_in_env=False,
            # Scripts of one cluster wait for each other, and objects that are no pods wait for the kubeconfig alone.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[read], deleted_with=create),
        )

    def _claim(self, name: str, args: ClusterArgs, owner: pulumi.Output[str]) -> local.Command:
        """Refuse to take over objects of others, before anything is touched."""
        wanted = [_wanted(planned, args) for planned in args.objects]
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
    """Return the label value that distinguishes objects of this stack in this cluster from those of any other.

    The id of the create command is made once, at random, and kept in the state alone. It identifies the provider too:
    to another provider the objects of the previous one are somebody else's, and it touches none of them.
    """
    return sha256(creation.encode()).hexdigest()[:OWNER_DIGITS]


def _file(reference: str) -> str:
    """Return the path of a kept kubeconfig, the same in every checkout whose own folder is in its usual place."""
    file, here = Workdir.of(os.environ).home / reference, Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _wanted(planned: PlannedObject, args: ClusterArgs) -> dict[str, object]:
    """Return what the ownership check must know of an object."""
    example = planned.example if args.has_istio else None
    return {
        **_identity(planned.body),
        **({"body": planned.body} if args.adopt else {}),
        **({"example": example} if example else {}),
    }


def _identity(body: Body) -> dict[str, object]:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    return {
        "apiVersion": str(body["apiVersion"]),
        "kind": str(body["kind"]),
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata["name"]),
    }
