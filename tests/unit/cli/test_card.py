"""What `mesh card` tells of a mesh: what partners need, to whom it is addressed, and nothing else."""

from pathlib import Path

from mesh_federation import loader
from mesh_federation.cli.card import told
from mesh_federation.engine.snapshot import Snapshot
from mesh_federation.plan.federation import plan
from mesh_federation.stack.card import with_partners, written
from mesh_federation.stack.config import Federation

STACK = Path(__file__).parents[1] / "stack" / "cards" / "stack" / "Pulumi.dev.yaml"
FEDERATION = loader.read(STACK)
ROOT = FEDERATION.roots_of_others["acme"][0]
CLUSTERS = {"east": {"name": "east-1a2b3c", "kubeconfig": "k", "gateway": ["203.0.113.9"], "trustDomain": "east.local"}}


def snapshot(**changed: object) -> Snapshot:
    return Snapshot("now", {"clusters": CLUSTERS, "trust": {}, **changed}, (), {"east": ROOT})


def of(federation: Federation, state: Snapshot, *partners: str) -> object:
    return told(federation, plan(federation, "dev").clusters["east"], state, partners)


def test_a_card_has_the_gateway_that_runs_and_what_vouches_for_the_mesh() -> None:
    card = told(FEDERATION, plan(FEDERATION, "dev").clusters["east"], snapshot(), ["acme"])
    assert card
    assert (card.cluster, card.trust_domain, card.network) == ("east", "east.local", "east-network")
    assert (card.gateway.addresses, card.gateway.port, card.roots) == (("203.0.113.9",), 15443, (ROOT,))


def test_exports_are_addressed_by_trust_domain_because_partners_have_names_of_their_own() -> None:
    card = told(FEDERATION, plan(FEDERATION, "dev").clusters["east"], snapshot(), ["acme"])
    assert card
    [export] = card.exports
    assert (str(export.service), export.service_account) == ("backend/backend", "backend")
    [callers] = export.to
    assert callers.trust_domain == "west.example"
    assert [str(each) for each in callers.service_accounts or ()] == ["shop/cart"]


def test_an_export_to_every_workload_of_a_partner_names_no_accounts() -> None:
    [export, *others] = FEDERATION.exports
    to = tuple(each.model_copy(update={"service_accounts": None}) for each in export.to)
    open_to_all = FEDERATION.model_copy(update={"exports": (export.model_copy(update={"to": to}), *others)})
    card = told(open_to_all, plan(open_to_all, "dev").clusters["east"], snapshot(), ["acme"])
    assert card
    [told_export] = card.exports
    assert [each.service_accounts for each in told_export.to] == [None]
    assert "serviceAccounts" not in written(card)


def test_a_partner_learns_nothing_of_exports_for_others() -> None:
    card = told(FEDERATION, plan(FEDERATION, "dev").clusters["east"], snapshot(), [])
    assert card and card.exports == ()


def test_without_an_up_that_came_to_its_end_there_is_no_card() -> None:
    assert of(FEDERATION, snapshot(clusters={}), "acme") is None
    assert of(FEDERATION, Snapshot("now", {"clusters": CLUSTERS, "trust": {}}, ()), "acme") is None


def test_partners_join_a_federation_once() -> None:
    assert with_partners(FEDERATION).exports == FEDERATION.exports
