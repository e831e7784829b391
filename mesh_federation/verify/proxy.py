"""The configuration that a proxy really has, read from its Envoy inside the pod.

Source: Envoy's admin interface (`/clusters`, `/config_dump`), which pilot-agent forwards.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh_federation.plan import gateway_addresses
from mesh_federation.verify import certificates
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.objects import PROXY, Pod
from mesh_federation.verify.verdict import Inconclusive


class EnvoyPart(BaseModel):
    """Part of a response of Envoy's admin interface."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class SocketAddress(EnvoyPart):
    """An address and a port."""

    address: str = ""
    port_value: int = 0


class Address(EnvoyPart):
    """Nesting of Envoy's."""

    socket_address: SocketAddress = SocketAddress()


class Locality(EnvoyPart):
    """The locality of an endpoint."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""

    def __str__(self) -> str:
        """Write it as Istio does."""
        return "/".join(part for part in (self.region, self.zone, self.sub_zone) if part)


class EndpointStat(EnvoyPart):
    """A counter of an endpoint."""

    name: str
    value: int = 0


class UpstreamEndpoint(EnvoyPart):
    """An endpoint of an upstream."""

    address: Address
    weight: int = 1
    locality: Locality = Locality()
    stats: tuple[EndpointStat, ...] = ()

    @property
    def where(self) -> str:
        """Address and port as text."""
        return gateway_addresses.with_port(self.ip, self.address.socket_address.port_value)

    @property
    def ip(self) -> str:
        """The address alone."""
        return self.address.socket_address.address

    def stat(self, name: str) -> int:
        """Return a counter; 0 if Envoy has none."""
        return next((each.value for each in self.stats if each.name == name), 0)


class Upstream(EnvoyPart):
    """An upstream (Envoy calls it a cluster): one service port with its endpoints."""

    name: str
    endpoints: tuple[UpstreamEndpoint, ...] = Field(default=(), alias="host_statuses")


class Upstreams(EnvoyPart):
    """All upstreams of a proxy."""

    upstreams: tuple[Upstream, ...] = Field(default=(), alias="cluster_statuses")

    def named(self, name: str) -> Upstream | None:
        """Return the one with this name."""
        return next((each for each in self.upstreams if each.name == name), None)


class InlinePem(EnvoyPart):
    """PEM text in a response."""

    inline_bytes: str = ""

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates in it."""
        return certificates.read(base64.b64decode(self.inline_bytes))


class OwnCertificate(EnvoyPart):
    """The certificate that a proxy presents."""

    certificate_chain: InlinePem = InlinePem()


class Validation(EnvoyPart):
    """The roots that a proxy trusts."""

    trusted_ca: InlinePem = InlinePem()


class TlsSecret(EnvoyPart):
    """Either a certificate or a validation context."""

    tls_certificate: OwnCertificate | None = None
    validation_context: Validation | None = None


class NamedSecret(EnvoyPart):
    """A secret with its SDS name."""

    name: str = ""
    secret: TlsSecret = TlsSecret()


class ProxySecrets(EnvoyPart):
    """A proxy's certificate and trusted roots, as istiod delivered them. Envoy redacts the keys."""

    configs: tuple[NamedSecret, ...] = ()

    @property
    def own(self) -> list[x509.Certificate]:
        """The certificate, then its issuers up to the root, without the trusted roots that Istio's agent appends."""
        found = (each.secret.tls_certificate for each in self.configs if each.name == "default")
        sent = next((own.certificate_chain.certificates for own in found if own), [])
        root = next((index for index, each in enumerate(sent) if each.subject == each.issuer), len(sent))
        return sent[: root + 1]

    @property
    def trusted(self) -> list[x509.Certificate]:
        """The trusted roots."""
        found = (each.secret.validation_context for each in self.configs if each.name == "ROOTCA")
        return next((accepted.trusted_ca.certificates for accepted in found if accepted), [])


class Matcher(EnvoyPart):
    """A matcher of a name."""

    exact: str = ""


class TypedMatcher(EnvoyPart):
    """A matcher of a name, in the format of newer Envoy releases."""

    matcher: Matcher = Matcher()


class AnchorPem(InlinePem):
    """PEM text, as a text or as bytes."""

    inline_string: str = ""

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates in it."""
        return certificates.read(self.inline_string.encode()) if self.inline_string else super().certificates


class BoundDomain(EnvoyPart):
    """A trust domain and what vouches for it."""

    name: str = ""
    trust_bundle: AnchorPem = AnchorPem()

    @property
    def anchors(self) -> list[x509.Certificate]:
        """The certificates that vouch for it."""
        return self.trust_bundle.certificates


class ValidatorSettings(EnvoyPart):
    """Settings of Envoy's SPIFFE validator."""

    trust_domains: tuple[BoundDomain, ...] = ()


class Validator(EnvoyPart):
    """A validator that takes the place of Envoy's own."""

    typed_config: ValidatorSettings = ValidatorSettings()


class AcceptedIdentities(EnvoyPart):
    """The identities that a proxy accepts, and under which authorities."""

    custom_validator_config: Validator = Validator()
    match_subject_alt_names: tuple[Matcher, ...] = ()
    match_typed_subject_alt_names: tuple[TypedMatcher, ...] = ()

    @property
    def exact(self) -> list[str]:
        """The identities, sorted."""
        typed = (each.matcher.exact for each in self.match_typed_subject_alt_names)
        return sorted({*typed, *(each.exact for each in self.match_subject_alt_names)})

    @property
    def domains(self) -> tuple[BoundDomain, ...]:
        """What vouches for each trust domain; empty if all roots vouch for all."""
        return self.custom_validator_config.typed_config.trust_domains


class CombinedValidation(EnvoyPart):
    """Nesting of Envoy's."""

    default_validation_context: AcceptedIdentities = AcceptedIdentities()


class CommonTls(EnvoyPart):
    """Nesting of Envoy's."""

    combined_validation_context: CombinedValidation | None = None


class Tls(EnvoyPart):
    """Nesting of Envoy's."""

    common_tls_context: CommonTls = CommonTls()
    sni: str = ""

    @property
    def validation(self) -> AcceptedIdentities:
        """What is accepted of the other end; nothing in particular without mutual TLS."""
        combined = self.common_tls_context.combined_validation_context
        return combined.default_validation_context if combined else AcceptedIdentities()


class Transport(EnvoyPart):
    """Nesting of Envoy's."""

    typed_config: Tls = Tls()


class TransportMatch(EnvoyPart):
    """The transport socket for endpoints of one kind."""

    name: str = ""
    transport_socket: Transport = Transport()


class UpstreamSettings(EnvoyPart):
    """How a proxy connects to an upstream."""

    name: str
    transport_socket: Transport = Transport()
    transport_socket_matches: tuple[TransportMatch, ...] = ()

    @property
    def accepted_identities(self) -> list[str]:
        """Identities that the proxy accepts from endpoints in the mesh."""
        return self.validation.exact

    @property
    def validation(self) -> AcceptedIdentities:
        """What the proxy accepts from endpoints in the mesh."""
        return self._meshed.validation

    @property
    def server_name(self) -> str:
        """The name by which the proxy asks endpoints in the mesh for a service."""
        return self._meshed.sni

    @property
    def _meshed(self) -> Tls:
        meshed = [each.transport_socket for each in self.transport_socket_matches if each.name == "tlsMode-istio"]
        return (meshed[0] if meshed else self.transport_socket).typed_config


class UpstreamSettingsEntry(EnvoyPart):
    """Nesting of Envoy's."""

    cluster: UpstreamSettings


class UpstreamSettingsDump(EnvoyPart):
    """How a proxy connects to each upstream."""

    configs: tuple[UpstreamSettingsEntry, ...] = ()

    def named(self, name: str) -> UpstreamSettings | None:
        """Return the one with this name."""
        return next((each.cluster for each in self.configs if each.cluster.name == name), None)


class FilterSettings(EnvoyPart):
    """The upstream to which a filter sends a connection."""

    cluster: str = ""


class Filter(EnvoyPart):
    """Nesting of Envoy's."""

    typed_config: FilterSettings = FilterSettings()


class ChainMatch(EnvoyPart):
    """The connections that a filter chain is for."""

    destination_port: int = 0
    transport_protocol: str = ""


class FilterChain(EnvoyPart):
    """The filters for connections of one kind."""

    name: str = ""
    filters: tuple[Filter, ...] = ()
    filter_chain_match: ChainMatch = ChainMatch()
    transport_socket: Transport = Transport()

    @property
    def is_mutual(self) -> bool:
        """Whether callers present certificates, which istiod's roots vouch for."""
        return self.transport_socket.typed_config.common_tls_context.combined_validation_context is not None

    @property
    def validation(self) -> AcceptedIdentities:
        """What is accepted of callers."""
        return self.transport_socket.typed_config.validation


class EnvoyListener(EnvoyPart):
    """A listener of a proxy."""

    name: str = ""
    filter_chains: tuple[FilterChain, ...] = ()
    default_filter_chain: FilterChain = FilterChain()


class ActiveState(EnvoyPart):
    """Nesting of Envoy's."""

    listener: EnvoyListener = EnvoyListener()


class ListenerError(EnvoyPart):
    """Why a proxy rejected a listener that istiod sent."""

    details: str = ""


class ListenerDump(EnvoyPart):
    """Nesting of Envoy's."""

    active_state: ActiveState = ActiveState()
    error_state: ListenerError = ListenerError()


class Listeners(EnvoyPart):
    """All listeners of a proxy."""

    configs: tuple[ListenerDump, ...] = ()

    @property
    def rejections(self) -> list[str]:
        """Why the proxy rejected the last configuration from istiod; it keeps the one before."""
        return [each.error_state.details for each in self.configs if each.error_state.details]

    def named(self, name: str) -> EnvoyListener | None:
        """Return the active listener with this name."""
        return next((e.active_state.listener for e in self.configs if e.active_state.listener.name == name), None)

    def chains_of(self, name: str) -> tuple[FilterChain, ...]:
        """Return the filter chains of a listener."""
        found = self.named(name)
        return (*found.filter_chains, found.default_filter_chain) if found else ()

    @property
    def upstream_of_unknown(self) -> str:
        """The upstream for connections to unknown destinations."""
        chains = [each for each in self.chains_of("virtualOutbound") if each.name == "virtualOutbound-catchall-tcp"]
        return next((each.typed_config.cluster for chain in chains for each in chain.filters[-1:]), "")


class NodeMetadata(EnvoyPart):
    """The release of a proxy."""

    version: str = Field(default="", alias="ISTIO_VERSION")


class EnvoyNode(EnvoyPart):
    """Nesting of Envoy's."""

    metadata: NodeMetadata = NodeMetadata()


class ServerInfo(EnvoyPart):
    """Version information of a proxy."""

    node: EnvoyNode = EnvoyNode()


Response = TypeVar("Response", bound=EnvoyPart)


@dataclass(frozen=True)
class Proxy:
    """The proxy of one pod.

    Attributes:
        kubectl: access to its cluster.
        pod: the pod that it serves.
    """

    kubectl: CachedKubectl
    pod: Pod

    def upstreams(self) -> Upstreams:
        """Return every upstream with its endpoints."""
        return self._get(Upstreams, "clusters?format=json")

    def settings(self) -> UpstreamSettingsDump:
        """Return how it connects to each upstream."""
        return self._get(UpstreamSettingsDump, "config_dump?resource=dynamic_active_clusters")

    def secrets(self) -> ProxySecrets:
        """Return its certificate and the roots that it trusts."""
        return self._get(ProxySecrets, "config_dump?resource=dynamic_active_secrets")

    def listeners(self) -> Listeners:
        """Return its listeners."""
        return self._get(Listeners, "config_dump?resource=dynamic_listeners")

    def server(self) -> ServerInfo:
        """Return its version information."""
        return self._get(ServerInfo, "server_info")

    def _get(self, model: type[Response], path: str) -> Response:
        """Get a path of Envoy's admin interface.

        Raises:
            Inconclusive: Envoy does not answer, or in another format.
        """
        done = self.kubectl.execute(self.pod, PROXY, "pilot-agent", "request", "GET", path)
        if done.returncode:
            raise self.kubectl.inconclusive_in(self.pod, "its proxy does not answer", done.stderr)
        try:
            return model.model_validate_json(done.stdout)
        except ValidationError:
            fix = "this release of Envoy has another format: please report it as a bug in mesh-federation"
            raise Inconclusive(
                f"{self.kubectl.name}: the response of the proxy of {self.pod.title} to {path} cannot be read", fix
            ) from None


def in_mesh(kubectl: CachedKubectl) -> Sequence[Proxy]:
    """Return the proxies of all running pods of a cluster, including its gateways."""
    return [Proxy(kubectl, pod) for pod in kubectl.pods() if pod.has_proxy]
