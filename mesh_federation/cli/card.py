"""`mesh card`: writes what a mesh tells its partners, from the stack file and what the last `up` left."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mesh_federation.cli import stacks
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.streams import tell
from mesh_federation.clusters import workdir
from mesh_federation.engine.outputs import StackOutputs
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.snapshot import Snapshot
from mesh_federation.engine.workspace import Workspace
from mesh_federation.plan.exports import ExportPlan
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.stack import pem
from mesh_federation.stack.card import fingerprint, written
from mesh_federation.stack.config import Card, CardCallers, CardExport, Consumer, EastWestGateway, Federation
from mesh_federation.stack.fleet import card_file, memberships
from mesh_federation.stack.problem import Problem

RULE = "no-card"


def card(stack: str, overlay: Path | None, cluster: str, partner: str, output: Path | None) -> None:
    """Write the card of one cluster.

    Args:
        stack: its stack.
        overlay: over the stack file.
        cluster: which; empty for the only one.
        partner: for whom; empty for all partners.
        output: the file; None for standard output.

    Raises:
        Refused: the stack is not up, or it is not clear which cluster is meant.
    """
    workspace, federation = stacks.declared(stack, overlay)
    name = stacks.chosen(cluster, list(federation.own), "clusters of this stack")
    _known(federation, partner)
    engine = stacks.engine(workspace, stack, stacks.toolchain(stacks.providers(federation)))
    stacks.refuse_without_state(engine)
    if not engine.exists():
        raise _not_up(stack)
    planned = plan(federation, stack).clusters[name]
    made = told(federation, planned, engine.snapshot(), [partner] if partner else list(federation.partners))
    if made is None:
        raise _not_up(stack)
    text = written(made)
    if output is None:
        sys.stdout.write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    tell(f"{output} is the card of {name}; tell partners its fingerprint by another channel:")
    tell(f"  {fingerprint(made)}")


def keep(engine: Engine, federation: Federation) -> None:
    """Write the card of a member of a fleet for the others, if it tells them something new."""
    if federation.member_of is None:
        return
    made = _of_member(engine, federation, federation.member_of.cluster)
    name = card_file(federation.member_of.fleet, federation.member_of.cluster)
    file = engine.workspace.checkout / name
    text = written(made) if made else ""
    if text and not (file.exists() and file.read_bytes() == text.encode()):
        workdir.write(file, text)  # in one step: other members may be reading it
        tell(f"{name} is new; other members read it when they run")


def lost(engine: Engine, federation: Federation) -> Problem | None:
    """Say that links would be taken out only because a checkout lacks the cards; None if it has them.

    The member's own card shows it: `mesh up` wrote that one, and it stays until `mesh down`.
    """
    if federation.member_of is None or not federation.waiting:
        return None
    name = card_file(federation.member_of.fleet, federation.member_of.cluster)
    if (engine.workspace.checkout / name).exists():
        return None
    if _of_member(engine, federation, federation.member_of.cluster) is None:
        return None
    what = f"{engine.stack} is up, but its card is gone, and probably the cards of others with it: {name}"
    why = f"links that may be there would be taken out: {'; '.join(federation.waiting)}"
    fix = f"restore {name.parent} from version control; or let each member that is up write its card, this one last:"
    return Problem(str(name), RULE, what, f"{fix} ./mesh card --stack {engine.stack} --output {name}", why)


def _of_member(engine: Engine, federation: Federation, cluster: str) -> Card | None:
    """Return what a member of a fleet tells all others; None if the last `up` has not come to its end."""
    planned = plan(federation, engine.stack).clusters[cluster]
    return told(federation, planned, engine.snapshot(), list(federation.partners))


def forget(workspace: Workspace, stack: str) -> None:
    """Remove the card of a member that is down, so that nobody trusts it any more."""
    members, _ = memberships(workspace.stack_files())
    own = members.pop(stack, None)
    if own and own not in members.values():  # else it may be the card of another stack
        (workspace.checkout / card_file(own.fleet, own.cluster)).unlink(missing_ok=True)


def told(federation: Federation, planned: ClusterPlan, state: Snapshot, partners: Sequence[str]) -> Card | None:
    """Return what a mesh tells some partners; None if the last `up` has not come to its end.

    Args:
        federation: as declared.
        planned: the cluster.
        state: what the last `up` left.
        partners: who may learn of the exports for them.
    """
    name, authorities = planned.name, state.anchors.get(planned.name, "")
    if name not in (state.outputs.get("clusters") or {}) or not authorities:  # type: ignore[operator]
        return None
    output = StackOutputs.model_validate(state.outputs).clusters[name]
    declared = planned.declared
    return Card(
        version=1,
        cluster=name,
        trustDomain=declared.trust_domain,
        clusterDomain=declared.cluster_domain,
        network=declared.network,
        roots=tuple(pem.certificates(authorities)),
        gateway=EastWestGateway(addresses=output.gateway, port=declared.gateway.port),
        exports=tuple(each for plan in planned.exports for each in _offered(federation, plan, partners)),
    )


def _offered(federation: Federation, plan: ExportPlan, partners: Sequence[str]) -> Iterator[CardExport]:
    """Describe an export as far as it is for some partners; of others they learn nothing."""
    export = plan.export
    callers = tuple(_callers(federation, each) for each in export.to if each.cluster in partners)
    if callers:
        yield CardExport(
            service=export.service,
            hosts=plan.hosts,
            ports=export.ports,
            serviceAccount=export.identity.name,
            to=callers,
        )


def _callers(federation: Federation, consumer: Consumer) -> CardCallers:
    domain = federation.clusters[consumer.cluster].trust_domain
    if consumer.service_accounts is None:
        return CardCallers(trustDomain=domain)
    return CardCallers(trustDomain=domain, serviceAccounts=consumer.service_accounts)


def _known(federation: Federation, partner: str) -> None:
    if partner and partner not in federation.partners:
        known = ", ".join(federation.partners) or "none"
        raise Refused(Problem("partners", RULE, f"{partner} is no partner of this stack", f"partners are: {known}"))


def _not_up(stack: str) -> Refused:
    problem = f"{stack} is not up, so neither the address of its gateway nor its authorities are known"
    return Refused(Problem("", RULE, problem, f"./mesh up --stack {stack}"))
