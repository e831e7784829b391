"""Endpoint discovery: what one cluster's istiod needs to read another cluster of its mesh.

Sources: Istio's "multi-primary on different networks"; istioctl create-remote-secret (name, label, annotation and key
of the Secret); the informers that istiod 1.31 starts for a remote cluster; walk-throughs 003 and 004, pitfalls 41-49.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from mesh_federation.plan.istio_api import passthrough_gateway, tls_port
from mesh_federation.plan.istio_values import labels_of
from mesh_federation.plan.objects import Body, Fill, PlannedObject
from mesh_federation.stack.config import Discovery, Federation, NamespacedName

RBAC = "rbac.authorization.k8s.io"
OPEN_GATEWAY = "discovered-services"
"""The Gateway through which other clusters of the mesh reach every service."""
KUBECONFIG = "kubeconfig"
"""The value that a remote secret needs: with which the istiod reads the other cluster."""

INFORMED = ("list", "watch")
"""All that istiod's informers do."""
READ: Mapping[str, tuple[str, ...]] = {
    "": ("namespaces", "nodes", "pods", "secrets", "services"),
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "discovery.k8s.io": ("endpointslices",),
    "gateway.networking.k8s.io": ("gateways",),
    "networking.istio.io": ("workloadentries",),
}
"""What they list, by API group: without one of these the remote cluster never counts as synced.

Istio's own role for readers has more: creating token and access reviews, which only a cluster without an istiod of its
own needs, writing ServiceExports, all ConfigMaps and all of Istio's configuration. Secrets stay, although no proxy of
ours needs another cluster's: istiod 1.31 has a switch for that informer, and reads on without it into nothing.
"""


@dataclass(frozen=True)
class DiscoveryPlan:
    """One cluster's istiod reads another cluster.

    Attributes:
        cluster: whose istiod reads.
        of: which cluster is read; istiod of `of` calls itself so too (`clusterName`, pitfall 48).
        namespace: Istio's, in both.
        hours: lifetime of its token.
        server: address of the API server for that istiod; empty: the one of the kubeconfig.
        mesh_config: name of the ConfigMap with the trust domain of the cluster that is read.
        crosses: the two are on different networks, so calls pass the gateway of `of`.
        simulated: the reading istiod is simulated.
    """

    cluster: str
    of: str
    namespace: str
    hours: int
    server: str
    mesh_config: str
    crosses: bool
    simulated: bool

    @property
    def account(self) -> NamespacedName:
        """The account that reads, in the cluster that is read; one per reader, so that each can be revoked alone."""
        return NamespacedName(self.namespace, f"istiod-of-{self.cluster}")

    @property
    def reader_objects(self) -> tuple[PlannedObject, ...]:
        """In the cluster that is read: the account that reads, and its rights."""
        return tuple(map(PlannedObject, (account(self), *rights(self))))

    @property
    def objects(self) -> tuple[PlannedObject]:
        """In the cluster that reads: the Secret by which its istiod learns of the other cluster."""
        kubeconfig = Fill(("data", self.of), (KUBECONFIG,), _encoded)
        return (PlannedObject(remote_secret(self), (kubeconfig,)),)


def discoveries(federation: Federation, real_names: Mapping[str, str]) -> list[DiscoveryPlan]:
    """Plan who reads whom, sorted.

    Args:
        federation: the model.
        real_names: of the clusters, by logical name; API servers have addresses by them.
    """
    links = sorted(federation.discovery, key=lambda link: (link.cluster, link.of))
    return [_plan(federation, link, real_names[link.of]) for link in links]


def _plan(federation: Federation, link: Discovery, real_name: str) -> DiscoveryPlan:
    here, there = federation.clusters[link.cluster], federation.clusters[link.of]
    revision = federation.istio_of(link.cluster).revision
    return DiscoveryPlan(
        cluster=here.name,
        of=there.name,
        namespace=here.istio_namespace,
        hours=link.token_hours,
        server=there.provider.api_server(federation, there, real_name),
        mesh_config=f"istio-{revision}" if revision else "istio",
        crosses=here.network != there.network,
        simulated=not here.provider.runs_pods,
    )


def account(plan: DiscoveryPlan) -> Body:
    """Body of the account of the reading istiod in the cluster that it reads."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(plan)}


def rights(plan: DiscoveryPlan) -> list[Body]:
    """Bodies of the account's roles and their bindings: it reads what informers list, and one ConfigMap."""
    read = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(INFORMED)}
        for group, resources in READ.items()
    ]
    config = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [plan.mesh_config],
        "verbs": list(INFORMED),
    }
    name = plan.account.name
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": read},
        _binding(plan, "ClusterRoleBinding", {"name": name}, "ClusterRole"),
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": _metadata(plan), "rules": [config]},
        _binding(plan, "RoleBinding", _metadata(plan), "Role"),
    ]


def remote_secret(plan: DiscoveryPlan) -> Body:
    """Body of the Secret by which an istiod learns of a cluster: its key is that cluster's name (pitfall 48)."""
    metadata = {
        "name": f"istio-remote-secret-{plan.of}",
        "namespace": plan.namespace,
        "labels": {"istio/multiCluster": "true"},
        "annotations": {"networking.istio.io/cluster": plan.of},
    }
    data = {plan.of: ""}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def open_gateway(gateway: NamespacedName, port: int, cluster_domain: str) -> Body:
    """Body of the Gateway that passes calls for every service on, in a cluster that others of its mesh discover.

    They learn of all its services, so here alone `*.local` is right (pitfalls 10 and 45): by SNI, mutual TLS untouched,
    only to pods in the mesh.

    Args:
        gateway: the cluster's east-west gateway.
        port: on which it listens.
        cluster_domain: of the cluster; a pattern has one label of it, as Istio's own.
    """
    hosts = [f"*.{cluster_domain.rpartition('.')[2]}"]
    name = NamespacedName(gateway.namespace, OPEN_GATEWAY)
    return passthrough_gateway(name, labels_of(gateway), tls_port(port), hosts, "AUTO_PASSTHROUGH")


def _metadata(plan: DiscoveryPlan) -> Body:
    return {"name": plan.account.name, "namespace": plan.account.namespace}


def _binding(plan: DiscoveryPlan, kind: str, metadata: Body, role: str) -> Body:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": role, "name": plan.account.name},
        "subjects": [{"kind": "ServiceAccount", "name": plan.account.name, "namespace": plan.account.namespace}],
    }
