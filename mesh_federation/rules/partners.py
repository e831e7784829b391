"""Partners: meshes of other stacks, known by their cards alone."""

from collections.abc import Iterator

from mesh_federation.stack.card import fingerprint
from mesh_federation.stack.config import Federation
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


RULES = (
    partners_are_no_clusters,
    cards_are_the_partners,
    cards_declare_what_partners_have,
    imports_are_on_cards,
)
