"""The rights that a stack needs in a cluster whose Istio belongs to others, as objects of Kubernetes' RBAC.

To observe a mesh takes reading alone. To link it takes rights to make the objects of exports and imports, each kind in
the namespaces where the plan has some, and to try the links out in the pods of both sides.

Sources: https://kubernetes.io/docs/reference/access-authn-authz/rbac/ and .../authorization/ (verbs of requests).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.plan.objects import Body

RBAC = "rbac.authorization.k8s.io"
READ = ("get", "list")
AWAITED = ("get", "list", "watch")
MADE = ("create", "delete", "get", "list", "patch", "watch")
"""Of objects that the stack makes: a server-side apply patches, also what is not there yet."""
TRIED = ("create", "get")
"""Of programs in pods: kubectl asks by GET or POST, by its release."""

OBSERVED: Mapping[str, tuple[str, ...]] = {
    "": ("namespaces",),
    "apps": ("daemonsets", "deployments"),
    "networking.istio.io": ("envoyfilters",),
    "security.istio.io": ("peerauthentications",),
}
"""What `mesh observe` reads in all namespaces, by API group."""
VERIFIED: Mapping[str, tuple[str, ...]] = {
    "": ("pods", "services"),
    "discovery.k8s.io": ("endpointslices",),
    "gateway.networking.k8s.io": ("gateways",),
    "networking.istio.io": ("gateways", "serviceentries"),
    "security.istio.io": ("authorizationpolicies",),
}
"""What `mesh verify` reads beyond that: whatever opens a gateway, takes a name or changes who may call."""
ROLLED_OUT: Mapping[str, tuple[str, ...]] = {
    "": ("events", "persistentvolumeclaims", "pods"),
    "apps": ("replicasets",),
    "discovery.k8s.io": ("endpointslices",),
}
"""What the engine watches while it waits for a gateway; without one of these rights it waits until its time limit."""
GATEWAY_KINDS = (("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ServiceAccount"))
"""What Istio's chart brings for a gateway."""
SCALER, BUDGET = ("autoscaling/v2", "HorizontalPodAutoscaler"), ("policy/v1", "PodDisruptionBudget")
"""What it brings too if values ask for it."""


@dataclass(frozen=True)
class Subject:
    """Who is to have rights.

    Attributes:
        kind: User, Group or ServiceAccount.
        name: of the subject.
        namespace: of a ServiceAccount; else empty.
    """

    kind: str
    name: str
    namespace: str = ""

    @property
    def body(self) -> Body:
        """The subject as a binding has it."""
        place = {"namespace": self.namespace} if self.namespace else {"apiGroup": RBAC}
        return {"kind": self.kind, "name": self.name, **place}


def rights(stack: str, subject: Subject, istio_namespace: str, linked: ClusterPlan | None) -> list[Body]:
    """Return the roles that a stack needs in a cluster, each with its binding.

    Args:
        stack: name of the Pulumi stack, after which all of them are named.
        subject: who is to have them.
        istio_namespace: of istiod.
        linked: the plan of the cluster; None where nothing but `mesh observe` is to be allowed.
    """
    name = f"mesh-federation-{stack}"
    by_namespace: dict[str, list[Body]] = defaultdict(list)
    by_namespace[""] += [*_rules(OBSERVED, READ), *(_rules(VERIFIED, READ) if linked else ())]
    by_namespace[istio_namespace] += _rules({"": ("configmaps",)}, READ)
    for namespace, rules in _linking(linked) if linked else ():
        by_namespace[namespace] += rules
    return [
        *_granted("ClusterRole", {"name": name}, by_namespace.pop(""), subject),
        *(
            each
            for namespace, rules in sorted(by_namespace.items())
            for each in _granted("Role", {"name": name, "namespace": namespace}, rules, subject)
        ),
    ]


def _granted(kind: str, metadata: Body, rules: Sequence[Body], subject: Subject) -> Iterator[Body]:
    """Yield a role and what gives it to the subject."""
    api_version = f"{RBAC}/v1"
    yield {"apiVersion": api_version, "kind": kind, "metadata": metadata, "rules": list(rules)}
    yield {
        "apiVersion": api_version,
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": metadata["name"]},
        "subjects": [subject.body],
    }


def _linking(cluster: ClusterPlan) -> Iterator[tuple[str, list[Body]]]:
    """Yield what a stack must be allowed in each namespace to make its links and to try them out.

    The empty namespace stands for objects that belong to the whole cluster.
    """
    made = _made(cluster)
    for namespace, kinds in made.items():
        yield namespace, list(_rules(kinds, MADE))
        if "deployments" in kinds.get("apps", ()):
            yield namespace, list(_rules(ROLLED_OUT, AWAITED))
    if cluster.has_gateway:
        # It adds nothing to the right to make Deployments, whose pods run anything and mount any Secret.
        yield cluster.gateway.namespace, list(_rules({"": ("pods/exec",)}, TRIED))
    for namespace in sorted(cluster.linked_namespaces or ()):
        yield namespace, list(_rules({"": ("pods/exec", "pods/proxy")}, TRIED))


def _made(cluster: ClusterPlan) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the resources of the objects that the stack makes, by namespace and API group."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for planned in cluster.objects:
        group = _group(str(planned.body["apiVersion"]))
        found[planned.reference.namespace][group].add(_resource(planned.kind))
    for api_version, kind in _of_gateway(cluster):
        found[cluster.gateway.namespace][_group(api_version)].add(_resource(kind))
    return {
        namespace: {group: tuple(sorted(names)) for group, names in sorted(groups.items())}
        for namespace, groups in sorted(found.items())
    }


def _of_gateway(cluster: ClusterPlan) -> Iterator[tuple[str, str]]:
    """Yield API version and kind of what the chart brings for the gateway, if there is one."""
    if cluster.has_gateway:
        values = cluster.values[cluster.gateway.name]
        scaling = values.get("autoscaling")
        yield from GATEWAY_KINDS
        yield from (SCALER,) if isinstance(scaling, Mapping) and scaling.get("enabled") else ()
        yield from (BUDGET,) if values.get("podDisruptionBudget") else ()


def _rules(resources: Mapping[str, Iterable[str]], verbs: Sequence[str]) -> Iterator[Body]:
    for group, names in resources.items():
        yield {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)}


def _group(api_version: str) -> str:
    """Return the API group; the first one has no name."""
    return api_version.rpartition("/")[0]


def _resource(kind: str) -> str:
    """Return what RBAC calls the objects of a kind: its plural."""
    word = kind.lower()
    return f"{word[:-1]}ies" if word[-1] == "y" and word[-2] not in "aeiou" else f"{word}s"
