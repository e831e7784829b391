"""The stack file as types: every key that a user may write, its meaning and its default.

Only types, allowed words and unknown keys are checked here; mesh_federation/rules checks what spans several entries.
Every default is the safe one: nothing is exported unless declared, mTLS is STRICT, trust-domain aliases do not exist.
Docstrings of fields become the descriptions of the JSON Schema, which editors show.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema

from mesh_federation.clusters import registry
from mesh_federation.clusters.provider import LoadBalancer, Provider
from mesh_federation.clusters.settings import CLUSTER_DOMAIN
from mesh_federation.stack.tree import merged


@dataclass(frozen=True, order=True)
class NamespacedName:
    """Namespace and name of a Kubernetes object, written as `namespace/name`.

    Attributes:
        namespace: RFC 1123 label.
        name: RFC 1123 label.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the form that stack files use."""
        return f"{self.namespace}/{self.name}"


def _split_reference(value: object) -> object:
    if isinstance(value, NamespacedName):
        return value
    if not isinstance(value, str) or value.count("/") != 1 or not all(value.split("/")):
        raise ValueError("write it as namespace/name, for example httpbin/httpbin")
    namespace, name = value.split("/")
    return NamespacedName(namespace, name)


Reference = Annotated[
    NamespacedName,
    BeforeValidator(_split_reference),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": "^[^/]+/[^/]+$", "examples": ["httpbin/httpbin"]}),
]


ISTIO_NAMESPACE = "istio-system"
"""Istio's namespace, unless its owner moved it."""

GLOBAL_HOST = "{name}.mesh.global"
"""Form of the host names of services that are imported as global, unless the stack file has another one."""


def service_host(service: NamespacedName, cluster_domain: str) -> str:
    """Return the host name of a Service inside its cluster (Kubernetes, DNS for Services and Pods)."""
    return f"{service.name}.{service.namespace}.svc.{cluster_domain}"


def global_host(form: str, service: NamespacedName) -> str:
    """Return the host name that a service has in every mesh that imports it as global."""
    return form.replace("{namespace}", service.namespace).replace("{name}", service.name)


class Declared(BaseModel):
    """Base of everything in a stack file: immutable, with camelCase keys; unknown keys and null values are refused.

    None means that a key is left out, which is often the permissive choice. A key that is written without a value is
    more likely a mistake, so no key accepts null.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Allow None as a default, but not as a value of a stack file."""
        schema = handler(source)
        fields: Any = handler.resolve_ref_schema(schema)
        while fields["type"] != "model-fields":
            fields = fields["schema"]
        for field in fields["fields"].values():
            default = field["schema"]
            if default["type"] == "default" and default["schema"]["type"] == "nullable":
                default["schema"] = default["schema"]["schema"]
        return schema


class Provisioner(StrEnum):
    """What creates a cluster."""

    vars().update({name.upper(): name for name in registry.PROVIDERS})  # one member for each provider


class Protocol(StrEnum):
    """Application protocol of a port, as Istio names it."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    HTTPS = "HTTPS"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"


class Key(Declared):
    """Private keys of the certificate authorities."""

    algorithm: Literal["ECDSA", "RSA"] = "ECDSA"
    """Algorithm of the keys. Envoy does not support Ed25519."""
    curve: Literal["P256", "P384"] = "P256"
    """Curve of ECDSA keys."""
    bits: Literal[2048, 3072, 4096] = 4096
    """Size of RSA keys."""


ENCRYPTED = "[secret]"
"""Placeholder for a value that only the engine can decrypt."""


class ProvidedAuthority(Declared):
    """A certificate authority of your own for one cluster. Each value is PEM text, or the path of a PEM or DER file."""

    certificate: str
    """The intermediate with which istiod signs workload certificates."""
    key: SecretStr
    """The private key of the intermediate, without a password. Set it as a Pulumi secret."""
    chain: str = ""
    """The certificates between the intermediate and the root, in any order; both may be included."""
    root: str
    """The root of this cluster's workload certificates."""


TrustModel = Literal["common", "separate", "provided"]
TrustScope = Literal["link", "mesh"]


class Revocation(Declared):
    """Something that is no longer trusted: a cluster, or an authority that no cluster signs with any more."""

    cluster: str | None = None
    """A cluster whose identities no other cluster accepts any more. Its own workloads go on calling each other."""
    authority: str | None = Field(default=None, min_length=1)
    """A root or an intermediate: the common name of one that this program makes, or the SHA-256 of a provided one;
    `mesh trust` shows them."""


class Rotation(Declared):
    """A move to other authorities in three phases, each applied with its own `up`. Omitted keys keep their values.

    The keys beside `phase` are the next values of `trust`. After the last phase, move them to `trust` and remove
    `rotation`.
    """

    phase: Literal["add", "switch", "drop"]
    """add: trust the current and the next roots. switch: sign with the next roots. drop: trust only the next roots."""
    model: TrustModel | None = None
    """The next trust model."""
    root: str | None = Field(default=None, max_length=16)
    """Name of the next root; in model `separate`, of all next roots."""
    organization: str | None = Field(default=None, min_length=1, max_length=64)
    """Organization (O) in the subjects of the next certificates."""
    key: Key | None = None
    """Private keys of the next authorities."""
    root_days: int | None = Field(default=None, ge=1, le=36500)
    """Lifetime of the next roots, in days."""
    intermediates: dict[str, str] | None = None
    """Names of the next intermediates, by cluster; clusters that are left out keep theirs."""
    provided: dict[str, ProvidedAuthority] | None = None
    """Model `provided`: the next authority of each cluster, by the cluster's name."""


class Trust(Declared):
    """The certificate authorities of the clusters, and who trusts them."""

    model: TrustModel = "common"
    """common: one root, and one intermediate per cluster. separate: one root per cluster. provided: your own
    authorities."""
    scope: TrustScope = "link"
    """link: an exported workload accepts identities of the clusters that its export names, callers those of the
    exporter, each under the authority of that cluster alone; nothing else trusts another cluster. mesh: every workload
    of every cluster trusts all roots, for every accepted identity."""
    root: str = Field(default="", max_length=16)
    """Name of the root, or of all roots. Another name means another root, which needs a rotation."""
    organization: str = Field(default="mesh-federation", min_length=1, max_length=64)
    """Organization (O) in the subject of every certificate."""
    key: Key = Key()
    """Private keys of the authorities that this program creates."""
    root_days: int = Field(default=3650, ge=1, le=36500)
    """Lifetime of roots, in days."""
    intermediate_days: int = Field(default=1825, ge=1, le=36500)
    """Lifetime of intermediates, in days."""
    warn_days: int = Field(default=30, ge=1, le=3650)
    """Warn about an authority this many days before it expires."""
    intermediates: dict[str, str] = {}
    """Names of intermediates, by cluster; default: `intermediate` of the cluster. With `scope: link` and a common root,
    another name needs a rotation, because other clusters trust the intermediate."""
    revoked: tuple[Revocation, ...] = ()
    """With `scope: link`: clusters and authorities that are no longer trusted, from the next `up` on."""
    provided: dict[str, ProvidedAuthority] = {}
    """Model `provided`: the authority of each cluster, by the cluster's name."""
    rotation: Rotation | None = None
    """A move to other roots or to another model."""

    @property
    def following(self) -> "Trust":
        """The trust after the rotation; the same if there is none."""
        if self.rotation is None:
            return self
        changed = {name: value for name, value in self.rotation if name != "phase" and value is not None}
        given = self.provided if changed.get("model", self.model) == "provided" else {}
        if self.rotation.intermediates:
            changed["intermediates"] = {**self.intermediates, **self.rotation.intermediates}
        return self.model_copy(update={"provided": given, **changed, "rotation": None})


_ISTIO_RELEASE = r"^1\.\d{1,3}\.\d{1,3}(-[0-9A-Za-z.-]+)?$"


class IstioSettings(Declared):
    """Settings of Istio that may differ from cluster to cluster."""

    version: str | None = Field(default=None, pattern=_ISTIO_RELEASE)
    """Release of Istio."""
    charts: str | None = None
    """`official`: the charts that the toolchain pins. Otherwise a folder with the charts base, istiod and gateway, in
    whose path `{version}` stands for the Istio release."""
    hub: str | None = None
    """Registry and path of Istio's images. Default: those of the release, or of your own charts."""
    tag: str | None = None
    """Tag of Istio's images. Default: the release, or the tag of your own charts."""
    revision: str | None = Field(default=None, max_length=40)
    """Istio revision; empty for the default revision."""
    namespace: str | None = Field(default=None, max_length=63)
    """Namespace of istiod and of gateways."""
    channel: Literal["default", "stable"] | None = None
    """`stable` refuses fields of Istio's API that are not in its stable channel."""
    values: dict[str, Any] = {}
    """Helm values of the istiod chart; they override the computed ones."""
    gateway_values: dict[str, Any] = {}
    """Helm values of the gateway chart for the east-west gateway; they override the computed ones."""
    egress_values: dict[str, Any] = {}
    """Helm values of the gateway chart for the egress gateway; they override the computed ones."""


class ClusterIstio(IstioSettings):
    """The Istio of one cluster."""

    install: bool = True
    """false: Istio is there already and belongs to others. Nothing of it is installed, changed or removed, and
    `mesh observe` reads what a plan must know of it."""
    namespace: str | None = Field(default=None, max_length=63)
    """Namespace of istiod and of gateways. With `install: false`, the one of the istiod that is meant; default: the one
    that was observed, before that istio-system."""
    twin: str | None = None
    """With `install: false`: the authority that signs for this mesh, as a certificate that it signs itself. PEM text,
    or the path of a PEM or DER file. It vouches for the mesh in place of roots that other meshes have too."""
    link_namespace: str | None = Field(default=None, max_length=63)
    """With `install: false`: the namespace of this stack's gateway, and of imports that are beside no Service. Its
    owner makes it. In another one than Istio's, this stack needs no right to run pods beside istiod's key. Default: the
    namespace of istiod."""


class Istio(IstioSettings):
    """The Istio installation of every cluster; `clusters.X.istio` overrides it for one."""

    version: str = Field(default="1.31.0", pattern=_ISTIO_RELEASE)
    """Release of Istio."""
    charts: str = "official"
    """`official`: the charts that the toolchain pins. Otherwise a folder with the charts base, istiod and gateway, in
    whose path `{version}` stands for a cluster's Istio release."""
    revision: str = Field(default="", max_length=40)
    """Istio revision; empty for the default revision."""
    namespace: str = Field(default=ISTIO_NAMESPACE, max_length=63)
    """Namespace of istiod and of gateways that this stack installs. Take a running stack down before you change it."""
    channel: Literal["default", "stable"] = "default"
    """`stable` refuses fields of Istio's API that are not in its stable channel."""
    gateway_api: str = "official"
    """CRDs of the Kubernetes Gateway API, for imports with `api: gateway`. `official`: those that the toolchain pins.
    Otherwise the path of a file."""

    def overridden(self, own: IstioSettings) -> "Istio":
        """Return the settings of one cluster: its own, and these where it has none. Values are merged key by key."""
        if own.model_fields_set.isdisjoint(IstioSettings.model_fields):
            return self
        written = {name: getattr(own, name) for name in IstioSettings.model_fields}
        given = {name: value for name, value in written.items() if value is not None}
        trees = ("values", "gateway_values", "egress_values")
        return self.model_copy(update={**given, **{name: merged(getattr(self, name), given[name]) for name in trees}})


class Images(Declared):
    """Images for machines that pull through a mirror. Default: the images of the publishers."""

    node: str | None = None
    """Node image of kind or k3d clusters without `image`; kind and k3d need different images."""
    metallb: str | None = None
    """Registry and path of MetalLB's images `controller` and `speaker`."""
    sleep: str | None = None
    """Image of the sample sleep, with curl and a shell."""
    httpbin: str | None = None
    """Image of the sample httpbin: go-httpbin on port 8080."""


class Lab(Declared):
    """The network of the clusters on one machine."""

    network: str = "mesh-federation"
    """Name of the Docker network."""
    subnet: IPv4Network = IPv4Network("172.30.0.0/16")
    """Addresses of the network: nodes use the lower half, load balancers the upper half."""
    metallb_manifest: str = Field(default="official", alias="metallbManifest")
    """`official`: MetalLB's manifest, as the toolchain pins it. Otherwise the path of a manifest."""


GATEWAY_PORT = 15443
"""The port that Istio assumes for the gateway of a network."""


class EastWestGateway(Declared):
    """A cluster's east-west gateway, the only way for other clusters to reach its services."""

    addresses: tuple[str, ...] = ()
    """Fixed IPv4 or IPv6 addresses, or host names, at which other clusters reach the gateway; not both. If it has
    addresses of both families, other clusters call the IPv4 ones. Default: computed in the lab network; on existing
    clusters and with servicelb, read from the Service."""
    port: int = Field(default=GATEWAY_PORT, ge=1, le=65535)
    """Port of the auto-passthrough listener. Istio and Envoy reserve 15000 to 15090."""

    @field_validator("addresses")
    @classmethod
    def _written_in_one_way(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Normalize IPv6 addresses, of which Kubernetes returns one spelling."""
        return tuple(str(ip_address(each)) if is_address(each) else each for each in addresses)


class PublishedPort(Declared):
    """A port of a cluster's first node that is published on this machine."""

    container: int = Field(ge=1, le=65535)
    """Port on the node."""
    host: int = Field(ge=1, le=65535)
    """Port on this machine."""
    address: IPv4Address = IPv4Address("127.0.0.1")
    """Address on this machine; 0.0.0.0 publishes the port to other machines."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Protocol of the port."""


_RELEASE = r"^v?(1\.\d{1,3}\.\d{1,3})([-+].*)?$"
"""A release of Kubernetes as API servers report it: v1.33.4-eks-99bf7f5, 1.33.5-gke.1162000, v1.33.4+k3s1."""


def _release(value: object) -> object:
    """Remove the suffix that a distribution adds to a release."""
    found = re.match(_RELEASE, value) if isinstance(value, str) else None
    return found[1] if found else value


class ObservedMesh(Declared):
    """The Istio of others in a cluster, as `mesh observe` read it. Do not edit it; observe again."""

    cluster_uid: str = Field(alias="clusterUID", min_length=1, max_length=64)
    """UID of the namespace kube-system, which every cluster has once."""
    kubernetes: Annotated[str, BeforeValidator(_release)] = Field(pattern=r"^1\.\d{1,3}\.\d{1,3}$")
    """Release of Kubernetes."""
    version: str = Field(pattern=_ISTIO_RELEASE)
    """Release of the istiod whose webhook injects proxies."""
    revision: str = Field(default="", max_length=40)
    """Revision of that istiod; empty for the default one."""
    namespace: str = Field(default=ISTIO_NAMESPACE, min_length=1, max_length=63)
    """Namespace of that istiod."""
    root_namespace: str = Field(default=ISTIO_NAMESPACE, min_length=1, max_length=63)
    """Namespace whose configuration holds for the whole mesh."""
    cluster_domain: str = Field(default=CLUSTER_DOMAIN, min_length=1, max_length=100)
    """Domain of the Services of the cluster, as its proxies know it."""
    trust_domain: str = Field(default="cluster.local", min_length=1, max_length=255)
    trust_domain_aliases: tuple[str, ...] = ()
    mesh_id: str = Field(default="", alias="meshID", max_length=253)
    network: str = Field(default="", max_length=63)
    roots: tuple[str, ...] = Field(min_length=1, max_length=16)
    """PEM of the roots that istiod hands to proxies."""
    mutual_tls: Literal["STRICT", "PERMISSIVE", "DISABLE"] = Field(default="PERMISSIVE", alias="mutualTLS")
    """Mode of the policy for the whole mesh."""
    dns_capture: bool = Field(default=False, alias="dnsCapture")
    """Proxies answer DNS queries for hosts without a Service."""
    trust_domain_validation: bool = True
    """Proxies check the trust domain of their callers."""
    ambient: bool = False
    """A ztunnel runs in the cluster."""
    namespaces: tuple[str, ...] | None = None
    """Namespaces that the discovery selectors of istiod select; left out where there are none."""
    filters: tuple[Reference, ...] = ()
    """EnvoyFilters of others that set the TLS of proxies."""


class Cluster(Declared):
    """A Kubernetes cluster and its mesh."""

    provisioner: Provisioner = Provisioner(registry.DEFAULT)
    pod_subnet: IPv4Network = IPv4Network("10.244.0.0/16")
    """Addresses of pods (CIDR)."""
    service_subnet: IPv4Network = IPv4Network("10.96.0.0/16")
    """Addresses of Services (CIDR)."""
    network: str = ""
    """Istio network; default: <cluster>-network. On one network, pods reach each other directly. Of an observed mesh:
    the name by which this stack tells it from others, whatever its owner calls it."""
    mesh_id: str = Field(default="", alias="meshID")
    """Mesh ID; default: <cluster>-mesh. Clusters with one mesh ID are one mesh. Of an observed mesh: the name by which
    this stack tells it from others; default: what was observed."""
    trust_domain: str = ""
    """SPIFFE trust domain; default: <cluster>.local."""
    cluster_domain: str = Field(default=CLUSTER_DOMAIN, min_length=1, max_length=100)
    """Domain that the DNS names of its Services end with; clusters with pods that this program makes get it."""
    load_balancer: LoadBalancer = LoadBalancer.NONE
    """What gives an address to the gateway's Service; default: the one for the provisioner."""
    locality: str = ""
    """Locality of the cluster for importers, region[/zone[/subzone]]; default: the cluster's name."""
    gateway: EastWestGateway = EastWestGateway()
    image: str | None = None
    """Node image of a kind or k3d cluster; default: that of `images`."""
    nodes: int = Field(default=1, ge=1, le=10)
    """Number of nodes of a cluster that this program creates."""
    ports: tuple[PublishedPort, ...] = ()
    """Provisioners kind and k3d: ports of the first node to publish on this machine."""
    ready_within_seconds: int = Field(default=300, ge=30, le=3600)
    """Provisioners kind and k3d: timeout until the nodes are ready, which usually takes 40 s."""
    kubernetes_version: Annotated[str, BeforeValidator(_release)] = Field(
        default="1.34.4", pattern=r"^1\.\d{1,3}\.\d{1,3}$", json_schema_extra={"pattern": _RELEASE}
    )
    """Kubernetes release for which charts are rendered, and of simulated control planes. Suffixes of distributions,
    as in v1.34.4-eks-1, are accepted."""
    kubeconfig: str | None = None
    """Provisioner existing: path of the kubeconfig file."""
    context: str | None = None
    """Provisioner existing: context in that file; default: its current context."""
    adopt: bool = False
    """Provisioner existing: list the objects that the stack would adopt, and show what would change in them. Only
    objects under `adopted` are adopted."""
    adopted: tuple[str, ...] = ()
    """Provisioner existing: objects of others that the stack adopts, each as `Kind namespace/name`; `down` leaves them
    in the cluster."""
    api_server: str | None = None
    """Provisioner existing: https address at which pods of discovering clusters reach its API server; default: the
    address in the kubeconfig."""
    istio: ClusterIstio = ClusterIstio()
    """Settings of this cluster's Istio; default: those of the federation. Values are merged over the federation's, key
    by key."""
    observed: ObservedMesh | None = None
    """With `istio: {install: false}`: what `mesh observe` read, in the file observed.<stack>.yaml."""
    intermediate: str = Field(default="", max_length=16)
    """Name of this cluster's intermediate. Another name replaces it by another one under the same root."""

    _name: str = PrivateAttr(default="")
    _path: str = PrivateAttr(default="")
    _namespace: str = PrivateAttr(default=ISTIO_NAMESPACE)

    @property
    def name(self) -> str:
        """The logical name: the key under `clusters`."""
        return self._name

    @property
    def provider(self) -> Provider:
        """What makes the cluster, or leads to it."""
        return registry.PROVIDERS[self.provisioner]

    @property
    def own_domain(self) -> str:
        """The domain of its Services where it is another than Kubernetes' default; else empty."""
        return self.cluster_domain if self.cluster_domain != CLUSTER_DOMAIN else ""

    def host_of(self, service: NamespacedName) -> str:
        """Return the host name of a Service of this cluster."""
        return service_host(service, self.cluster_domain)

    @property
    def istio_namespace(self) -> str:
        """The namespace of istiod."""
        return self.observed.namespace if self.observed else self._namespace

    @property
    def link_namespace(self) -> str:
        """The namespace of the east-west gateway, and of imports that are beside no Service."""
        return self.istio.link_namespace if self.istio.link_namespace is not None else self.istio_namespace

    @property
    def root_namespace(self) -> str:
        """The namespace whose configuration holds for the whole mesh."""
        return self.observed.root_namespace if self.observed else self.istio_namespace

    @property
    def is_existing(self) -> bool:
        """Say whether the cluster exists already and is not created by this program."""
        return not self.provider.ours

    @property
    def has_lab_address(self) -> bool:
        """Say whether its load balancer gives it addresses of the lab network."""
        return self.load_balancer in (LoadBalancer.NATIVE, LoadBalancer.SIMULATED, LoadBalancer.METALLB)

    @property
    def path(self) -> str:
        """Key path of this cluster, or of a partner's card."""
        return self._path or f"clusters.{self._name}"


class Port(Declared):
    """A port of an exported service."""

    name: str
    """Name of the Service's port, by which Istio matches endpoints."""
    number: int = Field(ge=1, le=65535)
    """Number of the Service's port."""
    protocol: Protocol
    app_protocol: str | None = Field(default=None, max_length=316)
    """appProtocol of the Service's port, if it has one; Istio prefers it to the port's name."""
    target_port: int | None = Field(default=None, ge=1, le=65535)
    """The container's port: the exporter's policy opens no other port, and a global host calls it directly (pitfall
    27). Default: the port of an exported sample, otherwise `number`, as in a Service; a global host of a sample needs
    it. `up` and `verify` compare it with the Service."""

    @property
    def exported_number(self) -> int:
        """The number by which the exporter's gateway knows it."""
        return self.number


class ImportedPort(Port):
    """A port of an imported service, as its callers see it."""

    exported: int | None = Field(default=None, ge=1, le=65535)
    """With `host`: the number that the port has in the export, where callers are to call it on another one."""

    @property
    def exported_number(self) -> int:
        """The number by which the exporter's gateway knows it."""
        return self.exported or self.number


class Consumer(Declared):
    """The callers of one other cluster that may call an exported service."""

    cluster: str
    """The callers' cluster, or a partner."""
    service_accounts: tuple[Reference, ...] | None = None
    """namespace/serviceAccount of each caller. Default: every workload of that cluster."""
    _path: str = PrivateAttr(default="")

    @property
    def path(self) -> str:
        """Key path of these callers."""
        return self._path


class Entry(Declared):
    """An item of a list of the stack file; it knows its index, so that problems can name it."""

    _index: int = PrivateAttr(default=0)


class Linked(Entry):
    """An export or import of a service, and the cluster that it is of."""

    cluster: str
    """The cluster that exports or imports it."""
    service: Reference
    """The Service in the exporting cluster, as namespace/name."""
    _form: str = PrivateAttr(default=GLOBAL_HOST)
    _domain: str = PrivateAttr(default=CLUSTER_DOMAIN)

    @property
    def service_host(self) -> str:
        """Host name of the Service in the exporting cluster."""
        return service_host(self.service, self._domain)

    @property
    def global_host(self) -> str:
        """Host name of the service in every mesh that imports it as global."""
        return global_host(self._form, self.service)


class Export(Linked):
    """A service that other clusters may call on these ports. Nothing else of the cluster can be reached.

    `up` (if they exist already) and `verify` compare `selector`, `serviceAccount` and `targetPort` with the Service and
    its pods.
    """

    ports: tuple[Port, ...] = Field(min_length=1)
    to: tuple[Consumer, ...]
    selector: dict[str, str] = Field(default={}, min_length=1)
    """Labels of all pods behind the Service, by which the policy selects them; default: app=<name of the service>."""
    service_account: str | None = None
    """ServiceAccount of those pods, which callers pin; default: the name of the service."""
    _hosts: tuple[str, ...] = PrivateAttr(default=())
    _of_card: str = PrivateAttr(default="")
    _imports: "tuple[Import, ...]" = PrivateAttr(default=())

    @property
    def path(self) -> str:
        """Key path of this export, in the stack file or in a partner's card."""
        return self._of_card or f"exports[{self._index}]"

    @property
    def is_of_partner(self) -> bool:
        """Say whether it is on a partner's card."""
        return bool(self._of_card)

    @property
    def told_hosts(self) -> tuple[str, ...]:
        """Names under which a partner's gateway passes calls for it on."""
        return self._hosts

    @property
    def imports_of_members(self) -> "tuple[Import, ...]":
        """Its imports into all clusters of the fleet, of which this stack makes its own alone."""
        return self._imports

    @property
    def consumers(self) -> frozenset[str]:
        """Names of the clusters that may import it."""
        return frozenset(consumer.cluster for consumer in self.to)

    @property
    def workload_labels(self) -> dict[str, str]:
        """Labels that select the pods behind the Service."""
        return self.selector or {"app": self.service.name}

    @property
    def identity(self) -> NamespacedName:
        """ServiceAccount that the service's pods run as."""
        return NamespacedName(self.service.namespace, self.service_account or self.service.name)


MOST = 2**31 - 1
"""The largest integer of Istio's API."""
A_DAY = 24 * 60 * 60


class ConnectionPool(Declared):
    """Limits of connections and requests of the importing proxies (DestinationRule connectionPool)."""

    max_connections: int | None = Field(default=None, ge=1, le=MOST)
    """Most TCP connections of one proxy to the service. Default: Istio's."""
    connect_timeout_seconds: int | None = Field(default=None, ge=1, le=A_DAY)
    """Timeout of a new TCP connection. Default: Istio's."""
    max_requests_per_connection: int | None = Field(default=None, ge=1, le=MOST)
    """Low values spread calls over remote pods, because a pooled connection leads to one pod (walk-through 001)."""


class Failover(Declared):
    """Failover to another locality if the nearest has no healthy endpoint. It includes outlier detection."""

    to: str | None = None
    """Region that takes over; default: any."""
    consecutive_errors: int = Field(default=1, ge=1, le=MOST)
    """Answers 5xx in a row after which an endpoint gets no calls (consecutive5xxErrors)."""
    interval_seconds: int = Field(default=1, ge=1, le=A_DAY)
    """How often endpoints are judged."""
    base_ejection_seconds: int = Field(default=60, ge=1, le=A_DAY)
    """How long an endpoint gets no calls, times the number of times that this happened to it."""


class Import(Linked):
    """A service of another cluster that workloads of this cluster may call."""

    source: str = Field(alias="from")
    """The exporting cluster."""
    mode: Literal["remote", "local", "global"] = Field(default="remote", alias="as")
    """remote: under the service's own host. local: remote pods join the local Service of that name. global: under its
    global host, which local pods serve too if this cluster runs the service (as a sample or an export)."""
    own_host: str | None = Field(default=None, alias="host", max_length=253)
    """With `as: remote`: another host name under which callers call it, for example `payments.partner.example`; so two
    services of one name stand side by side. Default: the service's own."""
    via: Literal["direct", "egress"] = "direct"
    """direct: proxies call the exporter's gateway. egress: calls leave through an egress gateway of the importing
    cluster, and the proxies of the callers' namespaces call only hosts that the mesh knows."""
    api: Literal["istio", "gateway"] = "istio"
    """API that describes the exporter's gateway and its services: Istio's, or the Kubernetes Gateway API."""
    ports: tuple[ImportedPort, ...] = Field(default=(), min_length=1)
    """Ports of the export to import; default: all."""
    locality: str | None = None
    """Locality of the remote endpoints; default: that of the exporting cluster."""
    weight: int | None = Field(default=None, ge=0, le=100)
    """Share of calls in percent, among all imports of this service into this cluster. Local pods that serve it too get
    the rest (`as: local`, some `as: global`). Default: equal shares; beside local pods, an equal share for every pod
    and every gateway address."""
    callers: tuple[Reference, ...] | None = Field(default=None, min_length=1)
    """From a partner: namespace/serviceAccount of each caller in this cluster, of those that the card admits. Only
    their namespaces trust the partner. Default: all that the card names. Other exports are declared in this stack."""
    service_account: str | None = None
    """ServiceAccount of local pods that serve it too, which callers also pin; default: that of the export."""
    connection_pool: ConnectionPool | None = None
    failover: Failover | None = None
    _own_domain: str = PrivateAttr(default=CLUSTER_DOMAIN)

    @property
    def path(self) -> str:
        """Key path of this import."""
        return f"imports[{self._index}]"

    @property
    def host(self) -> str:
        """Host name under which the importing cluster's workloads call it."""
        return self.own_host or self._named(self._own_domain)

    @property
    def exported_host(self) -> str:
        """Host name by which the exporter's gateway passes calls on."""
        return self._named(self._domain)

    def _named(self, cluster_domain: str) -> str:
        return self.global_host if self.mode == "global" else service_host(self.service, cluster_domain)


def by_host(imports: Iterable[Import]) -> dict[tuple[str, str, str], list[Import]]:
    """Group imports by cluster, host and mode: those of a group share the calls."""
    groups: dict[tuple[str, str, str], list[Import]] = defaultdict(list)
    for link in imports:
        groups[link.cluster, link.host, link.mode].append(link)
    return groups


class CardCallers(Declared):
    """Callers of one mesh that an export admits."""

    trust_domain: str = Field(min_length=1, max_length=255)
    service_accounts: tuple[Reference, ...] | None = None
    """namespace/serviceAccount of each caller. Default: every workload of that mesh."""


class CardExport(Declared):
    """A service that a mesh offers to others."""

    service: Reference
    hosts: tuple[str, ...] = Field(min_length=1, max_length=2)
    """Names under which the gateway passes calls for it on."""
    ports: tuple[Port, ...] = Field(min_length=1)
    service_account: str = Field(min_length=1, max_length=253)
    """ServiceAccount of its pods, which callers pin."""
    to: tuple[CardCallers, ...]


class Card(Declared):
    """What a mesh tells its partners: `mesh card` writes it, and nothing in it is secret."""

    version: Literal[1]
    """Version of this format."""
    cluster: str = Field(min_length=1, max_length=63)
    """Name of the cluster in its own stack."""
    trust_domain: str = Field(min_length=1, max_length=255)
    cluster_domain: str = Field(default=CLUSTER_DOMAIN, min_length=1, max_length=100)
    """Domain that the DNS names of its Services end with."""
    network: str = Field(min_length=1, max_length=63)
    roots: tuple[str, ...] = Field(min_length=1, max_length=16)
    """PEM of the authorities that vouch for its identities."""
    gateway: EastWestGateway
    """Addresses and port of its east-west gateway."""
    exports: tuple[CardExport, ...] = ()


class Partner(Declared):
    """A mesh of another stack, another team or another company."""

    card: str
    """Path of the card that the partner sent."""
    fingerprint: str = Field(min_length=1, max_length=100)
    """Fingerprint of the card's trust domain and authorities, as the partner told it by another channel."""
    mesh: Card | None = None
    """What the card says; it is read from the file."""


class FleetMember(Declared):
    """The stack of one cluster of a fleet, whose other clusters have stacks of their own.

    `mesh up` writes the card of each into the folder cards/<fleet>.
    """

    fleet: str = Field(min_length=1, max_length=100)
    """The stack file Pulumi.<fleet>.yaml, which declares the clusters of all members and their links."""
    cluster: str = Field(min_length=1, max_length=63)
    """The cluster of this stack, by its name in that file."""
    cards: dict[str, Card] = {}
    """What the cards of other members say; they are read from the files that `mesh up` writes."""


class Discovery(Entry):
    """Endpoint discovery: one cluster's istiod reads another's API server (remote secrets; one mesh, one trust).

    Between two networks it opens the east-west gateway of the discovered cluster for every service, without exports.
    """

    cluster: str
    """The cluster whose istiod reads the other cluster."""
    of: str
    """The discovered cluster; the permissions include reading its Secrets."""
    token_hours: int = Field(default=24 * 365, ge=1, le=24 * 3650)
    """Lifetime of the token for reading. `mesh up` renews it in the second half of its lifetime."""

    @property
    def path(self) -> str:
        """Key path of this link."""
        return f"discovery[{self._index}]"


class Workload(Entry):
    """A sample workload for trying the federation."""

    cluster: str
    """The cluster that it runs in."""
    sample: Literal["sleep", "httpbin"]
    """sleep: a caller with curl. httpbin: a server on port 8000."""
    namespace: str = ""
    """Namespace; default: the sample's name."""
    image: str | None = None
    """Image; default: that of `images`, else the publisher's."""
    replicas: int = Field(default=1, ge=0, le=100)
    """Number of pods."""

    @property
    def path(self) -> str:
        """Key path of this workload."""
        return f"workloads[{self._index}]"

    @property
    def reference(self) -> NamespacedName:
        """Namespace and name of its Service, Deployment and ServiceAccount."""
        return NamespacedName(self.namespace or self.sample, self.sample)


class Federation(Declared):
    """Everything that one stack declares."""

    member_of: FleetMember | None = None
    """The cluster of a fleet that this is the stack of; the file of the fleet declares everything else."""
    trust: Trust = Trust()
    istio: Istio = Istio()
    images: Images = Images()
    lab: Lab = Lab()
    global_host_form: str = Field(default=GLOBAL_HOST, alias="globalHost")
    """Form of the host names of services that are imported as global; `{name}` and `{namespace}` stand for those of the
    Service. For example `{name}.{namespace}.mesh.global`; the Multi-Cluster Services API has
    `{name}.{namespace}.svc.clusterset.local`."""
    clusters: dict[str, Cluster] = Field(min_length=1)
    exports: tuple[Export, ...] = ()
    imports: tuple[Import, ...] = ()
    discovery: tuple[Discovery, ...] = ()
    workloads: tuple[Workload, ...] = ()
    partners: dict[str, Partner] = {}
    """Meshes of other stacks, by the name by which exports and imports of this stack call them."""
    _in_lab: tuple[str, ...] = PrivateAttr(default=())
    _waiting: tuple[str, ...] = PrivateAttr(default=())
    _awaited: tuple[Import, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _set_names_and_indexes(self) -> Self:
        for name, cluster in self.clusters.items():
            self.clusters[name] = _named(name, cluster, self.istio)
        self._in_lab = tuple(name for name, each in self.clusters.items() if each.has_lab_address)
        lists: tuple[tuple[Entry, ...], ...] = (self.exports, self.imports, self.discovery, self.workloads)
        for entries in lists:
            for index, entry in enumerate(entries):
                entry._index = index
        for link in (*self.exports, *self.imports):
            link._form = self.global_host_form
        self._set_domains()
        for export in self.exports:
            for index, consumer in enumerate(export.to):
                consumer._path = f"{export.path}.to[{index}]"
        return self

    def _set_domains(self) -> None:
        domains = {name: each.cluster_domain for name, each in self.clusters.items()}
        for export in self.exports:
            export._domain = domains.get(export.cluster, CLUSTER_DOMAIN)
        for link in self.imports:
            link._domain = domains.get(link.source, CLUSTER_DOMAIN)
            link._own_domain = domains.get(link.cluster, CLUSTER_DOMAIN)

    def joined(self, clusters: Mapping[str, Cluster], exports: Iterable[Export]) -> Self:
        """Return the same with clusters of others, and what they export."""
        added = {"clusters": {**self.clusters, **clusters}, "exports": (*self.exports, *exports)}
        joined = self.model_copy(update=added)
        joined._set_domains()
        return joined

    @property
    def in_lab(self) -> tuple[str, ...]:
        """Names of the clusters with addresses of the lab network: of this stack, and of all members of its fleet."""
        return self._in_lab

    @property
    def waiting(self) -> tuple[str, ...]:
        """What this stack of a fleet leaves out until other members are up; each with its key path and the reason."""
        return self._waiting

    @property
    def linked_imports(self) -> tuple[Import, ...]:
        """Imports of this stack, and those by which other members of a fleet call its exports."""
        return (*self.imports, *(link for export in self.exports for link in export.imports_of_members))

    @property
    def awaited(self) -> tuple[Import, ...]:
        """Imports of this stack that wait for other members of its fleet."""
        return self._awaited

    def export(self, cluster: str, service: NamespacedName) -> Export | None:
        """Return the export of a service by a cluster; None where it exports none."""
        return next((each for each in self.exports if (each.cluster, each.service) == (cluster, service)), None)

    def export_of(self, link: Import) -> Export:
        """Return the export that an import refers to; the rules make sure that there is one."""
        export = self.export(link.source, link.service)
        assert export is not None, f"{link.path} refers to no export"
        return export

    def istio_of(self, cluster: str) -> Istio:
        """Return the settings of one cluster's Istio: its own, and the federation's where it has none."""
        settings, observed = self.istio.overridden(self.clusters[cluster].istio), self.clusters[cluster].observed
        return settings.model_copy(update={"revision": observed.revision}) if observed else settings

    @property
    def installed(self) -> dict[str, Cluster]:
        """The clusters whose Istio this stack installs, with authorities of its own; by name, sorted."""
        return {name: each for name, each in sorted(self.clusters.items()) if each.istio.install}

    @property
    def own(self) -> dict[str, Cluster]:
        """The clusters that this stack reaches: all but those of partners; by name, sorted."""
        return {name: each for name, each in sorted(self.clusters.items()) if name not in self.partners}

    @property
    def own_domains(self) -> frozenset[str]:
        """Cluster domains of the clusters that this stack reaches, and the usual one, which is kept free everywhere."""
        return frozenset({CLUSTER_DOMAIN, *(each.cluster_domain for each in self.own.values())})

    @property
    def roots_of_others(self) -> dict[str, tuple[str, ...]]:
        """PEM of what vouches for each mesh whose authorities belong to others, as far as they are known."""
        seen = {name: each.observed.roots for name, each in self.clusters.items() if each.observed}
        told = {name: each.mesh.roots for name, each in self.partners.items() if each.mesh}
        return dict(sorted({**seen, **told}.items()))

    @property
    def anchors_of_others(self) -> dict[str, tuple[str, ...]]:
        """PEM of what links accept for each of these meshes: its twin where it has one, else its roots."""
        twins = {name: each.istio.twin for name, each in self.clusters.items()}
        return {name: (twin,) if (twin := twins.get(name)) else roots for name, roots in self.roots_of_others.items()}

    def istio_release(self, cluster: str) -> str:
        """Return the Istio release that a cluster runs."""
        observed = self.clusters[cluster].observed
        return observed.version if observed else self.istio_of(cluster).version

    def istio_version(self, cluster: str) -> tuple[int, int]:
        """Return major and minor of the Istio release that a cluster runs."""
        major, minor, *_ = self.istio_release(cluster).split(".")
        return int(major), int(minor)

    @property
    def istio_settings(self) -> Iterator[tuple[str, IstioSettings]]:
        """Every place of the stack file with settings of Istio: its key path, and what is written there."""
        yield "istio", self.istio
        for cluster in self.clusters.values():
            yield f"{cluster.path}.istio", cluster.istio

    def istio_path(self, cluster: str, *keys: str) -> str:
        """Return the key path of the setting that holds for a cluster, by the keys below `istio`."""
        own = self.clusters[cluster]
        if own.observed and keys in (("version",), ("revision",)):
            return f"{own.path}.observed.{keys[0]}"
        found: object = own.istio.model_dump(by_alias=True, exclude_unset=True)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return ".".join((*((own.path,) if found is not None else ()), "istio", *keys))


def _named(name: str, cluster: Cluster, istio: Istio) -> Cluster:
    """Set the defaults that depend on the cluster's name and provisioner, and on the federation's Istio."""
    known = cluster.observed
    defaults = {
        "network": f"{name}-network",
        "mesh_id": (known and known.mesh_id) or f"{name}-mesh",
        "trust_domain": known.trust_domain if known else f"{name}.local",
        **({"kubernetes_version": known.kubernetes, "cluster_domain": known.cluster_domain} if known else {}),
        "load_balancer": cluster.provider.load_balancers[0],
        "locality": name,
    }
    left_out = {field: value for field, value in defaults.items() if field not in cluster.model_fields_set}
    named = cluster.model_copy(update=left_out)
    named._name = name
    named._namespace = cluster.istio.namespace or (istio.namespace if cluster.istio.install else ISTIO_NAMESPACE)
    return named


def is_address(value: str) -> bool:
    """Say whether a gateway's address is an IP address; otherwise it is a host name."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
