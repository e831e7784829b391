"""Members of a fleet: what each takes from the file of the fleet, what waits for others, and bad files.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import shutil
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.plan.federation import plan
from mesh_federation.stack import card, fleet, stack_file
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel, report
from tests.golden import Golden

FILES = Path(__file__).with_name("fleets")
BAD = sorted(file for file in FILES.glob("*.yaml") if not file.name.startswith(("Pulumi.", "good-")))


def _name(path: Path) -> str:
    return path.stem


def member(fleet_name: str, cluster: str, folder: Path = FILES) -> Federation:
    tree = {fleet.KEY: {"fleet": fleet_name, "cluster": cluster}}
    layers = loader.layered(tree, folder / "Pulumi.one.yaml", None)
    with layers.checked():
        return loader.parse(layers.tree, base=folder)


def links(federation: Federation) -> tuple[list[str], list[str]]:
    ours = [each.path for each in federation.exports if not each.is_of_partner]
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
    assert east.waiting == ("imports[1] waits for west",)


def test_an_export_goes_to_those_callers_whose_cards_are_there() -> None:
    [export] = [each for each in member("shop", "west").exports if not each.is_of_partner]
    assert export.consumers == {"east"}
    assert member("shop", "west").waiting == ("exports[1].to[1] waits for north",)


def test_an_import_that_no_card_offers_to_this_member_waits() -> None:
    assert member("shop", "north").waiting == ("imports[2] waits for west",)


def test_nobody_has_to_compare_the_card_of_a_member(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    other = tmp_path / "cards" / "shop" / "west.yaml"
    other.write_text(other.read_text(encoding="utf-8").replace("west.local", "west.example"), encoding="utf-8")
    assert member("shop", "east", tmp_path).clusters["west"].trust_domain == "west.example"


def test_a_partner_of_another_organization_is_compared_in_a_fleet_too(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "Pulumi.shop.yaml"
    text = "    partners:\n      acme: {card: cards/half/west.yaml, fingerprint: 'sha256:0'}\n"
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")
    with pytest.raises(InvalidModel, match="partner-fingerprint"):
        member("shop", "east", tmp_path)
    found, _ = stack_file.load(file)
    assert isinstance(found, dict) and card.load(tmp_path / "cards/half/west.yaml")[0]


def test_gateways_of_members_in_one_lab_have_different_addresses(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(12)]
    clusters = "".join(f"      {name}: {{provisioner: kwok}}\n" for name in names)
    text = "config:\n  mesh-federation:federation:\n    trust: {model: separate}\n    clusters:\n" + clusters
    (tmp_path / "Pulumi.lab.yaml").write_text(text, encoding="utf-8")
    planned = [plan(member("lab", name, tmp_path), name).clusters[name] for name in names]
    whole = plan(loader.read(tmp_path / "Pulumi.lab.yaml"), "lab").clusters
    assert [each.pool for each in planned] == [whole[name].pool for name in names]
    assert len({each.pool for each in planned}) == len(names)


def test_what_a_stack_file_of_a_member_says_itself_holds(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "good-east.yaml"
    own = "    clusters: {east: {kubeconfig: mine.kubeconfig}}\n"
    file.write_text(file.read_text(encoding="utf-8") + own, encoding="utf-8")
    assert loader.read(file).clusters["east"].kubeconfig == "mine.kubeconfig"


def test_the_members_of_a_fleet_are_the_stacks_that_say_so() -> None:
    stacks = ["shop", "nested", "list", "missing"]
    assert fleet.members(FILES, stacks, "shop") == {"nested": "east"}
    assert fleet.members(FILES, stacks, "half") == {}
