"""What a verification looks at: the plan of a stack beside what its last `up` left, cluster by cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from mesh_federation.plan import gateway_addresses
from mesh_federation.plan.federation import ClusterPlan
from mesh_federation.plan.istio_values import NAMESPACE, is_simulated
from mesh_federation.plan.routing import ExportPlan, ImportPlan, principal
from mesh_federation.stack.config import Federation, NamespacedName
from mesh_federation.verify.cluster import Cluster
from mesh_federation.verify.gateway_endpoint import GatewayEndpoint
from mesh_federation.verify.proxy import Proxy, in_mesh
from mesh_federation.verify.verdict import NotApplicable


class Fingerprints(BaseModel):
    """What a cluster signs with and trusts, as the stack made it; SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    authority: str
    root: str
    trusted: tuple[str, ...]


class Running(BaseModel):
    """How a cluster is reached."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kubeconfig: str
    gateway: tuple[str, ...]


class Outputs(BaseModel):
    """Outputs of a stack that is up, by cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    clusters: dict[str, Running]
    trust: dict[str, Fingerprints]


@dataclass(frozen=True)
class ClusterUnderTest:
    """One cluster: what is declared, what the stack made, and how to look at it.

    Attributes:
        plan: everything that is to be in it.
        running: what the last `up` said of it.
        trust: what that made it sign with and trust.
        cluster: how it is asked.
        ways: the same, and the other ways by which it is reached from here, by the file of each.
        uid: of its namespace of Istio, as the stack's state has it; empty where it has none.
    """

    plan: ClusterPlan
    running: Running
    trust: Fingerprints
    cluster: Cluster
    ways: Sequence[Cluster] = ()
    uid: str = ""

    @property
    def name(self) -> str:
        """The cluster's logical name."""
        return self.plan.name

    @property
    def path(self) -> str:
        """Where it is declared."""
        return self.plan.declared.path

    @property
    def trust_domain(self) -> str:
        """Of its workloads."""
        return self.plan.declared.trust_domain

    def identity(self, account: NamespacedName) -> str:
        """Return the SPIFFE identity of an account's workloads, as it stands in their certificates."""
        return f"spiffe://{principal(self.trust_domain, account)}"

    @property
    def is_simulated(self) -> bool:
        """Say whether its pods only exist on paper."""
        return is_simulated(self.plan.declared)

    @property
    def doors(self) -> list[GatewayEndpoint]:
        """Its gateway, at each of the addresses that importers call."""
        return [GatewayEndpoint(self.name, address, self.plan.declared.gateway.port) for address in self.called]

    @property
    def called(self) -> list[str]:
        """Those of its gateway's addresses that importers call."""
        return gateway_addresses.called(self.running.gateway)

    @property
    def door(self) -> GatewayEndpoint:
        """Its gateway, at the first of its addresses."""
        return self.doors[0]

    def callers(self, accounts: Sequence[NamespacedName | None]) -> list[Proxy]:
        """Return a proxy of each account that a pod runs as.

        Raises:
            NotApplicable: no pod runs as any of them.
        """
        found = [proxies[0] for account in accounts if (proxies := self.proxies_of(account))]
        if not found:
            named = " or ".join(str(account or "a workload") for account in accounts)
            raise NotApplicable(
                f"no pod in the mesh of {self.name} runs as {named or 'an account that all its sources admit'}"
            )
        return found

    def proxies_of(self, account: NamespacedName | None) -> list[Proxy]:
        """Return the proxies of the workloads of an account; None stands for all but Istio's own."""
        meshed = in_mesh(self.cluster)
        if account is None:
            return [proxy for proxy in meshed if proxy.pod.metadata.namespace != NAMESPACE]
        return [proxy for proxy in meshed if proxy.pod.account == account]


@dataclass(frozen=True)
class Context:
    """A whole federation.

    Attributes:
        federation: as declared.
        sites: by cluster, sorted.
    """

    federation: Federation
    sites: Mapping[str, ClusterUnderTest]

    def exports(self) -> Iterator[tuple[ClusterUnderTest, ExportPlan]]:
        """Return every export with the cluster that offers it."""
        return ((site, offer) for site in self.sites.values() for offer in site.plan.exports)

    def imports(self) -> Iterator[tuple[ClusterUnderTest, ImportPlan]]:
        """Return every import with the cluster that makes it."""
        return ((site, link) for site in self.sites.values() for link in site.plan.imports)

    def callers(self, link: ImportPlan) -> Sequence[NamespacedName | None]:
        """Return the accounts that every source of an import admits, sorted; maybe none. None alone stands for all."""
        admitted = [self._admitted(link, source.cluster) for source in link.sources]
        named = [accounts for accounts in admitted if None not in accounts]
        if not named:
            return [None]
        return sorted({each for each in set.intersection(*named) if each is not None})

    def _admitted(self, link: ImportPlan, source: str) -> set[NamespacedName | None]:
        offers = (offer.export for offer in self.sites[source].plan.exports if offer.export.service == link.service)
        consumers = [consumer for export in offers for consumer in export.to if consumer.cluster == link.cluster]
        if any(consumer.service_accounts is None for consumer in consumers):
            return {None}
        return {account for consumer in consumers for account in consumer.service_accounts or ()}

    def paths(self, link: ImportPlan) -> tuple[str, ...]:
        """Where an import is declared: an entry for each of its sources."""
        return tuple(
            each.path
            for each in self.federation.imports
            if (each.cluster, each.service, each.mode) == (link.cluster, link.service, link.mode)
        )
