"""Helm values of Istio's charts, one cluster at a time.

Source: walk-through 000 section 2.3, with the trust semantics of docs/trust: no alias is ever generated. In trust scope
`link` the mesh configuration names no other cluster. In scope `mesh` peers' trust domains are accepted through
`meshConfig.caCertificates`. The entries hold no PEM text, because every peer's root is already in the `root-cert.pem`
of `cacerts`; so the whole mesh configuration is known at preview.
"""

from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

from mesh_federation.clusters.provider import LoadBalancer
from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.trust import peers
from mesh_federation.stack.config import GATEWAY_PORT, ISTIO_NAMESPACE, Cluster, Federation, NamespacedName
from mesh_federation.stack.tree import merged

Values = dict[str, object]


def labels_of(gateway: NamespacedName) -> dict[str, str]:
    """Return the labels that select the pods of a gateway: those that the chart derives from its name.

    Gateway objects select pods in all namespaces, so one that is elsewhere has its namespace as a label too.
    """
    elsewhere = {NAMESPACE_LABEL: gateway.namespace} if gateway.namespace != ISTIO_NAMESPACE else {}
    return {"app": gateway.name, "istio": gateway.name.removeprefix("istio-"), **elsewhere}


NAMESPACE_LABEL = "mesh-federation/namespace"
GATEWAY = "istio-eastwestgateway"
OWN_GATEWAY = "mesh-federation-gateway"
"""The east-west gateway beside those of an installation that belongs to others."""
EGRESS = "istio-egressgateway"
EGRESS_ADDRESS = 5
"""Which of a service subnet's addresses an egress gateway has: in the band that Kubernetes gives out last by itself."""
EGRESS_PORTS = range(16000, 17000)
"""Ports of egress gateways, each of which leads to one other cluster."""
NETWORK_LABEL = "topology.istio.io/network"
GATEWAY_PORT_LABEL = "networking.istio.io/gatewayPort"
"""By which istiods learn that a network's gateway listens on another port than Istio's own."""
ADDRESS_ANNOTATION = "metallb.universe.tf/loadBalancerIPs"
"""Understood by every MetalLB from 0.13 on, and by the simulated load balancer."""

RELEASES = "docker.io/istio"
"""Registry and path of the images of every Istio release."""

AUTO_ALLOCATION_DEFAULT = (1, 25)
"""First Istio release whose istiod gives address-less hosts an address by itself."""

DRAINED = {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"}
"""A gateway that ends waits for its connections: it passes TLS on, so it cannot ask callers to open others, and by
itself it would cut them after 5 s, with the calls on them (pitfall 56)."""
WITHOUT_SECRETS = {"rbac": {"enabled": False}}
"""By default a gateway may read every Secret of Istio's namespace, the key of istiod's authority among them. One that
passes TLS on reads none."""
DRAIN_SECONDS = 60
"""How long a gateway that ends waits for its connections."""

TLS_LISTENERS_DEFAULT = (1, 30)
"""First Istio release whose istiod takes TLS listeners of the Gateway API without a flag (pitfall 24)."""
ALPHA_GATEWAY_API = "PILOT_ENABLE_ALPHA_GATEWAY_API"

WITHOUT_EXTENSIONS = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
"""Flags of istiod for Envoy without Istio's extensions; telemetry is off too."""


def gateway(cluster: Cluster) -> NamespacedName:
    """Name a cluster's east-west gateway: its release, its Service and its Deployment."""
    return NamespacedName(cluster.link_namespace, GATEWAY if cluster.istio.install else OWN_GATEWAY)


def egress_gateway(cluster: Cluster) -> NamespacedName:
    """Name a cluster's egress gateway, in the same way."""
    return NamespacedName(cluster.istio_namespace, EGRESS)


def istiod_values(federation: Federation, cluster: Cluster) -> Values:
    """Decide the values of the istiod chart."""
    istio = federation.istio_of(cluster.name)
    proxy = {"ISTIO_META_DNS_CAPTURE": "true"}
    if federation.istio_version(cluster.name) < AUTO_ALLOCATION_DEFAULT:
        proxy["ISTIO_META_DNS_AUTO_ALLOCATE"] = "true"
    mesh: Values = {
        "accessLogFile": "/dev/stdout",
        "trustDomain": cluster.trust_domain,
        "defaultConfig": {"proxyMetadata": proxy},
    }
    accepted = peers(federation, cluster.name)
    if accepted and federation.trust.scope == "mesh":
        mesh["caCertificates"] = [{"trustDomains": accepted}]
    computed: Values = {
        "revision": istio.revision,
        "autoscaleEnabled": False,
        "global": {
            "meshID": cluster.mesh_id,
            "multiCluster": {"clusterName": cluster.name},
            "network": cluster.network,
            **_namespace(cluster),
            **({"proxy": {"clusterDomain": cluster.own_domain}} if cluster.own_domain else {}),
            # Simulated nodes run no istiod, so nothing would answer its webhooks.
            "operatorManageWebhooks": not cluster.provider.runs_pods,
            "configValidation": cluster.provider.runs_pods,
            **_images(federation, cluster),
        },
        "meshConfig": mesh,
        **({"telemetry": {"enabled": False}} if cluster.provider.upstream_envoy else {}),
        **_environment(federation, cluster),
    }
    values: Values = merged(computed, istio.values)
    return values


def _namespace(cluster: Cluster) -> Values:
    """Tell a chart that Istio is in another namespace than its default; the mesh's root namespace follows."""
    return {"istioNamespace": cluster.istio_namespace} if cluster.istio_namespace != ISTIO_NAMESPACE else {}


def _environment(federation: Federation, cluster: Cluster) -> Values:
    """Set flags of istiod, for charts of every release: what an older one does not do by itself, but an import needs.

    Envoy without Istio's extensions rejects listeners that have them.
    """
    environment: Values = dict(WITHOUT_EXTENSIONS) if cluster.provider.upstream_envoy else {}
    needs_gateway_api = any(link.api != "istio" for link in federation.linked_imports)
    if needs_gateway_api and federation.istio_version(cluster.name) < TLS_LISTENERS_DEFAULT:
        environment[ALPHA_GATEWAY_API] = "true"
    return {"env": environment, "pilot": {"env": environment}} if environment else {}


def _images(federation: Federation, cluster: Cluster) -> Values:
    """Return where Istio's images come from: as declared, else its release's, else those that the user's chart names.

    Charts that come with Istio's Go module name the images of its tests, not those of a release.
    """
    istio = federation.istio_of(cluster.name)
    released = {"hub": RELEASES, "tag": istio.version} if istio.charts == "official" else {}
    declared = {key: value for key, value in {"hub": istio.hub, "tag": istio.tag}.items() if value}
    return {**released, **declared}


def base_values(federation: Federation, cluster: Cluster) -> Values:
    """Decide the values of the base chart: it registers the default validator, unless validation is off."""
    settings = istiod_values(federation, cluster)["global"]
    validated = isinstance(settings, dict) and settings["configValidation"]
    revision = (federation.istio_of(cluster.name).revision or "default") if validated else ""
    placed = _namespace(cluster)
    return {"defaultRevision": revision, **({"global": placed} if placed else {})}


def gateway_values(federation: Federation, cluster: Cluster, address: IPv4Address | IPv6Address | None) -> Values:
    """Decide the values of the gateway chart.

    Only the status port and the TLS port are opened: the chart's own choice for network gateways also offers istiod
    itself to other clusters.

    Args:
        federation: the model.
        cluster: whose gateway.
        address: the fixed address to ask the load balancer for, if it is known.
    """
    istio = federation.istio_of(cluster.name)
    service: Values = {
        "type": "LoadBalancer",
        "ports": [_port("status-port", 15021), _tls_port(federation, cluster)],
    }
    if not _needs_node_ports(federation, cluster):
        service["allocateLoadBalancerNodePorts"] = False
    if address:
        service["annotations"] = {ADDRESS_ANNOTATION: str(address)}
    computed: Values = {
        "revision": istio.revision,
        "labels": {**labels_of(gateway(cluster)), **_network_labels(cluster)},
        "env": {**_network_view(cluster), **DRAINED},
        **WITHOUT_SECRETS,
        "terminationGracePeriodSeconds": DRAIN_SECONDS,
        "autoscaling": {"enabled": False},
        # `image: auto` has no tag, so the API server would write Always before the webhook fills the image in.
        "imagePullPolicy": "IfNotPresent",
        "service": service,
    }
    return _counted(merged(computed, istio.gateway_values))


def _network_labels(cluster: Cluster) -> dict[str, str]:
    """Return the labels by which istiods take a gateway for that of its network: not in an installation of others.

    There they would change the way of calls that have nothing to do with this stack.
    """
    if not cluster.istio.install:
        return {}
    port = cluster.gateway.port
    return {NETWORK_LABEL: cluster.network, **({GATEWAY_PORT_LABEL: str(port)} if port != GATEWAY_PORT else {})}


def _network_view(cluster: Cluster) -> dict[str, str]:
    """Let a gateway see the endpoints of its own network alone, if that has a name."""
    network = cluster.observed.network if cluster.observed else cluster.network
    return {"ISTIO_META_REQUESTED_NETWORK_VIEW": network} if network else {}


def _tls_port(federation: Federation, cluster: Cluster) -> Values:
    """Describe the port of the listener; a Service that is reached at its nodes is reached there on the same one."""
    port = cluster.gateway.port
    kind = gateway_addresses.service_type(federation.istio_of(cluster.name))
    by_node = kind == "NodePort" and port in gateway_addresses.NODE_PORTS
    return {**_port("tls", port), **({"nodePort": port} if by_node else {})}


def _needs_node_ports(federation: Federation, cluster: Cluster) -> bool:
    """Say whether a gateway's load balancer passes calls on to node ports, or may.

    Where it does not, there are none: with one, whoever reaches a node bypasses the policies about the gateway's
    address. MetalLB and the simulated one leave it to kube-proxy; k3s's goes to the Service's own address, unless calls
    must stay on the node. cloud-provider-kind and most clouds need them, and of others nothing is known.
    """
    if cluster.load_balancer is LoadBalancer.SERVICELB:
        return gateway_addresses.service(federation.istio_of(cluster.name)).get("externalTrafficPolicy") == "Local"
    return not cluster.has_lab_address


def _counted(values: Values) -> Values:
    """Declare how many pods a gateway has, unless an autoscaler decides it: drift is found in declared fields alone."""
    scaling = values["autoscaling"]
    is_scaled = isinstance(scaling, dict) and scaling.get("enabled")
    return values if is_scaled else {"replicaCount": 1, **values}


def egress_values(federation: Federation, cluster: Cluster) -> Values:
    """Decide the values of the gateway chart for a cluster's egress: reached from inside alone, one port per exit.

    It carries no network label: with one, istiod would take it for that network's gateway (pitfall 32).
    """
    ports = egress_ports(federation, cluster.name).items()
    fixed = _egress_address(cluster)
    istio = federation.istio_of(cluster.name)
    computed: Values = {
        "revision": istio.revision,
        "labels": labels_of(egress_gateway(cluster)),
        "env": DRAINED,
        **WITHOUT_SECRETS,
        "terminationGracePeriodSeconds": DRAIN_SECONDS,
        "autoscaling": {"enabled": False},
        "imagePullPolicy": "IfNotPresent",
        "service": {
            "type": "ClusterIP",
            **({"clusterIP": str(fixed)} if fixed else {}),
            "ports": [_port("status-port", 15021), *(_port(f"tls-{to}", port) for to, port in ports)],
        },
    }
    return _counted(merged(computed, istio.egress_values))


def _egress_address(cluster: Cluster) -> IPv4Address | None:
    """Choose the address, so that a preview knows it, wherever the declared service subnet is the real one."""
    subnet = cluster.service_subnet
    is_known = cluster.provider.ours and subnet.num_addresses > 2 * EGRESS_ADDRESS
    return subnet[EGRESS_ADDRESS] if is_known else None


def egress_address(values: Values) -> str:
    """Return the address that those values ask for; empty where only the running Service can tell."""
    service = values["service"]
    return str(service.get("clusterIP", "")) if isinstance(service, dict) else ""


def egress_ports(federation: Federation, cluster: str) -> dict[str, int]:
    """Return the ports of a cluster's egress gateway by the cluster that each leads to, sorted by that.

    A port follows from that cluster's name, so that one more cluster does not move those that are in use.
    """
    taken: dict[str, int] = {}
    for to in sorted({link.source for link in federation.imports if (link.cluster, link.via) == (cluster, "egress")}):
        preferred = int(sha256(to.encode()).hexdigest()[:8], 16)
        steps = (EGRESS_PORTS[(preferred + step) % len(EGRESS_PORTS)] for step in range(len(EGRESS_PORTS)))
        taken[to] = next(port for port in steps if port not in taken.values())
    return taken


def _port(name: str, number: int) -> Values:
    return {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}
