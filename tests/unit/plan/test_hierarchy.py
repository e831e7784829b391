"""The hierarchy that is told is the one that is planned and made, in every step of a rotation, and nothing secret."""

import json
from dataclasses import replace
from datetime import date

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from pydantic import ValidationError

from mesh_federation.loader import parse
from mesh_federation.plan import rotation, trust_limits
from mesh_federation.plan.hierarchy import Change, Hierarchy, Made, Record, hierarchy, schema
from mesh_federation.plan.trust import plan
from mesh_federation.stack.pem import fingerprint
from tests.unit.components import authorities
from tests.unit.components.authorities import Issuer, provided
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import ROOT
from tests.unit.diagrams import trusts
from tests.unit.diagrams.trusts import TREES, UP, of, rotating, told, trusting
from tests.unit.plan.test_rotation import rotations


@given(rotations())
@settings(deadline=None, max_examples=15)
def test_in_every_step_the_roots_are_those_that_the_plan_trusts_and_signs_under(trees: list[Tree]) -> None:
    for tree in trees:
        federation = parse(tree)
        planned, shown = plan(federation), hierarchy(federation, "test")
        made = {root.name for root in shown.roots if root.certificate.ends is None}
        given = {root.certificate.fingerprint for root in shown.roots if root.certificate.ends}
        assert made == {root.common_name for root in planned.roots}
        assert given == {fingerprint(root) for root in planned.given}
        for cluster in shown.clusters:
            (own,) = (root for root in shown.roots if cluster.name in root.signs)
            assert own.name == cluster.root
            assert (own.certificate.fingerprint or f"{own.name} of ") in planned.issuers[cluster.name].describe()


@given(rotations())
@settings(deadline=None, max_examples=15)
def test_roots_that_come_and_go_are_those_of_one_end_alone(trees: list[Tree]) -> None:
    now, *rotation, following = (hierarchy(parse(tree), "test") for tree in trees)
    before, after = ({_identity(shown, root.name) for root in shown.roots} for shown in (now, following))
    for shown in rotation:
        for root in shown.roots:
            is_in = _identity(shown, root.name)
            expected = {(True, True): Change.STAYS, (False, True): Change.COMES, (True, False): Change.GOES}
            assert root.change is expected[is_in in before, is_in in after]


def _identity(shown: Hierarchy, name: str) -> tuple[object, ...]:
    (own,) = (root.certificate for root in shown.roots if root.name == name)
    return own.subject, own.key, own.fingerprint


MOVES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "root": ({}, {"root": "r2"}),
    "what is kept": ({"model": "separate", "intermediateDays": 9, "organization": "Here"}, {"root": "r2"}),
    "model": ({"scope": "mesh"}, {"model": "separate"}),
    "intermediate": ({}, {"intermediates": {"east": "i2"}}),
    "key": ({"root": "r1"}, {"root": "r2", "key": {"algorithm": "RSA", "bits": 2048}}),
    "all": ({}, {"root": "r2", "organization": "There", "rootDays": 3000, "model": "separate"}),
}


@pytest.mark.parametrize("move", MOVES)
def test_who_writes_what_is_told_gets_to_the_end(move: str) -> None:
    now, following = MOVES[move]
    tree = trusting("east-west", **now, rotation={"phase": "add", **following})
    for phase in ("switch", "drop", None):
        tree = {**tree, **yaml.safe_load(_next(tree))}
        rotation = parse(tree).trust.rotation
        assert (rotation.phase if rotation else None) == phase
    assert parse(tree) == parse(trusting("east-west", **{**now, **following}))


def given_by(root: Issuer, name: str) -> dict[str, str]:
    """An authority of the user's own."""
    own = authorities.authority(name, root)
    return {"certificate": own.pem, "key": own.key_pem, "root": root.pem}


EAST, WEST, OTHER = (authorities.authority(f"{name} Root") for name in ("East", "West", "Other"))
NOW = {"east": given_by(EAST, "East Mesh"), "west": given_by(WEST, "West Mesh")}


def moving(phase: str, **following: object) -> Tree:
    """The simulated federation on its way to other authorities of the user's own."""
    rotation = {"phase": phase, "provided": {**NOW, **following}}
    return trusting("simulated", model="provided", provided=NOW, rotation=rotation)


def test_keys_are_not_written_down_again() -> None:
    written = yaml.safe_load(_next(moving("add")))["trust"]
    assert written["provided"] == written["rotation"]["provided"] == rotation.KEPT
    assert yaml.safe_load(_next(moving("drop"))) == {"trust": {"model": "provided", "provided": rotation.MOVED}}


def _next(tree: Tree) -> str:
    rotation = of(tree).rotation
    assert rotation
    return rotation.write


def restarted(tree: Tree) -> dict[str, tuple[str, ...]]:
    rotation = of(tree).rotation
    assert rotation
    return {each.cluster: each.what for each in rotation.restarts}


def test_a_step_restarts_what_has_learned_roots_where_they_change_and_istiod_alone_where_it_only_signs_anew() -> None:
    east = ("istiod", "east-west gateway", "sample sleep/sleep")
    west = ("istiod", "east-west gateway", "sample httpbin/httpbin")
    moved, renewed = given_by(OTHER, "Other Mesh"), given_by(WEST, "West Mesh 2")
    for phase, others in (("add", {"east": east}), ("switch", {}), ("drop", {"east": east})):
        assert restarted(moving(phase, west=moved)) == {"west": west}, "east learns it by its filters"
        assert restarted(in_whole_mesh(moving(phase, west=moved))) == {"west": west, **others}
    assert restarted(moving("add", west=renewed)) == {}
    assert restarted(moving("switch", west=renewed)) == {"west": ("istiod",)}


def test_egress_gateways_are_restarted_too() -> None:
    rotation = of(rotating("add", "egress")).rotation
    assert rotation and all("egress gateway" in each.what for each in rotation.restarts)


@pytest.mark.parametrize("phase", ["add", "switch", "drop"])
def test_what_a_step_does_names_the_roots(phase: rotation.Phase) -> None:
    words = rotation.describe(phase, ["new root"], ["old root"])
    named = {"add": ["new"], "switch": ["new", "old"], "drop": ["old"]}[phase]
    assert [each for each in ("new", "old") if f"{each} root" in words.does] == named
    assert "within a day" in words.others


def test_a_stack_without_a_rotation_has_no_step() -> None:
    assert told("common").rotation is None
    assert {root.change for root in told("common").roots} == {Change.STAYS}


SECURE = {"secure": "v1:abc"}


def sealed(*keys: str) -> Tree:
    """Authorities of which some texts are encrypted in the stack file."""
    tree = provided()
    given = {name: {**each, **dict.fromkeys(keys, SECURE)} for name, each in tree["trust"]["provided"].items()}
    return {**tree, "trust": {**tree["trust"], "provided": given}}


def test_what_is_encrypted_is_named_after_its_cluster() -> None:
    shown = of(sealed("certificate", "key", "root"), made=UP)
    assert [root.name for root in shown.roots] == ["encrypted root of east", "encrypted root of west"]
    assert all(root.certificate.is_encrypted and root.certificate.subject is None for root in shown.roots)
    assert [root.signs for root in shown.roots] == [("east",), ("west",)]
    assert shown.clusters[0].intermediate.name == "encrypted intermediate of east"
    assert [cluster.is_made for cluster in shown.clusters] == [None, None]
    assert trust_limits.UNKNOWN_ROOTS in of(in_whole_mesh(sealed("certificate", "key", "root"))).limits


def test_encrypted_roots_of_both_ends_of_a_rotation_are_told_apart() -> None:
    tree = sealed("certificate", "key", "root")
    rotation = {"phase": "switch", "provided": tree["trust"]["provided"]}
    shown = of({**tree, "trust": {**tree["trust"], "rotation": rotation}})
    standing = {root.name: (root.change.value, root.signs) for root in shown.roots}
    assert standing == {
        "encrypted root of east": ("goes", ()),
        "encrypted root of west": ("goes", ()),
        "encrypted next root of east": ("comes", ("east",)),
        "encrypted next root of west": ("comes", ("west",)),
    }
    assert shown.rotation and len(shown.rotation.restarts) == 2


def test_a_chain_that_is_encrypted_leaves_the_rest_readable() -> None:
    west = of(sealed("chain")).clusters[1]
    assert (west.intermediate.name, west.intermediate.is_encrypted) == ("West Corp Mesh", False)
    assert [link.is_encrypted for link in west.chain] == [True]


def test_roots_of_one_common_name_get_others() -> None:
    one = authorities.authority("Corp Root")
    shared = of(trusting("simulated", model="provided", provided={n: given_by(one, n) for n in ("east", "west")}))
    assert [(root.name, root.signs) for root in shared.roots] == [("Corp Root", ("east", "west"))]
    own = trusting("simulated", root="", rotation={"phase": "add", "model": "provided", "provided": _named("root CA")})
    names = [root.name for root in of(own).roots]
    assert names[0] == "root CA (made by this stack)" and names[1].startswith("root CA (") and names[0] != names[1]


def _named(name: str) -> Tree:
    root = authorities.authority(name)
    return {cluster: given_by(root, cluster) for cluster in ("east", "west")}


def test_nothing_secret_is_taken_over() -> None:
    for tree in (provided(), sealed("root")):
        text = of(tree).model_dump_json()
        assert "-----BEGIN" not in text and "v1:abc" not in text
        for each in provided()["trust"]["provided"].values():
            assert not any(line in text for line in each["key"].split("\n")[1:-2])


def test_what_a_subject_does_to_a_terminal_is_made_harmless() -> None:
    root = authorities.authority("Corp \x1b[2J Root")
    tree = trusting("simulated", model="provided", provided={n: given_by(root, n) for n in ("east", "west")})
    assert of(tree).roots[0].name == "Corp \\x1b[2J Root"


ONE, SEVERAL = trust_limits.ONE_ROOT, trust_limits.SEVERAL_ROOTS


@pytest.mark.parametrize(
    ("stack", "own_calls"), [("east-west", True), ("separate-roots", False)], ids=["common", "separate"]
)
def test_with_trust_for_each_link_what_is_left_open_is_one_cluster_and_calls_within_a_mesh(
    stack: str, own_calls: bool
) -> None:
    told = set(of(committed(stack)).limits)
    assert told.isdisjoint({ONE, SEVERAL, trust_limits.UNKNOWN_ROOTS, trust_limits.NO_REVOCATION})
    assert {trust_limits.ONE_CLUSTER, trust_limits.ALPHA_API, trust_limits.REVOCATION} <= told
    assert (trust_limits.OWN_CALLS in told) == own_calls


def test_who_accepts_whom_is_told_for_each_link_with_the_authority() -> None:
    found = {f"{each.cluster} {each.where}": each.accepts for each in of(committed("separate-roots")).bound}
    assert set(found) == {
        "east namespace sleep: calls to httpbin.httpbin.svc.cluster.local",
        "west namespace httpbin, app=httpbin: port 8080",
    }
    [exporter] = found["east namespace sleep: calls to httpbin.httpbin.svc.cluster.local"]
    assert exporter.trust_domain == "west.local"
    assert [name.split(" of ")[0] for name in exporter.under] == ["west root CA"]
    assert of(in_whole_mesh(committed("separate-roots"))).bound == ()


def in_whole_mesh(tree: Tree) -> Tree:
    return {**tree, "trust": {**tree["trust"], "scope": "mesh"}}


@pytest.mark.parametrize(
    ("tree", "roots", "keys"),
    [
        (committed("east-west"), {ONE}, {trust_limits.KEYS_MADE}),
        (committed("separate-roots"), {SEVERAL}, {trust_limits.KEYS_MADE}),
        (provided(), {SEVERAL}, {trust_limits.KEYS_GIVEN}),
        (trusting("simulated", model="provided", provided=_named("Corp Root")), {ONE}, {trust_limits.KEYS_GIVEN}),
        (
            trusting("simulated", rotation={"phase": "add", "model": "separate"}),
            {ONE, SEVERAL},
            {trust_limits.KEYS_MADE},
        ),
        (trusting("simulated", rotation={"phase": "drop", "model": "separate"}), {SEVERAL}, {trust_limits.KEYS_MADE}),
        (moving("switch"), {SEVERAL}, {trust_limits.KEYS_GIVEN}),
    ],
    ids=["common", "separate", "provided", "provided in common", "moving", "moved", "moving provided"],
)
def test_what_is_left_open_follows_from_roots_in_common_and_from_who_makes_the_keys(
    tree: Tree, roots: set[str], keys: set[str]
) -> None:
    told = set(of(in_whole_mesh(tree)).limits)
    assert told & {ONE, SEVERAL, trust_limits.UNKNOWN_ROOTS} == roots
    assert told & {trust_limits.KEYS_MADE, trust_limits.KEYS_GIVEN} == keys
    assert {trust_limits.NO_REVOCATION, trust_limits.SECRETS, trust_limits.UNWATCHED} <= told


def test_who_is_read_by_another_istiod_is_told() -> None:
    named = [sentence for sentence in of(committed("multi-primary")).limits if "reads the Secrets of" in sentence]
    assert len(named) == len(committed("multi-primary")["discovery"])


def test_fingerprints_are_told_of_roots_that_sign_and_of_the_one_that_remains() -> None:
    both = {
        "trusted": ("a" * 64, "b" * 64),
        "accepted": (*trusts.record("east").accepted, replace(trusts.COMMON_ROOT, common_name="root CA r2")),
    }
    made = Made({name: trusts.record(name, **both) for name in ("east", "west")})
    shown = told("common-add", made)
    assert {root.name: root.certificate.fingerprint for root in shown.roots} == {
        "root CA": "a" * 64,
        "root CA r2": "b" * 64,
    }
    assert all(cluster.is_made for cluster in shown.clusters)


def test_a_stack_that_is_behind_its_stack_file_says_so_and_what_ends_first() -> None:
    assert [cluster.is_made for cluster in told("common", UP).clusters] == [True, True]
    assert [cluster.is_made for cluster in told("common-add", UP).clusters] == [False, False]
    first = told("common", UP).first_to_end
    assert first and (first.ends_first, first.ends) == ("west intermediate CA", date(2031, 11, 20))
    assert told("common").first_to_end is None


def test_the_published_schema_is_current_and_describes_every_hierarchy() -> None:
    published = (ROOT / "docs" / "trust.schema.json").read_text(encoding="utf-8")
    assert published == schema(), "run python -m mesh_federation.plan.hierarchy > docs/trust.schema.json"
    shown = [*map(told, TREES), told("common", UP), of(sealed("root"))]
    for each in shown:
        jsonschema.validate(json.loads(each.model_dump_json(by_alias=True)), json.loads(published))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"stack": "x"}, json.loads(published))


def test_a_record_of_another_release_is_no_record() -> None:
    with pytest.raises(ValidationError):
        Record.model_validate({"authority": "a" * 64, "root": "b" * 64, "trusted": []})
