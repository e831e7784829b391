"""What a proxy really holds: asked of its Envoy, from inside its pod.

Source: Envoy's admin interface (`/clusters`, `/config_dump`), which pilot-agent passes on.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh_federation.plan import gateway_addresses
from mesh_federation.verify import certificates
from mesh_federation.verify.cluster import Cluster
from mesh_federation.verify.objects import PROXY, Pod
from mesh_federation.verify.verdict import Inconclusive


class Told(BaseModel):
    """Part of an answer of Envoy."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class SocketAddress(Told):
    """Where something listens."""

    address: str = ""
    port_value: int = 0


class Address(Told):
    """The same, one level up."""

    socket_address: SocketAddress = SocketAddress()


class Locality(Told):
    """Where an endpoint is."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""

    def __str__(self) -> str:
        """Write it as Istio does."""
        return "/".join(part for part in (self.region, self.zone, self.sub_zone) if part)


class Figure(Told):
    """A counter of an endpoint."""

    name: str
    value: int = 0


class Endpoint(Told):
    """An endpoint that a proxy knows."""

    address: Address
    weight: int = 1
    locality: Locality = Locality()
    stats: tuple[Figure, ...] = ()

    @property
    def where(self) -> str:
        """Address and port."""
        return gateway_addresses.with_port(self.ip, self.address.socket_address.port_value)

    @property
    def ip(self) -> str:
        """Address alone."""
        return self.address.socket_address.address

    def figure(self, name: str) -> int:
        """Return a counter; 0 where there is none."""
        return next((each.value for each in self.stats if each.name == name), 0)


class Upstream(Told):
    """A service as a proxy knows it."""

    name: str
    endpoints: tuple[Endpoint, ...] = Field(default=(), alias="host_statuses")


class Upstreams(Told):
    """All of them."""

    upstreams: tuple[Upstream, ...] = Field(default=(), alias="cluster_statuses")

    def named(self, name: str) -> Upstream | None:
        """Return the one of that name."""
        return next((each for each in self.upstreams if each.name == name), None)


class Bytes(Told):
    """PEM text in an answer."""

    inline_bytes: str = ""

    @property
    def certificates(self) -> list[x509.Certificate]:
        """What is in it."""
        return certificates.read(base64.b64decode(self.inline_bytes))


class OwnCertificate(Told):
    """What a proxy shows to others."""

    certificate_chain: Bytes = Bytes()


class Validation(Told):
    """What a proxy accepts of others."""

    trusted_ca: Bytes = Bytes()


class TlsSecret(Told):
    """One or the other of these."""

    tls_certificate: OwnCertificate | None = None
    validation_context: Validation | None = None


class NamedSecret(Told):
    """The same, one level up."""

    name: str = ""
    secret: TlsSecret = TlsSecret()


class Secrets(Told):
    """What a proxy has from its istiod to know itself and others by. Keys are blanked out by Envoy."""

    configs: tuple[NamedSecret, ...] = ()

    @property
    def own(self) -> list[x509.Certificate]:
        """Its own certificate, then its issuers up to its root; Istio's agent puts all trusted roots behind them."""
        found = (each.secret.tls_certificate for each in self.configs if each.name == "default")
        sent = next((own.certificate_chain.certificates for own in found if own), [])
        root = next((place for place, each in enumerate(sent) if each.subject == each.issuer), len(sent))
        return sent[: root + 1]

    @property
    def trusted(self) -> list[x509.Certificate]:
        """The roots that it accepts."""
        found = (each.secret.validation_context for each in self.configs if each.name == "ROOTCA")
        return next((accepted.trusted_ca.certificates for accepted in found if accepted), [])


class Matcher(Told):
    """How a name is compared."""

    exact: str = ""


class TypedMatcher(Told):
    """The same, as newer releases write it."""

    matcher: Matcher = Matcher()


class Pins(Told):
    """The identities that are accepted of a server."""

    match_subject_alt_names: tuple[Matcher, ...] = ()
    match_typed_subject_alt_names: tuple[TypedMatcher, ...] = ()

    @property
    def exact(self) -> list[str]:
        """All of them."""
        typed = (each.matcher.exact for each in self.match_typed_subject_alt_names)
        return sorted({*typed, *(each.exact for each in self.match_subject_alt_names)})


class CombinedValidation(Told):
    """Nesting of Envoy's."""

    default_validation_context: Pins = Pins()


class CommonTls(Told):
    """Nesting of Envoy's."""

    combined_validation_context: CombinedValidation = CombinedValidation()


class Tls(Told):
    """Nesting of Envoy's."""

    common_tls_context: CommonTls = CommonTls()


class Transport(Told):
    """Nesting of Envoy's."""

    typed_config: Tls = Tls()


class TransportMatch(Told):
    """How endpoints of one kind are spoken to."""

    name: str = ""
    transport_socket: Transport = Transport()


class Settings(Told):
    """How a proxy speaks to a service."""

    name: str
    transport_socket: Transport = Transport()
    transport_socket_matches: tuple[TransportMatch, ...] = ()

    @property
    def pins(self) -> list[str]:
        """Identities that it accepts of the service's endpoints in the mesh."""
        meshed = [each.transport_socket for each in self.transport_socket_matches if each.name == "tlsMode-istio"]
        spoken = meshed[0] if meshed else self.transport_socket
        return spoken.typed_config.common_tls_context.combined_validation_context.default_validation_context.exact


class SettingsDump(Told):
    """Nesting of Envoy's."""

    cluster: Settings


class AllSettings(Told):
    """How a proxy speaks to each service that it knows."""

    configs: tuple[SettingsDump, ...] = ()

    def named(self, name: str) -> Settings | None:
        """Return the one of that name."""
        return next((each.cluster for each in self.configs if each.cluster.name == name), None)


class FilterSettings(Told):
    """Where a filter sends a connection."""

    cluster: str = ""


class Filter(Told):
    """Nesting of Envoy's."""

    typed_config: FilterSettings = FilterSettings()


class FilterChain(Told):
    """What happens to connections of one kind."""

    name: str = ""
    filters: tuple[Filter, ...] = ()


class Listener(Told):
    """What happens to connections."""

    name: str = ""
    filter_chains: tuple[FilterChain, ...] = ()
    default_filter_chain: FilterChain = FilterChain()


class ActiveState(Told):
    """Nesting of Envoy's."""

    listener: Listener = Listener()


class Refusal(Told):
    """Why a proxy did not take what its istiod told it."""

    details: str = ""


class ListenerDump(Told):
    """Nesting of Envoy's."""

    active_state: ActiveState = ActiveState()
    error_state: Refusal = Refusal()


class Listeners(Told):
    """What a proxy does with connections."""

    configs: tuple[ListenerDump, ...] = ()

    @property
    def refused(self) -> list[str]:
        """Why it did not take what its istiod told it last; it goes on with what it had before."""
        return [each.error_state.details for each in self.configs if each.error_state.details]

    @property
    def unknown_goes_to(self) -> str:
        """Where it sends what nothing else says anything about."""
        listeners = (each.active_state.listener for each in self.configs)
        chains = [
            chain
            for listener in listeners
            if listener.name == "virtualOutbound"
            for chain in (*listener.filter_chains, listener.default_filter_chain)
            if chain.name == "virtualOutbound-catchall-tcp"
        ]
        return next((each.typed_config.cluster for chain in chains for each in chain.filters[-1:]), "")


class Metadata(Told):
    """What a proxy knows of itself."""

    version: str = Field(default="", alias="ISTIO_VERSION")


class Node(Told):
    """Nesting of Envoy's."""

    metadata: Metadata = Metadata()


class ServerInfo(Told):
    """What a proxy is."""

    node: Node = Node()


Answer = TypeVar("Answer", bound=Told)


@dataclass(frozen=True)
class Proxy:
    """The proxy of one pod.

    Attributes:
        cluster: where it runs.
        pod: which it serves.
    """

    cluster: Cluster
    pod: Pod

    def upstreams(self) -> Upstreams:
        """Return every service that it knows, with its endpoints."""
        return self._ask(Upstreams, "clusters?format=json")

    def settings(self) -> AllSettings:
        """Return how it speaks to each of them."""
        return self._ask(AllSettings, "config_dump?resource=dynamic_active_clusters")

    def secrets(self) -> Secrets:
        """Return its own certificate and the roots that it accepts."""
        return self._ask(Secrets, "config_dump?resource=dynamic_active_secrets")

    def listeners(self) -> Listeners:
        """Return what it does with connections."""
        return self._ask(Listeners, "config_dump?resource=dynamic_listeners")

    def server(self) -> ServerInfo:
        """Return what it is."""
        return self._ask(ServerInfo, "server_info")

    def _ask(self, model: type[Answer], path: str) -> Answer:
        """Ask Envoy.

        Raises:
            Unseen: it does not answer, or in another form.
        """
        done = self.cluster.run_in(self.pod, PROXY, "pilot-agent", "request", "GET", path)
        if done.code:
            raise self.cluster.within(self.pod, "its proxy does not answer", done.error)
        try:
            return model.model_validate_json(done.out)
        except ValidationError:
            fix = "this release of Envoy answers in another form: say so to the makers of this program"
            raise Inconclusive(f"{self.cluster.name}: the proxy of {self.pod.title} gives no {path}", fix) from None


def in_mesh(cluster: Cluster) -> Sequence[Proxy]:
    """Return the proxies of a cluster's running pods, gateways among them."""
    return [Proxy(cluster, pod) for pod in cluster.pods() if pod.has_proxy]
