"""Members of a fleet: what each takes from the file of the fleet, what waits for others, and bad files.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import shutil
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.plan.apis import APIS
from mesh_federation.plan.federation import plan
from mesh_federation.plan.istio_values import ALPHA_GATEWAY_API
from mesh_federation.stack import fleet, pem
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel, report
from tests.golden import Golden

FILES = Path(__file__).with_name("fleets")
STACK = FILES.with_name("cards") / "stack" / "Pulumi.dev.yaml"
"""A stack with a partner of another organization."""
BAD = sorted(file for file in FILES.glob("*.yaml") if not file.name.startswith(("Pulumi.", "good-")))


def _name(path: Path) -> str:
    return path.stem


def member(fleet_name: str, cluster: str, folder: Path = FILES) -> Federation:
    tree = {fleet.KEY: {"fleet": fleet_name, "cluster": cluster}}
    layers = loader.layered(tree, folder / "Pulumi.one.yaml", None)
    with layers.checked():
        return loader.parse(layers.tree, base=folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the stack files, which a test may change."""
    return Path(shutil.copytree(FILES, tmp_path, dirs_exist_ok=True))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def links(federation: Federation) -> tuple[list[str], list[str]]:
    ours = [each.path for each in federation.exports if each.to and not each.is_of_partner]
    return ours, [each.path for each in federation.imports]


@pytest.mark.parametrize("file", BAD, ids=_name)
def test_a_bad_member_has_exactly_its_problems(golden: Golden, file: Path) -> None:
    with pytest.raises(InvalidModel) as raised:
        loader.read(file)
    text = report(file.name, raised.value.problems)
    golden(f"fleets/{file.stem}.txt", text)
    assert "Traceback" not in text and "SECRET-VALUE" not in text and str(FILES) not in text


def test_no_golden_is_left_behind() -> None:
    assert {file.stem for file in FILES.glob("*.txt")} == {file.stem for file in BAD}


def test_a_member_declares_its_cluster_and_knows_others_by_their_cards_alone() -> None:
    east = loader.read(FILES / "good-east.yaml")
    assert list(east.own) == ["east"] and list(east.partners) == ["west"]
    assert east.clusters["west"].kubeconfig is None
    assert east.clusters["west"].gateway.addresses == ("192.0.2.4",)
    assert list(plan(east, "one").clusters) == ["east"]


def test_entries_keep_their_key_paths_in_the_file_of_the_fleet() -> None:
    assert links(member("shop", "west")) == (["exports[1]"], ["imports[0]"])
    assert links(member("shop", "east")) == (["exports[0]"], ["imports[1]"])


def test_a_member_without_a_card_of_another_has_no_link_with_it_and_says_what_waits() -> None:
    east, north = member("new", "east"), member("new", "north")
    assert links(east) == links(north) == ([], [])
    assert east.waiting == ("exports[0].to[0] waits for west", "imports[1] waits for west")
    assert north.waiting == ("imports[2] waits for west",)
    assert not plan(east, "one").partners


def test_an_export_does_not_wait_for_its_callers_exports_but_an_import_does() -> None:
    east = member("half", "east")
    assert links(east) == (["exports[0]"], [])
    assert east.waiting == ("imports[1] waits for west to export pay/pay",)


def test_an_export_goes_to_those_callers_whose_cards_are_there() -> None:
    [export] = [each for each in member("shop", "west").exports if not each.is_of_partner]
    assert export.consumers == {"east"}
    assert member("shop", "west").waiting == ("exports[1].to[1] waits for north",)


def test_an_import_waits_until_the_card_has_the_export_for_this_member() -> None:
    assert member("shop", "north").waiting == ("imports[2] waits for west to export pay/pay",)


def test_nobody_has_to_compare_the_card_of_a_member(copy: Path) -> None:
    edit(copy / "cards" / "shop" / "west.yaml", "192.0.2.4", "192.0.2.99")
    assert member("shop", "east", copy).clusters["west"].gateway.addresses == ("192.0.2.99",)


def test_what_a_member_is_declared_to_be_is_never_taken_from_its_card(copy: Path) -> None:
    edit(copy / "cards" / "shop" / "west.yaml", "trustDomain: west.local\n", "trustDomain: evil.example\n")
    east = member("shop", "east", copy)
    assert links(east) == ([], []) and not east.partners
    told = "imports[1] waits for west: its card has the trust domain evil.example, the file has west.local"
    assert told in east.waiting


def test_a_link_waits_for_the_domain_by_which_its_service_is_asked_for(copy: Path) -> None:
    edit(copy / "cards" / "shop" / "west.yaml", "trustDomain: west.local", "trustDomain: west.local\nclusterDomain: m")
    edit(copy / "cards" / "shop" / "west.yaml", "pay.pay.svc.cluster.local", "pay.pay.svc.m")
    told = "imports[1] waits for west: its card has the cluster domain m, the file has cluster.local"
    assert told in member("shop", "east", copy).waiting


def test_no_export_waits_for_the_domain_of_its_callers(copy: Path) -> None:
    edit(copy / "cards" / "shop" / "east.yaml", "trustDomain: east.local", "trustDomain: east.local\nclusterDomain: m")
    assert not [each for each in member("shop", "west", copy).waiting if "east" in each]


def test_a_link_waits_for_the_network_the_name_and_the_address_that_it_needs(copy: Path) -> None:
    told, file = copy / "cards" / "shop" / "west.yaml", copy / "Pulumi.shop.yaml"
    text, declared = told.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")
    edit(told, "network: west-network", "network: other")
    assert (
        "imports[1] waits for west: its card has the network other, the file has west-network"
        in member("shop", "east", copy).waiting
    )
    told.write_text(text.replace("  addresses:\n  - 192.0.2.4\n", "  addresses: []\n"), encoding="utf-8")
    assert "imports[1] waits for west to export pay/pay" in member("shop", "east", copy).waiting
    told.write_text(text, encoding="utf-8")
    file.write_text(
        declared.replace("from: west, service: pay/pay}", "from: west, service: pay/pay, as: global}"), "utf-8"
    )
    assert "imports[1] waits for west to export pay/pay" in member("shop", "east", copy).waiting


def test_ports_and_localities_of_other_members_are_those_of_the_fleet(copy: Path) -> None:
    file = copy / "Pulumi.shop.yaml"
    edit(file, "number: 8000", "number: 9000")
    edit(file, "kubeconfig: west.kubeconfig", "kubeconfig: west.kubeconfig, locality: eu/west-1")
    east = member("shop", "east", copy)
    [export] = [each for each in east.exports if each.cluster == "west"]
    assert [port.number for port in export.ports] == [9000]
    assert east.clusters["west"].locality == "eu/west-1"


def test_an_export_has_the_names_and_the_api_of_all_its_imports(copy: Path) -> None:
    edit(copy / "Pulumi.shop.yaml", "from: west, service: pay/pay}", "from: west, service: pay/pay, as: global}")
    west = member("shop", "west", copy)
    [export] = plan(west, "one").clusters["west"].exports
    assert export.hosts == ("pay.mesh.global",)
    edit(copy / "Pulumi.shop.yaml", "as: global}", "api: gateway}")
    [export] = plan(member("shop", "west", copy), "one").clusters["west"].exports
    assert export.api is APIS["gateway"]


def weigh(copy: Path, imports: str) -> None:
    """Let east import pay/pay from west and north."""
    file = copy / "Pulumi.shop.yaml"
    text = file.read_text(encoding="utf-8").replace("    imports:\n", f"{MORE_EXPORTS}    imports:\n{imports}")
    for cluster in ("east", "north"):
        text = text.replace(f"      - {{cluster: {cluster}, from: west, service: pay/pay}}\n", "")
    file.write_text(text, encoding="utf-8")


def test_the_weights_of_members_that_are_down_go_to_the_others(copy: Path) -> None:
    weigh(copy, WEIGHTED)
    [left] = member("shop", "east", copy).imports
    assert (left.source, left.weight) == ("west", 100)


MORE_EXPORTS = """      - cluster: north
        service: pay/pay
        ports: [{name: http, number: 8000, protocol: HTTP}]
        to: [{cluster: east}]
"""
WEIGHTED = """      - {cluster: east, from: west, service: pay/pay, weight: 30}
      - {cluster: east, from: north, service: pay/pay, weight: 70}
"""


def test_a_root_of_another_member_is_revoked_by_its_name(copy: Path) -> None:
    rotating = "{model: separate, rotation: {phase: switch, root: r2}, revoked: [{authority: west root CA}]}"
    edit(copy / "Pulumi.shop.yaml", "{model: separate}", rotating)
    told = copy / "cards" / "shop" / "west.yaml"
    old = (FILES / "old-root.pem").read_text(encoding="utf-8")
    edit(told, "roots:\n", "roots:\n- |\n" + "".join(f"  {line}\n" for line in old.splitlines()))
    revoked = [each.authority for each in member("shop", "east", copy).trust.revoked]
    anchors = plan(member("shop", "east", copy), "one").trust.anchors["west"]
    assert len(anchors.given) == 1 and old not in anchors.given
    assert revoked == ["west root CA", pem.fingerprint(old)]


def test_a_partner_of_another_organization_is_compared_in_a_fleet_too(copy: Path) -> None:
    file = copy / "Pulumi.shop.yaml"
    file.write_text(file.read_text(encoding="utf-8") + PARTNER.format(name="acme"), encoding="utf-8")
    with pytest.raises(InvalidModel, match="partner-fingerprint"):
        member("shop", "east", copy)


def test_an_export_to_a_partner_of_another_organization_is_made_too(copy: Path) -> None:
    file = copy / "Pulumi.shop.yaml"
    edit(file, "to: [{cluster: west, serviceAccounts: [web/web]}]", "to: [{cluster: acme}]")
    told = loader.read(STACK).partners["acme"]
    shutil.copy(STACK.parent / told.card, copy / "acme.yaml")
    edit(copy / "acme.yaml", "west-network", "acme-network")
    text = (
        PARTNER.format(name="acme").replace("cards/half/west.yaml", "acme.yaml").replace("sha256:0", told.fingerprint)
    )
    file.write_text(
        file.read_text(encoding="utf-8").replace("      - {cluster: west, from: east, service: carts/carts}\n", "")
        + text,
        encoding="utf-8",
    )
    [export] = [each for each in member("shop", "east", copy).exports if each.cluster == "east"]
    assert export.consumers == {"acme"}


@pytest.mark.parametrize("name", ["east", "west", "north"])
def test_a_partner_is_never_taken_for_a_member(copy: Path, name: str) -> None:
    file = copy / "Pulumi.shop.yaml"
    file.write_text(file.read_text(encoding="utf-8") + PARTNER.format(name=name), encoding="utf-8")
    for each in ("east", "west"):
        with pytest.raises(InvalidModel, match="partner-name"):
            member("shop", each, copy)


PARTNER = "    partners:\n      {name}: {{card: cards/half/west.yaml, fingerprint: 'sha256:0'}}\n"


def test_gateways_of_members_in_one_lab_have_different_addresses(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(12)]
    clusters = "".join(f"      {name}: {{provisioner: kwok}}\n" for name in names)
    text = "config:\n  mesh-federation:federation:\n    trust: {model: separate}\n    clusters:\n" + clusters
    (tmp_path / "Pulumi.lab.yaml").write_text(text, encoding="utf-8")
    planned = [plan(member("lab", name, tmp_path), name).clusters[name] for name in names]
    whole = plan(loader.read(tmp_path / "Pulumi.lab.yaml"), "lab").clusters
    assert [each.pool for each in planned] == [whole[name].pool for name in names]
    assert len({each.pool for each in planned}) == len(names)


def test_keys_of_the_own_cluster_and_authorities_may_be_in_the_file_of_a_member(copy: Path) -> None:
    file = copy / "good-east.yaml"
    own = "    clusters: {east: {kubeconfig: mine.kubeconfig}}\n"
    file.write_text(file.read_text(encoding="utf-8") + own, encoding="utf-8")
    assert loader.read(file).clusters["east"].kubeconfig == "mine.kubeconfig"


@pytest.mark.parametrize(
    "own",
    [
        "exports: []",
        "imports: []",
        "trust: {model: provided}",
        "trust: {provided: {west: {}}}",
        "clusters: {eats: {kubeconfig: mine}}",
        "clusters: {east: {provisioner: kwok}}",
        "clusters: {east: {trustDomain: other.example}}",
        "istio: {version: 1.30.0}",
    ],
)
def test_what_other_members_must_see_is_refused_in_the_file_of_a_member(copy: Path, own: str) -> None:
    file = copy / "good-east.yaml"
    file.write_text(f"{file.read_text(encoding='utf-8')}    {own}\n", encoding="utf-8")
    with pytest.raises(InvalidModel, match="other members must see this too"):
        loader.read(file)


def test_an_overlay_makes_no_member(copy: Path) -> None:
    overlay = copy / "overlay.yaml"
    for cluster in ("east", "nope"):
        overlay.write_text(f"memberOf: {{fleet: shop, cluster: {cluster}}}\n", encoding="utf-8")
        with pytest.raises(InvalidModel, match="memberOf"):
            loader.read(copy / "Pulumi.shop.yaml", overlay)


def test_a_stack_file_says_itself_what_it_is_a_member_of(tmp_path: Path) -> None:
    assert fleet.membership(FILES / "Pulumi.nested.yaml") == (fleet.Membership("shop", "east"), [])
    assert fleet.membership(FILES / "Pulumi.shop.yaml") == (None, [])
    broken = tmp_path / "Pulumi.broken.yaml"
    broken.write_text("config: {mesh-federation:federation: {memberOf: {fleet: shop", encoding="utf-8")
    found, problems = fleet.membership(broken)
    assert found is None and problems


def test_what_a_cluster_runs_itself_waits_for_nobody(copy: Path) -> None:
    """Callers of its own pods must not be moved because another member is away."""
    file = copy / "Pulumi.shop.yaml"
    edit(
        file,
        "{cluster: east, from: west, service: pay/pay}",
        "{cluster: east, from: west, service: pay/pay, as: local}",
    )
    own = MORE_EXPORTS.replace("cluster: north", "cluster: east").replace(
        "to: [{cluster: east}]", "to: [{cluster: north}]"
    )
    edit(file, "    imports:\n", f"{own}        serviceAccount: srv\n    imports:\n")
    before = plan(member("shop", "east", copy), "one").clusters["east"]
    [exported] = [each for each in before.exports if str(each.export.service) == "pay/pay"]
    assert exported.allowed == ()
    [imported] = before.imports
    assert imported.own == ("east.local/ns/pay/sa/srv",)


def test_callers_stay_confined_to_the_egress_while_the_exporter_is_away(copy: Path) -> None:
    edit(copy / "Pulumi.shop.yaml", "from: west, service: pay/pay}", "from: west, service: pay/pay, via: egress}")
    there = plan(member("shop", "east", copy), "one").clusters["east"].egress
    (copy / "cards" / "shop" / "west.yaml").unlink()
    away = plan(member("shop", "east", copy), "one").clusters["east"].egress
    assert there and away
    assert (away.confined, away.isolated) == (there.confined, there.isolated) == (("carts",), ("carts",))
    assert (len(there.exits), len(away.exits)) == (1, 0)


def test_an_exporter_serves_the_gateway_api_if_another_member_imports_through_it(copy: Path) -> None:
    edit(
        copy / "Pulumi.shop.yaml",
        "{cluster: east, from: west, service: pay/pay}",
        "{cluster: east, from: west, service: pay/pay, api: gateway}",
    )
    planned = plan(member("shop", "west", copy), "one")
    assert planned.sources.gateway_api == "official"
    assert plan(member("shop", "north", copy), "one").sources.gateway_api is None
    edit(
        copy / "Pulumi.shop.yaml",
        "kubeconfig: west.kubeconfig",
        "kubeconfig: west.kubeconfig, istio: {version: 1.29.2}",
    )
    edit(
        copy / "Pulumi.shop.yaml", "trust: {model: separate}", "trust: {model: separate}\n    istio: {version: 1.29.2}"
    )
    values = plan(member("shop", "west", copy), "one").clusters["west"].values["istiod"]
    assert ALPHA_GATEWAY_API in str(values["env"])


def test_a_standby_takes_all_calls_while_the_other_one_is_away(copy: Path) -> None:
    weigh(copy, WEIGHTED.replace("weight: 30", "weight: 0").replace("weight: 70", "weight: 100"))
    assert [each.weight for each in member("shop", "east", copy).imports] == [100]


def test_a_port_is_imported_when_it_is_open(copy: Path) -> None:
    file = copy / "Pulumi.shop.yaml"
    edit(
        file,
        "service: pay/pay\n        ports: [",
        "service: pay/pay\n        ports: [{name: grpc, number: 9000, protocol: GRPC}, ",
    )
    [link] = member("shop", "east", copy).imports
    assert [port.number for port in link.ports] == [8000]
    edit(
        copy / "cards" / "shop" / "west.yaml",
        "  - name: http\n",
        "  - name: grpc\n    number: 9000\n    protocol: GRPC\n  - name: http\n",
    )
    [link] = member("shop", "east", copy).imports
    assert link.ports == ()


def test_settings_of_istio_of_one_member_are_no_settings_of_others(copy: Path) -> None:
    file = copy / "Pulumi.shop.yaml"
    edit(file, "trust: {model: separate}", "trust: {model: separate}\n    istio: {version: 1.27.0}")
    for cluster in ("east", "west", "north"):
        edit(file, f"kubeconfig: {cluster}.kubeconfig", f"kubeconfig: {cluster}.kubeconfig, istio: {{version: 1.31.0}}")
    assert links(member("shop", "east", copy)) == (["exports[0]"], ["imports[1]"])
