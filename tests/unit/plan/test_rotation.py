"""Whatever the federation, wherever it goes: no admitted step cuts anybody off, and each step that would is refused."""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mesh_federation.loader import parse
from mesh_federation.plan.rotation import RULE, TrustState, check_step, problems, trust_state
from mesh_federation.plan.trust import TrustPlan, plan
from mesh_federation.stack.problem import InvalidModel
from tests.unit.components import authorities
from tests.unit.plan.hierarchies import Made, accepted, accepted_by_openssl, anchors, made
from tests.unit.plan.model import Tree, cluster, tree

CLUSTERS = ("east", "west", "north", "south")
KEYS = (
    {"algorithm": "ECDSA", "curve": "P256"},
    {"algorithm": "ECDSA", "curve": "P384"},
    {"algorithm": "RSA", "bits": 2048},
)


@cache
def provided(owner: str, depth: int) -> dict[str, str]:
    """An authority of the user's own, so many links below its root."""
    root = authorities.authority(f"Corp root of {owner}")
    links = [root]
    for level in range(depth):
        links.append(authorities.authority(f"Corp {level} of {owner}", links[-1]))
    chain = "".join(link.pem for link in reversed(links[1:-1]))
    return {"certificate": links[-1].pem, "key": links[-1].key_pem, "chain": chain, "root": root.pem}


@st.composite
def trusts(draw: st.DrawFn, names: tuple[str, ...], generation: str) -> dict[str, Any]:
    """What may stand under `trust`, or under `trust.rotation` beside the phase."""
    model = draw(st.sampled_from(["common", "separate", "provided"]))
    if model == "provided":
        depth = draw(st.integers(1, 3))
        return {"model": model, "provided": {name: provided(f"{name} {generation}", depth) for name in names}}
    return {"model": model, "root": generation, "key": draw(st.sampled_from(KEYS))}


@st.composite
def rotations(draw: st.DrawFn) -> list[Tree]:
    """A federation before, in each phase of, and after a rotation."""
    names = CLUSTERS[: draw(st.integers(1, len(CLUSTERS)))]
    now, following = draw(trusts(names, "")), draw(trusts(names, "r2"))
    clusters = {name: cluster(10 * place) for place, name in enumerate(names, 1)}
    phased = [{**now, "rotation": {"phase": phase, **following}} for phase in ("add", "switch", "drop")]
    steps = (now, *phased, following)
    return [tree(clusters=clusters, exports=[], imports=[], trust={"scope": "mesh", **trust}) for trust in steps]


def bound(trees: list[Tree]) -> list[TrustPlan]:
    """The same federations, with trust for each link."""
    return planned([{**each, "trust": {**each["trust"], "scope": "link"}} for each in trees])


def planned(trees: list[Tree]) -> list[TrustPlan]:
    return [plan(parse(each)) for each in trees]


def vouching(state: TrustPlan) -> dict[str, tuple[x509.Certificate, ...]]:
    """What vouches for each cluster, made."""
    return {name: anchors(each) for name, each in state.anchors.items()}


def strangers(one: Made, other: Made) -> Iterator[str]:
    """Clusters of one state whose workloads the other does not accept, in either order of its bundle."""
    for name, holder in one.workloads.items():
        verdicts = {accepted(holder, bundle) for bundle in (other.bundle, other.bundle[::-1])}
        assert len(verdicts) == 1, "the order of the bundle matters"
        if verdicts == {False}:
            yield name


@given(rotations())
@settings(max_examples=40, deadline=None)
def test_in_every_phase_every_workload_is_accepted_in_every_cluster_and_by_those_of_the_next(trees: list[Tree]) -> None:
    states = [made(each) for each in planned(trees)]
    for state in states:
        assert list(strangers(state, state)) == []
    for before, after in pairwise(states):
        assert [*strangers(before, after), *strangers(after, before)] == []


@given(rotations())
@settings(max_examples=40, deadline=None)
def test_a_step_is_admitted_if_and_only_if_it_cuts_nobody_off_in_both_directions(trees: list[Tree]) -> None:
    for before, after in combinations(planned(trees), 2):
        cut_off = [*strangers(made(before), made(after)), *strangers(made(after), made(before))]
        for first, then in ((before, after), (after, before)):
            assert bool(list(problems(trust_state(first), trust_state(then)))) == bool(cut_off)


@given(rotations())
@settings(max_examples=40, deadline=None)
def test_in_every_phase_each_cluster_is_vouched_for_by_what_vouches_for_no_other(trees: list[Tree]) -> None:
    states = [(made(state), vouching(state)) for state in bound(trees)]
    for one, other in [(state, state) for state in states] + list(pairwise(states)):
        for (signing, _), (trusting, vouch) in ((one, other), (other, one)):
            for name, holder in signing.workloads.items():
                assert [each for each, bundle in vouch.items() if accepted(holder, bundle)] == [name]
                assert accepted(holder, trusting.own_roots[name])


@given(rotations())
@settings(max_examples=40, deadline=None)
def test_a_step_is_admitted_if_and_only_if_others_vouch_for_who_signs_in_both_directions(trees: list[Tree]) -> None:
    def cuts_off(signing: TrustPlan, trusting: TrustPlan) -> bool:
        vouch, own_roots = vouching(trusting), made(trusting).own_roots
        return any(
            not accepted(holder, vouch[name]) or not accepted(holder, own_roots[name])
            for name, holder in made(signing).workloads.items()
        )

    for before, after in combinations(bound(trees), 2):
        expected = cuts_off(before, after) or cuts_off(after, before)
        assert bool(list(problems(trust_state(before), trust_state(after)))) == expected


@given(rotations(), st.randoms())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_openssl_judges_as_the_plan_says(tmp_path: Path, trees: list[Tree], random: Random) -> None:
    before, after = (random.choice(planned(trees)) for _ in range(2))
    is_admitted = not list(problems(trust_state(before), trust_state(after)))
    one, other = made(before), made(after)
    judged = [
        accepted_by_openssl(tmp_path, holder, bundle)
        for holders, trusting in ((one, other), (other, one))
        for holder in holders.workloads.values()
        for bundle in (trusting.bundle, trusting.bundle[::-1])
    ]
    assert all(judged) == is_admitted


@given(rotations())
@settings(deadline=None)
def test_what_a_rotation_ends_with_is_what_the_stack_file_says_without_it(trees: list[Tree]) -> None:
    *_, dropped, finished = planned(trees)
    assume(trees[0]["trust"]["model"] == trees[-1]["trust"]["model"])
    assert dropped.roots == finished.roots
    assert dropped.issuers == finished.issuers
    assert dropped.bundles == finished.bundles
    assert [each.name for each in dropped.intermediates] == [each.name for each in finished.intermediates]


def of(**trust: object) -> TrustPlan:
    return plan(parse(tree(trust=trust)))


def test_the_next_roots_are_trusted_before_anybody_signs_under_them() -> None:
    adding = of(rotation={"phase": "add", "root": "r2"})
    assert [root.name for root in adding.roots] == ["root", "root-r2"]
    assert {each.root.name for each in adding.intermediates} == {"root"}
    switching = of(rotation={"phase": "switch", "root": "r2"})
    assert [root.name for root in switching.roots] == ["root", "root-r2"]
    assert {each.root.name for each in switching.intermediates} == {"root-r2"}


def test_a_phase_that_is_skipped_is_refused_with_the_roots_and_the_way_to_go() -> None:
    with pytest.raises(InvalidModel) as refused:
        check_step(trust_state(of()), trust_state(of(rotation={"phase": "switch", "root": "r2"})))
    [finding] = refused.value.problems
    assert finding.rule == RULE
    assert "root CA r2 of mesh-federation" in finding.what
    assert "phase add, then switch, then drop" in finding.fix


def test_a_root_that_workloads_lead_to_is_not_dropped() -> None:
    adding = of(rotation={"phase": "add", "root": "r2"})
    [finding] = problems(trust_state(adding), trust_state(of(rotation={"phase": "drop", "root": "r2"})))
    assert "root CA of mesh-federation" in finding.what
    assert "switch comes before drop" in finding.fix


@pytest.mark.parametrize("change", [{"key": {"algorithm": "RSA"}}, {"organization": "other"}, {"rootDays": 4000}])
def test_a_root_that_is_made_anew_under_its_name_is_another_root(change: Tree) -> None:
    assert list(problems(trust_state(of()), trust_state(of(**change))))


def test_another_intermediate_is_no_step_where_its_root_alone_is_trusted() -> None:
    clusters = {"east": cluster(10, intermediate="i2"), "west": cluster(30)}
    for trust in ({"scope": "mesh"}, {"model": "separate"}):
        renewed = plan(parse(tree(clusters=clusters, trust=trust)))
        assert [each.name for each in renewed.intermediates] == ["east-intermediate-i2", "west-intermediate"]
        assert list(problems(trust_state(of(**trust)), trust_state(renewed))) == []


def test_another_intermediate_that_others_trust_takes_the_steps_of_a_rotation() -> None:
    clusters = {"east": cluster(10, intermediate="i2"), "west": cluster(30)}
    done = plan(parse(tree(clusters=clusters)))
    [finding] = problems(trust_state(of()), trust_state(done))
    assert "east intermediate CA i2" in finding.what
    phases = [of(rotation={"phase": phase, "intermediates": {"east": "i2"}}) for phase in ("add", "switch", "drop")]
    for before, after in pairwise([of(), *phases, done]):
        check_step(trust_state(before), trust_state(after))
    assert [each.name for each in phases[0].kept] == ["east-intermediate-i2"]
    assert [each.name for each in phases[1].kept] == ["east-intermediate"]
    assert phases[2].kept == ()


def test_a_change_of_the_scope_is_a_step_in_both_directions() -> None:
    for model in ("common", "separate"):
        mesh, link = of(model=model, scope="mesh"), of(model=model)
        check_step(trust_state(mesh), trust_state(link))
        check_step(trust_state(link), trust_state(mesh))


def test_a_revoked_authority_is_dropped_without_waiting_for_those_who_have_its_certificates() -> None:
    rotation = {"rotation": {"phase": "switch", "root": "r2"}}
    before, after = of(**rotation), of(**rotation, revoked=[{"authority": "east intermediate CA"}])
    assert list(problems(trust_state(before), trust_state(after))) == []
    assert after.anchors["east"].names == ("east intermediate CA r2 of mesh-federation, ECDSA P256",)
    assert len(after.anchors["west"].names) == 2
    assert not after.is_moving
    root = of(**rotation, revoked=[{"authority": "root CA"}])
    assert [each.name for each in root.roots] == ["root-r2"]
    assert root.kept == ()


def test_clusters_that_come_or_go_are_no_step() -> None:
    alone = plan(parse(tree(clusters={"east": cluster(10)}, exports=[], imports=[], trust={"root": "r2"})))
    other = plan(parse(tree(clusters={"west": cluster(30)}, exports=[], imports=[])))
    assert list(problems(trust_state(alone), trust_state(other))) == []


def test_a_first_bring_up_may_begin_in_any_phase() -> None:
    for phase in ("add", "switch", "drop"):
        check_step(TrustState({}, {}, {}, {}), trust_state(of(rotation={"phase": phase, "root": "r2"})))
