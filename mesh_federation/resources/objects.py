"""Kubernetes objects: one Pulumi resource per object, always in a named cluster.

Generated classes of pulumi-kubernetes differ only in their type token, which follows from a body; registering bodies
directly treats every object alike, also those of rendered charts, and saves their import.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pulumi

from mesh_federation.jobs.ownership_check import CLUSTER, OWNER, OWNER_ID, WAS_THERE, named
from mesh_federation.plan.objects import Fill, PlannedObject, with_field

Body = Mapping[str, object]
"""A Kubernetes object, or one whose leaves may be Outputs."""

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""A Service's own wait takes ten seconds after its last endpoint; its workloads are waited for anyway."""
WAIT_FOR_ADDRESS = {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}
"""For a Service whose load balancer is ours, and must assign the address that the Service requests."""

DECLARED_WINS = {"pulumi.com/patchForce": "true"}
"""Without it a manual edit owns its field, and every later refresh fails on the conflict."""

OF_PODS = ("Deployment", "DaemonSet")
"""Kinds that wait for nodes: a node that never gets ready is then reported as such, not as pods that do not start."""

READY_WITHIN = pulumi.CustomTimeouts(create="5m", update="5m")
"""By default an object that never gets ready, or never gets its address, would block the engine for ten minutes."""


class ClusterTarget(NamedTuple):
    """The cluster in which objects are created.

    Attributes:
        cluster: its logical name; prefixes every resource's name.
        provider: of all its objects.
        stack: name of the Pulumi stack; every object carries it as a label.
        deleted_with: the resource whose deletion deletes all of them; None on existing clusters.
        claim: check that must succeed before the first of them; None where nothing can be somebody else's.
        nodes: wait for the nodes; None where they are ready when the cluster is made.
        owner: on existing clusters, value of the label by which objects of this stack are known.
        adopted: objects that existed before the stack, and outlive it; `Kind namespace/name`.
    """

    cluster: str
    provider: pulumi.ProviderResource
    stack: str
    deleted_with: pulumi.Resource | None = None
    claim: pulumi.Resource | None = None
    nodes: pulumi.Resource | None = None
    owner: pulumi.Output[str] | None = None
    adopted: frozenset[str] = frozenset()

    def has_adopted(self, body: Body) -> bool:
        """Say whether an object existed before the stack."""
        return named(body) in self.adopted


class KubernetesObject(pulumi.CustomResource):
    """One object of the Kubernetes API, registered under pulumi-kubernetes' own type token."""

    token_suffix = ""

    def __init__(self, name: str, body: Body, opts: pulumi.ResourceOptions) -> None:
        """Register the object.

        Args:
            name: of the resource, unique in the stack.
            body: with apiVersion and kind.
            opts: must name a provider.
        """
        group_version = str(body["apiVersion"])
        group_version = group_version if "/" in group_version else f"core/{group_version}"
        token = f"kubernetes:{group_version}:{body['kind']}{self.token_suffix}"
        super().__init__(token, name, {"status": None, **body}, opts)

    @property
    def observed(self) -> pulumi.Output[object]:
        """The object's status on the API server, once the object is ready."""
        status: pulumi.Output[object] = pulumi.get(self, "status")
        return status

    @property
    def uid(self) -> pulumi.Output[str]:
        """UID: another object of the same name, before or after it, has another one."""
        metadata: pulumi.Output[dict[str, str]] = pulumi.get(self, "metadata")
        return metadata.apply(lambda made: made.get("uid", ""))

    @property
    def spec(self) -> pulumi.Output[object]:
        """The object's spec, as the API server has completed it."""
        spec: pulumi.Output[object] = pulumi.get(self, "spec")
        return spec

    def translate_output_property(self, prop: str) -> str:
        """Keep the API's own names."""
        return prop

    def translate_input_property(self, prop: str) -> str:
        """Keep the API's own names."""
        return prop


class KubernetesPatch(KubernetesObject):
    """Some fields of an object that others made; its other fields are theirs."""

    token_suffix = "Patch"


def create(
    body: Body,
    target: ClusterTarget,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
    service_wait: Mapping[str, str] = SKIP_AWAIT,
) -> KubernetesObject:
    """Create one object in a cluster.

    The engine never deletes a Namespace: it would delete what others have in it (namespaces.py).

    Args:
        body: the object.
        target: the cluster.
        parent: component that it belongs to.
        depends_on: resources that must exist before it.
        service_wait: annotations that say what the engine waits for after it created a Service; nothing if left out.
    """
    first = (target.claim, target.nodes if body["kind"] in OF_PODS else None)
    opts = pulumi.ResourceOptions(
        parent=parent,
        provider=target.provider,
        deleted_with=target.deleted_with,
        retain_on_delete=body["kind"] == "Namespace" or target.has_adopted(body) or None,
        depends_on=[*depends_on, *(each for each in first if each)],
        custom_timeouts=READY_WITHIN if body["kind"] in ("Deployment", "Service") else None,
        additional_secret_outputs=["data", "stringData"] if body["kind"] == "Secret" else None,
    )
    annotated = _annotated(body, service_wait) if body["kind"] == "Service" else body
    return KubernetesObject(resource_name(body, target.cluster), _owned(annotated, target), opts)


def create_planned(
    objects: Iterable[PlannedObject],
    target: ClusterTarget,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
    values: Mapping[str, pulumi.Output[object]] | None = None,
) -> dict[str, KubernetesObject]:
    """Create the planned objects of a component, each after those of them that it waits for.

    Args:
        objects: with names that differ; charts and manifests of users may break that.
        target: the cluster.
        parent: component that they belong to.
        depends_on: resources that must exist before any of them.
        values: of their open fields, by name.

    Returns:
        Their resources, by the objects' names, in the order of the objects.

    Raises:
        pulumi.RunError: two of them have one name, and one would be left out.
    """
    planned: dict[str, PlannedObject] = {}
    for each in objects:
        if each.name in planned:
            raise pulumi.RunError(f"cluster {target.cluster}: {each.name} is rendered twice by its chart or manifest")
        planned[each.name] = each
    made: dict[str, KubernetesObject] = {}

    def created(name: str) -> KubernetesObject:
        if name not in made:
            before = [created(other) for other in planned[name].after]
            made[name] = create(filled(planned[name], values or {}), target, parent, [*depends_on, *before])
        return made[name]

    return {name: created(name) for name in planned}


def filled(planned: PlannedObject, values: Mapping[str, pulumi.Output[object]]) -> Body:
    """Return the body of a planned object, with Outputs in the fields that the plan leaves open."""
    body = planned.body
    for fill in planned.fills:
        known = pulumi.Output.all(*(values[name] for name in fill.needs))
        body = with_field(body, fill.path, known.apply(partial(_computed, fill)))
    return body


def _computed(fill: Fill, values: Sequence[object]) -> object:
    try:
        return fill.compute(*values)
    except ValueError as unusable:
        raise pulumi.RunError(str(unusable)) from None


def patch(name: str, body: Body, target: ClusterTarget, parent: pulumi.Resource) -> KubernetesPatch:
    """Set some fields of an object that the cluster itself creates.

    Args:
        name: of the resource.
        body: the object's name and those fields.
        target: the cluster.
        parent: component that it belongs to.
    """
    opts = pulumi.ResourceOptions(parent=parent, provider=target.provider, deleted_with=target.deleted_with)
    return KubernetesPatch(name, _owned(body, target), opts)


def resource_name(body: Body, cluster: str) -> str:
    """Name a resource after its object: cluster:namespace/name, or cluster:name without a namespace."""
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    namespace = metadata.get("namespace")
    return f"{cluster}:{namespace}/{metadata['name']}" if namespace else f"{cluster}:{metadata['name']}"


def marks(target: ClusterTarget) -> dict[str, pulumi.Input[str]]:
    """Labels by which objects of the stack are known."""
    return {OWNER: target.stack, **({OWNER_ID: target.owner, CLUSTER: target.cluster} if target.owner else {})}


def _owned(body: Body, target: ClusterTarget) -> Body:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    labels = {**(metadata.get("labels") or {}), **marks(target)}
    kept = {WAS_THERE: "true"} if target.has_adopted(body) else {}
    annotations = {**(metadata.get("annotations") or {}), **DECLARED_WINS, **kept}
    return {**body, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def _annotated(body: Body, annotations: Mapping[str, str]) -> Body:
    metadata = body["metadata"]
    assert isinstance(metadata, Mapping)
    return {**body, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}}
