"""What joins meshes: imports, the ways that their calls take, and endpoint discovery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.discovery import Discovery, DiscoveryArgs
from components.egress import Confinement, ConfinementArgs, Exit, ExitArgs
from components.import_ import Import, ImportArgs
from components.mesh import Mesh, MeshResources
from components.reader import Reader, ReaderArgs
from components.remote_gateway import RemoteGateway, RemoteGatewayArgs
from mesh_federation.plan.routing import ImportPlan


@dataclass(frozen=True)
class NextHop:
    """How calls reach another cluster.

    Attributes:
        addresses: that callers connect to.
        ready: what leads on from there.
    """

    addresses: pulumi.Output[Sequence[str]]
    ready: Sequence[pulumi.Resource]


@dataclass(frozen=True)
class Links:
    """Makes the links of one mesh to all that it calls.

    Attributes:
        offered: all meshes, by cluster.
        child: options of the components that are made.
    """

    offered: Mapping[str, MeshResources]
    child: pulumi.ResourceOptions

    def imports(self, mesh: Mesh) -> None:
        """Link a mesh to its sources, last of all: an importer that moves to a new cluster must be served there."""
        ways = self._ways(mesh)
        remotes = self._remotes(mesh, ways)
        made = []
        for plan in mesh.plan.imports:
            sources = [self.offered[source.cluster] for source in plan.sources]
            through = [ways[source.cluster] for source in plan.sources]
            found = [remotes[source.cluster] for source in plan.sources if plan.by_network]
            led = [need for way in through for need in way.ready]
            joined = mesh.named(str(plan.service)) if plan.is_global else []
            args = ImportArgs(
                plan=plan,
                addresses=[way.addresses for way in through],
                kubeconfig=mesh.cluster.kubeconfig,
                target=mesh.cluster.target,
                after=[*mesh.ready, *led, *found, *joined, *_behind(sources, plan)],
            )
            imported = Import(f"{mesh.plan.name}-{plan.name}", args, self.child)
            made.append(imported)
            own = self.offered[mesh.plan.name].samples.get(str(plan.service))
            if own and imported.freed:
                own.serve([*mesh.namespaces, imported.freed])
        self._confine(mesh, [*remotes.values(), *made])

    def _ways(self, mesh: Mesh) -> dict[str, NextHop]:
        """Find how calls of a mesh reach each cluster that it imports from: straight, or through an exit of its own."""
        straight = {
            source.cluster: NextHop(self.offered[source.cluster].mesh.gateway.called, [])
            for plan in mesh.plan.imports
            for source in plan.sources
        }
        return {**straight, **self._exits(mesh)}

    def _exits(self, mesh: Mesh) -> dict[str, NextHop]:
        if mesh.plan.egress is None or mesh.egress is None:
            return {}
        made = {}
        for plan in mesh.plan.egress.exits:
            args = ExitArgs(
                plan=plan,
                addresses=self.offered[plan.cluster].mesh.gateway.called,
                asked=mesh.plan.egress.asked,
                kubeconfig=mesh.cluster.kubeconfig,
                target=mesh.cluster.target,
                after=[*mesh.ready, mesh.egress],
            )
            way = Exit(f"{mesh.plan.name}-exit-{plan.cluster}", args, self.child)
            made[plan.cluster] = NextHop(mesh.egress.called, way.ready)
        return made

    def _confine(self, mesh: Mesh, after: Sequence[pulumi.Resource]) -> None:
        """Close every way around the egress gateway, once all callers leave through it."""
        if plan := mesh.plan.egress:
            addresses = [self.offered[way.cluster].mesh.gateway.addresses for way in plan.exits]
            args = ConfinementArgs(plan, addresses, mesh.cluster.target, [*mesh.ready, *after])
            Confinement(f"{mesh.plan.name}-confinement", args, self.child)

    def _remotes(self, mesh: Mesh, ways: Mapping[str, NextHop]) -> dict[str, RemoteGateway]:
        """Tell a mesh where others' gateways are. A new address moves its callers, so all that they call is there."""
        found = {}
        for plan in mesh.plan.remotes:
            source = self.offered[plan.cluster]
            called = (link for link in mesh.plan.imports if plan.serves(link))
            way = ways[plan.cluster]
            after = [*mesh.ready, *way.ready, *(need for link in called for need in _behind([source], link))]
            args = RemoteGatewayArgs(plan, way.addresses, mesh.cluster.target, after)
            found[plan.cluster] = RemoteGateway(f"{mesh.plan.name}-{plan.name}", args, self.child)
        return found

    def discoveries(self, mesh: Mesh) -> None:
        """Let an istiod read other clusters of its mesh, last of all, as with imports."""
        for plan in mesh.plan.discovers:
            read = self.offered[plan.of].mesh
            credentials = ReaderArgs(plan, read.cluster.kubeconfig, read.cluster.target, read.istio.namespace)
            reader = Reader(f"{plan.of}-read-by-{plan.cluster}", credentials, self.child)
            after = [*mesh.ready, *self.offered[plan.of].everything]
            args = DiscoveryArgs(plan, reader.kubeconfig, mesh.cluster.target, after)
            Discovery(f"{plan.cluster}-discovers-{plan.of}", args, self.child)


def _behind(sources: Sequence[MeshResources], plan: ImportPlan) -> list[pulumi.Resource]:
    return [need for source in sources for need in source.behind(str(plan.service))]
