"""The stack file as types: every key that a user may write, its meaning and its default.

Only shape is decided here (types, allowed words, unknown keys). Facts that span several entries are rules.
Every default is the safe one: nothing is exported unless declared, mTLS is STRICT, trust-domain aliases do not exist.
"""

import re
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

PROJECT = "mesh-federation"
KEY = f"{PROJECT}:federation"
"""The key of a stack file below which a federation is declared."""


@dataclass(frozen=True, order=True)
class NamespacedName:
    """A Kubernetes object's `namespace/name`, as users write it.

    Attributes:
        namespace: RFC 1123 label.
        name: RFC 1123 label.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the form that stack files use."""
        return f"{self.namespace}/{self.name}"

    @property
    def host(self) -> str:
        """The name by which a Service of this name is reached inside its cluster."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def global_host(self) -> str:
        """The name that a Service of this name has in every mesh that imports it as global."""
        return f"{self.name}.mesh.global"


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


class Declared(BaseModel):
    """Base of everything in a stack file: immutable, camelCase keys, unknown keys and keys with nothing behind refused.

    None stands for a key that is left out, which is often the wide choice. A key that is written, with nothing behind
    it, is more likely a slip of the editor: no key takes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let None be a default, and nothing that a person can write."""
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
    """What makes a cluster."""

    vars().update({name.upper(): name for name in registry.PROVIDERS})  # one member for each provider


class Protocol(StrEnum):
    """Application protocol of a port, in Istio's words."""

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
    """Ed25519 is left out: Envoy does not take it."""
    curve: Literal["P256", "P384"] = "P256"
    """Curve of ECDSA keys."""
    bits: Literal[2048, 3072, 4096] = 4096
    """Size of RSA keys."""


class ProvidedAuthority(Declared):
    """One cluster's certificate authority, made elsewhere. PEM text, or the path of a file of PEM or DER."""

    certificate: str
    """The intermediate that istiod signs workload certificates with."""
    key: SecretStr
    """Its private key, without a password. Set it as a Pulumi secret."""
    chain: str = ""
    """Further certificates between the intermediate and the root, in any order; those two may be among them."""
    root: str
    """The root that this cluster's workloads chain to."""


TrustModel = Literal["common", "separate", "provided"]


class Rotation(Declared):
    """A move to other authorities, in three steps, each an `up` of its own. What is left out stays as it is.

    The keys beside `phase` say what `trust` will be: write them there, and remove `rotation`, when all is done.
    """

    phase: Literal["add", "switch", "drop"]
    """add: all clusters trust the next roots too. switch: they sign under them. drop: they trust no others."""
    model: TrustModel | None = None
    """The next trust model."""
    root: str | None = Field(default=None, max_length=16)
    """Name of the next root, or, in model `separate`, of all next roots."""
    organization: str | None = Field(default=None, min_length=1, max_length=64)
    """O of the next certificates."""
    key: Key | None = None
    """Keys of the next authorities."""
    root_days: int | None = Field(default=None, ge=1, le=36500)
    """Lifetime of the next roots, in days."""
    provided: dict[str, ProvidedAuthority] | None = None
    """Model `provided`: the next authorities."""


class Trust(Declared):
    """Who trusts whom."""

    model: TrustModel = "common"
    """common: one root, and one intermediate per cluster. separate: one root per cluster; every cluster trusts all
    roots. provided: your own authorities."""
    root: str = Field(default="", max_length=16)
    """Tells the root, or all roots, from those before: another name is another root, which takes a rotation."""
    organization: str = Field(default="mesh-federation", min_length=1, max_length=64)
    """O of every certificate's subject."""
    key: Key = Key()
    """Keys of the authorities that this program makes."""
    root_days: int = Field(default=3650, ge=1, le=36500)
    """Lifetime of roots, in days."""
    intermediate_days: int = Field(default=1825, ge=1, le=36500)
    """Lifetime of intermediates, in days."""
    warn_days: int = Field(default=30, ge=1, le=3650)
    """How many days before its end an authority is complained of."""
    provided: dict[str, ProvidedAuthority] = {}
    """Model `provided`: the authority of each cluster, by the cluster's name."""
    rotation: Rotation | None = None
    """A move to other roots, or to another model."""

    @property
    def following(self) -> "Trust":
        """What a rotation leads to; the same where there is none."""
        if self.rotation is None:
            return self
        changed = {name: value for name, value in self.rotation if name != "phase" and value is not None}
        given = self.provided if changed.get("model", self.model) == "provided" else {}
        return self.model_copy(update={"provided": given, **changed, "rotation": None})


class Istio(Declared):
    """The Istio that every cluster gets."""

    version: str = Field(default="1.31.0", pattern=r"^1\.\d{1,3}\.\d{1,3}(-[0-9A-Za-z.-]+)?$")
    """Istio's release."""
    charts: str = "official"
    """`official`: the charts that the toolchain pins. Else a folder that holds base, istiod and gateway; `{version}`
    in it stands for a cluster's Istio release."""
    gateway_api: str = "official"
    """Definitions of the Kubernetes Gateway API, for links that say `api: gateway`. `official`: those that the
    toolchain pins. Else the path of a file with them."""
    hub: str | None = None
    """Registry and path of Istio's images. Left out: those of the release; with charts of one's own, what they say."""
    tag: str | None = None
    """Tag of Istio's images. Left out: the release; with charts of one's own, what they say."""
    revision: str = Field(default="", max_length=40)
    """Istio revision; empty is the default one."""
    channel: Literal["default", "stable"] = "default"
    """stable refuses fields of Istio's API that are not in its stable channel."""
    values: dict[str, Any] = {}
    """Further Helm values of the istiod chart; they win over what this program computes."""
    gateway_values: dict[str, Any] = {}
    """Further Helm values of the gateway chart; they win over what this program computes."""
    egress_values: dict[str, Any] = {}
    """The same for the egress gateway of clusters that have one."""


class Images(Declared):
    """Where images come from, for machines that pull through a mirror; the publishers' own when left out."""

    node: str | None = None
    """Node image of kind and k3d clusters that name none of their own; each program has images of its own."""
    metallb: str | None = None
    """Registry and path in front of MetalLB's `controller` and `speaker`."""
    sleep: str | None = None
    """Image of the sample sleep: has curl and a shell."""
    httpbin: str | None = None
    """Image of the sample httpbin: go-httpbin, port 8080."""


class Lab(Declared):
    """The network in which the clusters of one machine live."""

    network: str = "mesh-federation"
    """Name of the Docker network."""
    subnet: IPv4Network = IPv4Network("172.30.0.0/16")
    """Its addresses: nodes take the lower half, load balancers the upper half."""
    metallb_manifest: str = Field(default="official", alias="metallbManifest")
    """`official`: MetalLB's own manifest, as the toolchain pins it. Else the path of one."""


GATEWAY_PORT = 15443
"""On which Istio looks for the gateway of a network that says nothing else."""


class EastWestGateway(Declared):
    """A cluster's east-west gateway: the only door through which other clusters reach it."""

    addresses: tuple[str, ...] = ()
    """Fixed IPv4 or IPv6 addresses, or the host names under which others reach it; never addresses and names. Others
    call its IPv4 addresses where it has both families. Empty: computed in the lab network, or, on existing clusters and
    with servicelb, read from the Service."""
    port: int = Field(default=GATEWAY_PORT, ge=1, le=65535)
    """Port of the auto-passthrough listener. 15000 to 15090 are Istio's and Envoy's own."""

    @field_validator("addresses")
    @classmethod
    def _written_in_one_way(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """An IPv6 address has many spellings, and Kubernetes gives back one of them."""
        return tuple(str(ip_address(each)) if is_address(each) else each for each in addresses)


class PublishedPort(Declared):
    """A port of a cluster's first node that this machine's users reach."""

    container: int = Field(ge=1, le=65535)
    """Port on the node."""
    host: int = Field(ge=1, le=65535)
    """Port on this machine."""
    address: IPv4Address = IPv4Address("127.0.0.1")
    """Address on this machine; 0.0.0.0 opens it to others."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


_RELEASE = r"^v?(1\.\d{1,3}\.\d{1,3})([-+].*)?$"
"""A release of Kubernetes, as API servers call themselves: v1.33.4-eks-99bf7f5, 1.33.5-gke.1162000, v1.33.4+k3s1."""


def _release(value: object) -> object:
    """Leave out what a publisher added to a release."""
    found = re.match(_RELEASE, value) if isinstance(value, str) else None
    return found[1] if found else value


class Cluster(Declared):
    """A Kubernetes cluster and its mesh."""

    provisioner: Provisioner = Provisioner(registry.DEFAULT)
    pod_subnet: IPv4Network = IPv4Network("10.244.0.0/16")
    service_subnet: IPv4Network = IPv4Network("10.96.0.0/16")
    network: str = ""
    """Istio network; left out: the cluster's name with -network. Equal networks mean pods reach each other directly."""
    mesh_id: str = Field(default="", alias="meshID")
    """Left out: the cluster's name with -mesh."""
    trust_domain: str = ""
    """SPIFFE trust domain; left out: the cluster's name with .local."""
    load_balancer: LoadBalancer = LoadBalancer.NONE
    """Left out: what suits the provisioner."""
    locality: str = ""
    """region[/zone[/subzone]] of the cluster's gateway as importers see it; left out: the cluster's name."""
    gateway: EastWestGateway = EastWestGateway()
    image: str | None = None
    """Node image of a kind or k3d cluster; left out: that of `images`."""
    nodes: int = Field(default=1, ge=1, le=10)
    """Nodes of clusters that this program makes."""
    ports: tuple[PublishedPort, ...] = ()
    """Provisioners kind and k3d: ports of the first node that are published on this machine."""
    ready_within_seconds: int = Field(default=300, ge=30, le=3600)
    """How long a kind or k3d cluster may take until its nodes are ready; 40 s are usual."""
    kubernetes_version: Annotated[str, BeforeValidator(_release)] = Field(
        default="1.34.4", pattern=r"^1\.\d{1,3}\.\d{1,3}$", json_schema_extra={"pattern": _RELEASE}
    )
    """What charts are rendered for; the version of simulated control planes. As clouds print it, too: v1.34.4-eks-1."""
    kubeconfig: str | None = None
    """Provisioner existing: path of the kubeconfig file."""
    context: str | None = None
    """Provisioner existing: context in that file; left out: its current context."""
    adopt: bool = False
    """Provisioner existing: look at objects that this stack did not make and would take over, and show what would
    change in them; nothing is taken over that `adopted` does not name."""
    adopted: tuple[str, ...] = ()
    """Provisioner existing: objects of others that the stack takes over, each as `Kind namespace/name`; `down` leaves
    them in the cluster."""
    api_server: str | None = None
    """Provisioner existing: https address of its API server as pods of the clusters that discover it reach it; left
    out: that of the kubeconfig."""
    istio_version: str | None = Field(default=None, pattern=r"^1\.\d{1,3}\.\d{1,3}(-[0-9A-Za-z.-]+)?$")
    """This cluster's Istio release, where it differs from the federation's."""
    intermediate: str = Field(default="", max_length=16)
    """Tells this cluster's intermediate from those before: another name is another one under the same root, at once."""

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The logical name: the key under `clusters`."""
        return self._name

    @property
    def provider(self) -> Provider:
        """What makes the cluster, or leads to it."""
        return registry.PROVIDERS[self.provisioner]

    @property
    def is_existing(self) -> bool:
        """Say whether others made the cluster."""
        return not self.provider.ours

    @property
    def has_lab_address(self) -> bool:
        """Say whether its load balancer hands out addresses of the lab network."""
        return self.load_balancer in (LoadBalancer.SIMULATED, LoadBalancer.METALLB)

    @property
    def path(self) -> str:
        """Where in the stack file this cluster is declared."""
        return f"clusters.{self._name}"


class Port(Declared):
    """A port of an exported service."""

    name: str
    """The Service port's name; Istio maps endpoints by it."""
    number: int = Field(ge=1, le=65535)
    protocol: Protocol
    app_protocol: str | None = Field(default=None, max_length=316)
    """appProtocol of the Service's port, where it has one: Istio goes by that, and not by the port's name."""
    target_port: int | None = Field(default=None, ge=1, le=65535)
    """The container's port: the exporter's policy opens no other, and a global host finds the pods by it (pitfall 27).
    Left out: that of the sample where the exporter runs one (a global host wants it written), else `number`, as in a
    Service. `up` and `verify` compare it with the Service."""


class Consumer(Declared):
    """Who may call an exported service from one other cluster."""

    cluster: str
    service_accounts: tuple[Reference, ...] | None = None
    """namespace/serviceAccount of each caller. Left out: every workload of that cluster."""


class Entry(Declared):
    """An item of one of the stack file's lists; it knows its place there, so that findings can name it."""

    _index: int = PrivateAttr(default=0)


class Export(Entry):
    """A service that one cluster offers to others, on these ports alone. Nothing else of that cluster can be reached.

    `selector`, `serviceAccount` and `targetPort` are compared with the Service and its pods, by `up` wherever they are
    there already, and by `verify`.
    """

    cluster: str
    service: Reference
    ports: tuple[Port, ...] = Field(min_length=1)
    to: tuple[Consumer, ...]
    selector: dict[str, str] = Field(default={}, min_length=1)
    """Labels that all pods behind the Service have, by which the policy covers them; left out: app=<name of the
    service>."""
    service_account: str | None = None
    """ServiceAccount of those pods, which importers pin; left out: the name of the service."""

    @property
    def path(self) -> str:
        """Where in the stack file this export is declared."""
        return f"exports[{self._index}]"

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
"""What Istio's whole numbers hold."""
A_DAY = 24 * 60 * 60


class ConnectionPool(Declared):
    """How many connections and requests the importing proxies keep (DestinationRule connectionPool)."""

    max_connections: int | None = Field(default=None, ge=1, le=MOST)
    connect_timeout_seconds: int | None = Field(default=None, ge=1, le=A_DAY)
    max_requests_per_connection: int | None = Field(default=None, ge=1, le=MOST)
    """Low values spread calls over remote pods: one pooled connection ends at one pod (walk-through 001)."""


class Failover(Declared):
    """Which locality takes over when the nearest has no healthy endpoint. Always brings outlier detection."""

    to: str | None = None
    """Region that takes over; left out: any."""
    consecutive_errors: int = Field(default=1, ge=1, le=MOST)
    interval_seconds: int = Field(default=1, ge=1, le=A_DAY)
    base_ejection_seconds: int = Field(default=60, ge=1, le=A_DAY)


class Import(Entry):
    """A service of another cluster, made reachable in this one."""

    cluster: str
    source: str = Field(alias="from")
    """The exporting cluster."""
    service: Reference
    mode: Literal["remote", "local", "global"] = Field(default="remote", alias="as")
    """remote: under its own name. local: beside the Service of that name here. global: as <name>.mesh.global, which is
    answered by the pods here too where this cluster runs the service (a sample of it, or an export)."""
    via: Literal["direct", "egress"] = "direct"
    """egress: calls leave through an egress gateway of the importing cluster, and the callers' namespaces lose every
    other way out to what the mesh does not know."""
    api: Literal["istio", "gateway"] = "istio"
    """Which API says where the exporter's gateway is and what it offers: Istio's own, or the Kubernetes Gateway API."""
    ports: tuple[Port, ...] = Field(default=(), min_length=1)
    """Left out: those of the export. Given: they must be the export's."""
    locality: str | None = None
    """Left out: the exporting cluster's."""
    weight: int | None = Field(default=None, ge=0, le=100)
    """Share of calls in percent, among all imports of this service in this cluster. Where pods here answer too (`as:
    local`, some `as: global`), the rest is theirs. Left out: equal shares; beside pods here, every pod and every
    gateway address is called alike."""
    service_account: str | None = None
    """ServiceAccount of the pods here, where they answer too: callers pin it as well. Left out: that of the export."""
    connection_pool: ConnectionPool | None = None
    failover: Failover | None = None

    @property
    def path(self) -> str:
        """Where in the stack file this import is declared."""
        return f"imports[{self._index}]"

    @property
    def host(self) -> str:
        """Host name under which the importing cluster's workloads call it."""
        return self.service.global_host if self.mode == "global" else self.service.host


class Discovery(Entry):
    """Endpoint discovery: one cluster's istiod reads another's API server (remote secrets; one mesh, one trust).

    On different networks it opens the east-west gateway of the cluster that is read for every service of its mesh: the
    one place where nothing need be exported.
    """

    cluster: str
    """The cluster whose istiod reads."""
    of: str
    """The cluster that is read, Secrets among the rest."""
    token_hours: int = Field(default=24 * 365, ge=1, le=24 * 3650)
    """Lifetime of the token that it reads with. `mesh up` renews it in the second half of that."""

    @property
    def path(self) -> str:
        """Where in the stack file this link is declared."""
        return f"discovery[{self._index}]"


class Workload(Entry):
    """A sample workload, to try the federation with."""

    cluster: str
    sample: Literal["sleep", "httpbin"]
    namespace: str = ""
    """Left out: the sample's name."""
    image: str | None = None
    replicas: int = Field(default=1, ge=0, le=100)

    @property
    def path(self) -> str:
        """Where in the stack file this workload is declared."""
        return f"workloads[{self._index}]"

    @property
    def reference(self) -> NamespacedName:
        """Namespace and name of its Service, Deployment and ServiceAccount."""
        return NamespacedName(self.namespace or self.sample, self.sample)


class Federation(Declared):
    """Everything that one stack declares."""

    trust: Trust = Trust()
    istio: Istio = Istio()
    images: Images = Images()
    lab: Lab = Lab()
    clusters: dict[str, Cluster] = Field(min_length=1)
    exports: tuple[Export, ...] = ()
    imports: tuple[Import, ...] = ()
    discovery: tuple[Discovery, ...] = ()
    workloads: tuple[Workload, ...] = ()

    @model_validator(mode="after")
    def _tell_each_entry_its_place(self) -> Self:
        for name, cluster in self.clusters.items():
            self.clusters[name] = _named(name, cluster)
        lists: tuple[tuple[Entry, ...], ...] = (self.exports, self.imports, self.discovery, self.workloads)
        for entries in lists:
            for index, entry in enumerate(entries):
                entry._index = index
        return self

    def istio_version(self, cluster: str) -> tuple[int, int]:
        """Return major and minor of the Istio release that this cluster runs."""
        version = self.clusters[cluster].istio_version or self.istio.version
        major, minor, *_ = version.split(".")
        return int(major), int(minor)


def _named(name: str, cluster: Cluster) -> Cluster:
    """Fill what follows from the cluster's name and provisioner where the stack file leaves it out."""
    follows = {
        "network": f"{name}-network",
        "mesh_id": f"{name}-mesh",
        "trust_domain": f"{name}.local",
        "load_balancer": cluster.provider.load_balancers[0],
        "locality": name,
    }
    left_out = {field: value for field, value in follows.items() if field not in cluster.model_fields_set}
    named = cluster.model_copy(update=left_out)
    named._name = name
    return named


def is_address(value: str) -> bool:
    """Say whether a gateway's address is an IP address, of either family; otherwise it is a host name."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True
