"""Partners: meshes of other stacks, known by their cards alone."""

from collections.abc import Iterator

from mesh_federation.stack.card import fingerprint
from mesh_federation.stack.config import Federation, Import
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt


def partners_are_no_clusters(federation: Federation) -> Iterator[Problem]:
    """Exports and imports name clusters and partners alike."""
    for name in federation.partners:
        cluster = federation.clusters.get(name)
        if cluster and (cluster.istio.install or cluster.kubeconfig):
            yield Problem(
                f"partners.{name}",
                FederationRule.PARTNER_NAME,
                f"{name} is a cluster of this stack too, so an export to {name} would have two meanings",
                "give the partner another name",
            )


def cards_are_the_partners(federation: Federation) -> Iterator[Problem]:
    """Whoever can change a card must not be able to change who vouches for a mesh."""
    for name, partner in federation.partners.items():
        found = fingerprint(partner.mesh) if partner.mesh else ""
        if found and found != partner.fingerprint:
            yield Problem(
                f"partners.{name}.fingerprint",
                FederationRule.PARTNER_FINGERPRINT,
                f"the card {partner.card} has the fingerprint {found}, not {excerpt(partner.fingerprint)}: its trust"
                " domain or its authorities are others than those that you accepted",
                f"ask {name} by another channel, for example by telephone, for the fingerprint that mesh card prints"
                " there; write it here only if it is the same as that of the card",
            )


def cards_declare_what_partners_have(federation: Federation) -> Iterator[Problem]:
    """Everything of a partner is on its card."""
    named = {
        **{f"{each.path}.cluster": each.cluster for each in federation.exports if not each.is_of_partner},
        **{f"{each.path}.cluster": each.cluster for each in federation.imports},
        **{f"{each.path}.cluster": each.cluster for each in federation.workloads},
        **{f"{each.path}.cluster": each.cluster for each in federation.discovery},
        **{f"{each.path}.of": each.of for each in federation.discovery},
    }
    for path, name in named.items():
        if name in federation.partners:
            yield Problem(
                path,
                FederationRule.PARTNER_NOT_OURS,
                f"{name} is a partner, and this stack makes nothing in its clusters",
                f"let {name} declare it in its own stack, and send a new card",
            )


def imports_are_on_cards(federation: Federation) -> Iterator[Problem]:
    """A partner's gateway passes calls on under the names on its card, at the addresses on it."""
    for link in federation.imports:
        partner = federation.partners.get(link.source)
        export = federation.export(link.source, link.service)
        if partner is None or partner.mesh is None or export is None:
            continue
        if not partner.mesh.gateway.addresses:
            yield Problem(
                f"{link.path}.from",
                FederationRule.PARTNER_ADDRESS,
                f"the card of {link.source} has no address of its gateway, so nothing could call {link.service} there",
                f"let {link.source} bring its stack up, run mesh card, and send the new card",
            )
        if export.told_hosts and link.exported_host not in export.told_hosts:
            yield Problem(
                f"{link.path}.as",
                FederationRule.PARTNER_HOST,
                f"{link.source} exports {link.service} as {' and '.join(export.told_hosts)}, not as"
                f" {link.exported_host}",
                "let the partner export the service under that name; or import it as the card has it: `as: remote` by"
                " a name of its cluster domain, `as: global` by another one",
            )


def callers_are_ours_to_name(federation: Federation) -> Iterator[Problem]:
    """Who can change a card must not be able to choose which namespaces of this stack trust the partner."""
    for link in federation.imports:
        partner = None if _is_member(federation, link.source) else federation.partners.get(link.source)
        if partner is None and link.callers is not None:
            yield Problem(
                f"{link.path}.callers",
                FederationRule.KEY_WITHOUT_EFFECT,
                f"has no effect: {link.source} is no partner, so its export in this stack names the callers",
                "remove it, and write the callers under `to` of the export",
            )
        if partner is None or partner.mesh is None or link.cluster not in federation.clusters:
            continue
        domain = federation.clusters[link.cluster].trust_domain
        admitted = [
            callers.service_accounts
            for export in partner.mesh.exports
            for callers in export.to
            if (export.service, callers.trust_domain) == (link.service, domain)
        ]
        if link.callers is None:
            yield from _unnamed(link, everyone=None in admitted)
        elif admitted and None not in admitted:
            known = {account for accounts in admitted for account in accounts or ()}
            for number, account in enumerate(link.callers):
                if account not in known:
                    yield Problem(
                        f"{link.path}.callers[{number}]",
                        FederationRule.IMPORT_WITHOUT_CONSENT,
                        f"{link.source} exports {link.service}, but its card does not admit {account} of {domain}",
                        f"ask {link.source} to admit it and to send a new card, or remove it",
                    )


def _unnamed(link: Import, everyone: bool) -> Iterator[Problem]:
    """An import whose callers the card would choose, where that reaches beyond the namespaces that it names."""
    reasons = {
        f"the card of {link.source} admits every workload of {link.cluster}, so all of its namespaces would trust"
        f" {link.source}": everyone,
        f"calls leave through the egress gateway, so the card of {link.source} would choose which namespaces may call"
        " nothing else": link.via == "egress",
    }
    for reason in (reason for reason, holds in reasons.items() if holds):
        yield Problem(
            link.path,
            FederationRule.IMPORT_WITHOUT_CALLERS,
            reason,
            "name the accounts that call it: callers: [NAMESPACE/ACCOUNT]",
        )


def _is_member(federation: Federation, name: str) -> bool:
    """Say whether a mesh is of the same fleet, whose file declares its exports."""
    return federation.member_of is not None and name in federation.member_of.cards


RULES = (
    partners_are_no_clusters,
    cards_are_the_partners,
    cards_declare_what_partners_have,
    imports_are_on_cards,
    callers_are_ours_to_name,
)
