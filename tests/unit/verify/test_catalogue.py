"""Every check has something that breaks it, and every stack has its checks."""

from datetime import timedelta

import pytest

from mesh_federation.verify.catalogue import GROUPS, catalogue, chosen, drills, unknown
from mesh_federation.verify.check import Check
from tests.traffic.mutations import MUTATIONS, ON_PAPER
from tests.unit.verify.fake_clusters import STACKS, context


def checks(stack: str) -> list[Check]:
    whole = context(stack)
    return [*catalogue(whole, lambda: [], timedelta(days=30)), *drills(whole)]


def test_no_check_ships_without_a_mutation_that_turns_it_red() -> None:
    known = {check.id for stack in STACKS for check in checks(stack)}
    assert known == {mutation.check for mutation in MUTATIONS}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_mutation_is_tried_on_a_stack_that_has_its_check(mutation: object) -> None:
    from tests.traffic.mutations import Mutation

    assert isinstance(mutation, Mutation)
    assert mutation.check in {check.id for check in checks(mutation.stack)}


@pytest.mark.parametrize("stack", STACKS)
def test_checks_tell_what_they_are_about_by_places_of_the_stack_file(stack: str) -> None:
    made = checks(stack)
    assert {check.group for check in made} <= set(GROUPS)
    assert all(check.about and check.description for check in made)
    assert len({(check.id, check.description) for check in made}) == len(made)


def test_on_simulated_control_planes_what_needs_pods_is_never_passed() -> None:
    for check in checks("simulated"):
        if check.id in ON_PAPER or check.id in ("control-planes.api", "gateways.address"):
            continue
        verdict = check.run()
        assert (verdict.status, verdict.message) == ("not-applicable", "its pods are simulated and run nothing"), (
            check.id
        )


@pytest.mark.parametrize("wanted", ["trust.cacerts", "trust", "clusters.west"])
def test_a_person_names_a_check_a_group_or_a_place(wanted: str) -> None:
    every = checks("east-west")
    named = chosen(every, [wanted])
    assert 0 < len(named) < len(every)
    assert unknown(every, [wanted]) == []


def test_a_name_that_no_check_goes_by_is_told() -> None:
    assert unknown(checks("east-west"), ["trust", "trsut", "clusters.mars"]) == ["trsut", "clusters.mars"]
