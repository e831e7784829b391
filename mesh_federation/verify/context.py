"""What a verification compares: the plan of a stack, and the clusters that its last `up` left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mesh_federation.clusters.provider import Connect, connect_directly
from mesh_federation.engine.outputs import ClusterOutput, TrustOutput
from mesh_federation.engine.snapshot import RecordedObject
from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.exports import ExportPlan, principal
from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.plan.imports import ImportPlan
from mesh_federation.stack.config import Federation, NamespacedName
from mesh_federation.verify.gateway_endpoint import GatewayEndpoint
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.proxy import Proxy, in_mesh
from mesh_federation.verify.verdict import NotApplicable


@dataclass(frozen=True)
class ClusterUnderTest:
    """One cluster: its plan, what the last `up` made, and access to it.

    Attributes:
        plan: everything that the cluster should hold.
        output: how it is reached.
        trust: what it signs with and trusts.
        kubectl: access by the kubeconfig for people.
        connections: access by each kubeconfig of this checkout.
        uid: UID of its namespace of Istio in the stack's state; empty if the state has none.
        recorded: its objects in the stack's state.
        connect: how this machine connects to its gateway.
    """

    plan: ClusterPlan
    output: ClusterOutput
    trust: TrustOutput
    kubectl: CachedKubectl
    connections: Sequence[CachedKubectl] = ()
    uid: str = ""
    recorded: Sequence[RecordedObject] = ()
    connect: Connect = connect_directly

    @property
    def name(self) -> str:
        """The logical name."""
        return self.plan.name

    @property
    def path(self) -> str:
        """The key path of its declaration."""
        return self.plan.declared.path

    @property
    def trust_domain(self) -> str:
        """The trust domain of its workloads."""
        return self.plan.declared.trust_domain

    def identity(self, account: NamespacedName) -> str:
        """Return the SPIFFE identity that the certificates of an account's workloads carry."""
        return f"spiffe://{principal(self.trust_domain, account)}"

    @property
    def has_authority(self) -> bool:
        """Whether this stack made the authority of its mesh: checks can issue its identities."""
        return self.plan.istio is not None

    @property
    def is_simulated(self) -> bool:
        """Whether its pods run nothing."""
        return not self.plan.declared.provider.runs_pods

    @property
    def gateway_addresses(self) -> list[str]:
        """Addresses of its gateway that importers call."""
        return gateway_addresses.for_importers(self.output.gateway)

    @property
    def endpoints(self) -> list[GatewayEndpoint]:
        """Its gateway at each address that importers call."""
        port = self.plan.declared.gateway.port
        return [GatewayEndpoint(self.name, address, port, self.connect) for address in self.gateway_addresses]

    @property
    def endpoint(self) -> GatewayEndpoint:
        """Its gateway at the first address."""
        return self.endpoints[0]

    @property
    def proxies(self) -> list[Proxy]:
        """Proxies that are the stack's to look into: all of its mesh; where Istio belongs to others, those of links."""
        linked = None if self.plan.istio else self.plan.linked_namespaces
        return [each for each in in_mesh(self.kubectl) if linked is None or each.pod.metadata.namespace in linked]

    def callers(self, accounts: Sequence[NamespacedName | None]) -> list[Proxy]:
        """Return one proxy for each account that has a running pod.

        Raises:
            NotApplicable: no pod runs as any of the accounts.
        """
        running = [proxies[0] for account in accounts if (proxies := self.proxies_of(account))]
        if not running:
            named = " or ".join(str(account or "any account") for account in accounts)
            raise NotApplicable(
                f"no pod in the mesh of {self.name} runs as {named or 'an account that all its sources admit'}"
            )
        return running

    def proxies_of(self, account: NamespacedName | None) -> list[Proxy]:
        """Return the proxies of an account's workloads; None means all workloads except gateways."""
        meshed = self.proxies
        if account is None:
            of_gateways = (self.plan.declared.istio_namespace, self.plan.gateway.namespace)
            return [proxy for proxy in meshed if proxy.pod.metadata.namespace not in of_gateways]
        return [proxy for proxy in meshed if proxy.pod.account == account]


@dataclass(frozen=True)
class Context:
    """A whole federation under test.

    Attributes:
        federation: as declared.
        clusters: by logical name, sorted.
        partners: clusters of other stacks, as their cards have them; nothing can be asked of them.
    """

    federation: Federation
    clusters: Mapping[str, ClusterUnderTest]
    partners: Mapping[str, ClusterUnderTest] = field(default_factory=dict)

    def party(self, name: str) -> ClusterUnderTest:
        """Return a cluster or a partner."""
        return self.clusters.get(name) or self.partners[name]

    @property
    def signing(self) -> Iterator[ClusterUnderTest]:
        """Clusters with an authority of this stack."""
        return (cluster for cluster in self.clusters.values() if cluster.has_authority)

    def exports(self) -> Iterator[tuple[ClusterUnderTest, ExportPlan]]:
        """Return every export with its cluster."""
        return ((cluster, export) for cluster in self.clusters.values() for export in cluster.plan.exports)

    def imports(self) -> Iterator[tuple[ClusterUnderTest, ImportPlan]]:
        """Return every import with its cluster."""
        return ((cluster, link) for cluster in self.clusters.values() for link in cluster.plan.imports)

    def callers(self, link: ImportPlan) -> Sequence[NamespacedName | None]:
        """Return the accounts that every source of an import admits, sorted; [None] means all accounts."""
        admitted = [self._admitted(link, source.cluster) for source in link.sources]
        named = [accounts for accounts in admitted if None not in accounts]
        if not named:
            return [None]
        return sorted({each for each in set.intersection(*named) if each is not None})

    def _admitted(self, link: ImportPlan, source: str) -> set[NamespacedName | None]:
        exports = (plan.export for plan in self.party(source).plan.exports if plan.export.service == link.service)
        consumers = [consumer for export in exports for consumer in export.to if consumer.cluster == link.cluster]
        if any(consumer.service_accounts is None for consumer in consumers):
            return {None}
        return {account for consumer in consumers for account in consumer.service_accounts or ()}

    def paths(self, link: ImportPlan) -> tuple[str, ...]:
        """Return the key paths of an import: one for each of its sources."""
        return tuple(
            each.path
            for each in self.federation.imports
            if (each.cluster, each.service, each.mode, each.host) == (link.cluster, link.service, link.mode, link.host)
        )
