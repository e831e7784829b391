"""Provisioners: keys, load balancers, names and images that only some of them support."""

import os
import re
from collections.abc import Iterator

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.plan.provisioning import GENERATION_DIGITS
from mesh_federation.rules.names import CLUSTER_LENGTH
from mesh_federation.stack.config import Cluster, Federation, is_address
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

_WHY_NOT = {
    LoadBalancer.SIMULATED: "only simulated clusters write addresses into Services",
    LoadBalancer.NATIVE: "it is a part of native clusters",
    LoadBalancer.SERVICELB: "it is a part of k3s",
    LoadBalancer.METALLB: "only nodes in containers run MetalLB",
    LoadBalancer.NONE: "",
}

_GENERATION = 1 + GENERATION_DIGITS
"""Characters that the real name of a cluster has more than its logical name: a dash and digits."""

_OBJECT = re.compile(r"[A-Z][A-Za-z0-9]* ([a-z0-9.-]+/)?[a-z0-9][a-zA-Z0-9.:-]*")
"""Kind namespace/name, or Kind name."""

_NODE_PORTS = {6443: "API server", 10250: "kubelet"}
"""Ports on which k3s listens on its nodes (k3s: networking requirements)."""


def keys_act(federation: Federation) -> Iterator[Problem]:
    """A key that the provisioner would ignore is refused."""
    of_some = frozenset[str]().union(*(provider.keys for provider in PROVIDERS.values()))
    for cluster in federation.clusters.values():
        for name, field in type(cluster).model_fields.items():
            key, value = field.alias or name, getattr(cluster, name)
            if key not in of_some - cluster.provider.keys or value == field.default:
                continue
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            shown = str(value).lower() if isinstance(value, bool) else shown
            takers = " or ".join(sorted(provider.name for provider in PROVIDERS.values() if key in provider.keys))
            yield Problem(
                f"{cluster.path}.{key}",
                FederationRule.KEY_WITHOUT_EFFECT,
                f"{shown} has no effect: `{key}` is for provisioner {takers}, and {cluster.name} has provisioner"
                f" {cluster.provider.name}",
                f"remove `{key}`, or use provisioner {takers}",
            )


def existing_clusters_have_a_kubeconfig(federation: Federation) -> Iterator[Problem]:
    """The stack file names the cluster, not the shell in which the program runs."""
    for cluster in federation.own.values():
        if cluster.is_existing and not cluster.kubeconfig:
            yield Problem(
                f"{cluster.path}.kubeconfig",
                FederationRule.MISSING_KUBECONFIG,
                f"{cluster.name} is an existing cluster, but has no kubeconfig; the current KUBECONFIG of a machine"
                " could lead to another cluster",
                f"add kubeconfig: path/to/{cluster.name}.kubeconfig, and context if the file has several",
            )


def existing_clusters_differ(federation: Federation) -> Iterator[Problem]:
    """Two meshes in one cluster overwrite each other. `up` also compares the clusters behind two kubeconfigs."""
    seen: dict[tuple[str, str], str] = {}
    for cluster in federation.clusters.values():
        if not (cluster.is_existing and cluster.kubeconfig):
            continue
        first = seen.setdefault((os.path.normpath(cluster.kubeconfig), cluster.context or ""), cluster.name)
        if first != cluster.name:
            yield Problem(
                f"{cluster.path}.kubeconfig",
                FederationRule.ONE_CLUSTER_TWICE,
                f"{first} has the same kubeconfig {cluster.kubeconfig} and context: {first} and {cluster.name} are the"
                " same cluster, and each would overwrite the mesh of the other",
                f"remove {cluster.name}, or write the kubeconfig and context of another cluster",
            )


def adopted_objects_are_named(federation: Federation) -> Iterator[Problem]:
    """Adopted objects are named as `up` names them."""
    for cluster in federation.clusters.values():
        for index, name in enumerate(cluster.adopted):
            if not _OBJECT.fullmatch(name):
                yield Problem(
                    f"{cluster.path}.adopted[{index}]",
                    FederationRule.BAD_OBJECT_NAME,
                    f'"{name}" is not the name of an object, so {cluster.name} would adopt nothing',
                    "write it as `up` shows it with adopt: true, for example ServiceAccount sleep/sleep",
                )


def load_balancers_suit(federation: Federation) -> Iterator[Problem]:
    """Each load balancer works only with some providers."""
    for cluster in federation.clusters.values():
        if cluster.load_balancer not in cluster.provider.load_balancers:
            yield Problem(
                f"{cluster.path}.loadBalancer",
                FederationRule.LOAD_BALANCER_MISMATCH,
                f"{cluster.load_balancer.value} does not work on {cluster.name}, which has provisioner"
                f" {cluster.provider.name}: {_WHY_NOT[cluster.load_balancer]}, so the gateway would get no address",
                f"remove loadBalancer to use the default of provisioner {cluster.provider.name}",
            )


def names_suit(federation: Federation) -> Iterator[Problem]:
    """Some providers limit the length of names more than others."""
    for cluster in federation.clusters.values():
        longest = cluster.provider.longest_name
        if longest and longest - _GENERATION < len(cluster.name) <= CLUSTER_LENGTH:
            yield Problem(
                cluster.path,
                FederationRule.NAME_TOO_LONG,
                f"{cluster.name} has {len(cluster.name)} characters; {cluster.provider.name} accepts at most"
                f" {longest}, of which the generation in {cluster.name}-xxxxxx takes {_GENERATION}",
                f"give the cluster a name of at most {longest - _GENERATION} characters",
            )


def node_images_suit(federation: Federation) -> Iterator[Problem]:
    """A node image contains the programs of one provisioner."""
    owners = {provider.node_image: provider for provider in PROVIDERS.values() if provider.node_image}
    for cluster in federation.clusters.values():
        image = cluster.image or federation.images.node or ""
        repository = image.partition("@")[0].rpartition("/")
        name = f"{repository[0].rpartition('/')[2]}/{repository[2].partition(':')[0]}"
        own = cluster.provider.node_image or name
        if name != own and name in owners:
            yield Problem(
                f"{cluster.path}.image" if cluster.image else "images.node",
                FederationRule.NODE_IMAGE_OF_ANOTHER,
                f"{image} is a node image of {owners[name].name}, but {cluster.name} has provisioner"
                f" {cluster.provider.name}, so its nodes would not start",
                f"give {cluster.name} an `image` of {own}, or remove `image` and images.node to use the default of"
                f" {cluster.provider.name}",
            )


def servicelb_can_serve(federation: Federation) -> Iterator[Problem]:
    """A Service gets the addresses of the nodes from servicelb, which opens its ports on them (pitfall 49)."""
    for cluster in federation.clusters.values():
        if cluster.load_balancer is LoadBalancer.SERVICELB:
            yield from _by_nodes(cluster)


def _by_nodes(cluster: Cluster) -> Iterator[Problem]:
    addresses = [value for value in cluster.gateway.addresses if is_address(value)]
    if addresses:
        yield Problem(
            f"{cluster.path}.gateway.addresses",
            FederationRule.ADDRESS_OF_NODES,
            f"the gateway of {cluster.name} cannot have the address {addresses[0]}: servicelb publishes it at the"
            " addresses of the cluster's nodes, which Docker assigns",
            "remove gateway.addresses, so that they are read from the Service, or set loadBalancer: metallb",
        )
    port = cluster.gateway.port
    if port in _NODE_PORTS:
        yield Problem(
            f"{cluster.path}.gateway.port",
            FederationRule.PORT_OF_NODES,
            f"servicelb would open port {port} on the nodes of {cluster.name}, which is the port of the"
            f" {_NODE_PORTS[port]}: that would become unreachable",
            "use another port, for example 15443, or set loadBalancer: metallb",
        )


RULES = (
    keys_act,
    existing_clusters_have_a_kubeconfig,
    existing_clusters_differ,
    adopted_objects_are_named,
    load_balancers_suit,
    names_suit,
    node_images_suit,
    servicelb_can_serve,
)
