"""The script that looks for what others must have made, before anything of the stack is made."""

import json

from mesh_federation.jobs.prerequisites import Prerequisite, PrerequisitesSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

NEEDED = (
    Prerequisite(kind="Namespace", namespace="", name="payments", path="exports[2]"),
    Prerequisite(kind="Service", namespace="shop", name="web", path="imports[0]"),
)


def look(machine: FakeMachine) -> CommandResult:
    return machine.run("prerequisites", stdin="users: SECRET", settings=PrerequisitesSettings("prod", NEEDED))


def found(*items: tuple[str, str, str]) -> str:
    listed = [
        {"kind": kind, "metadata": {"name": name, **({"namespace": space} if space else {})}}
        for kind, space, name in items
    ]
    return json.dumps({"kind": "List", "items": listed} if len(listed) > 1 else listed[0] if listed else "")


def test_a_cluster_that_has_all_of_it_is_fit(machine: FakeMachine) -> None:
    machine.when("kubectl", out=found(("Namespace", "", "payments"), ("Service", "shop", "web")))
    ended = look(machine)
    assert (ended.status, ended.err) == (0, "")
    [asked] = machine.calls()
    assert asked.argv[1:3] == ["get", "--ignore-not-found"]
    assert [body["kind"] for body in json.loads(asked.stdin)["items"]] == ["Namespace", "Service"]


def test_all_that_is_missing_is_told_with_its_place_and_what_to_do(machine: FakeMachine) -> None:
    missing = look(machine)
    assert missing.status == 1
    assert missing.err.splitlines() == [
        "prod lacks objects that this stack needs and does not make there: nothing was changed",
        "  exports[2]: there is no namespace payments",
        "    -> kubectl --context prod create namespace payments",
        "  imports[0]: there is no Service shop/web, so callers could not look its name up",
        "    -> deploy that Service (it needs no pods), or write `as: remote`",
    ]


def test_what_is_there_is_not_told_when_something_else_is_missing(machine: FakeMachine) -> None:
    machine.when("kubectl", out=found(("Namespace", "", "payments")))
    missing = look(machine)
    assert "payments" not in missing.err and "shop/web" in missing.err


def test_a_cluster_that_cannot_be_asked_is_an_error(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="Unauthorized\n")
    failed = look(machine)
    assert (failed.status, failed.err) == (
        1,
        "cannot look for what must be in prod:\nUnauthorized\n\n",
    )
