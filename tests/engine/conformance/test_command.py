"""`command:local:Command`: the same rules for every implementation."""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh_federation.toolchain.standins.values import UNKNOWN, Properties, Secret, Value, has_secret
from tests.engine.conformance.client import Engine, Invalid, Made, Plugin, Refused, all_gone, running
from tests.engine.conformance.implementations import stand_in

COMMAND = "command:local:Command"
PASSWORD = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Case:
    """A command that is created once.

    Attributes:
        rule: what it shows.
        inputs: of the resource.
        outputs: what must come out.
    """

    rule: str
    inputs: Properties
    outputs: Properties = field(default_factory=dict)


CREATED = [
    Case("stdout and stderr are kept apart", {"create": "echo out; echo err >&2"}, {"stdout": "out", "stderr": "err"}),
    Case("one newline is taken from the end", {"create": "printf 'a\\n\\n'"}, {"stdout": "a\n"}),
    Case("spaces at the end stay", {"create": "printf 'a  '"}, {"stdout": "a  "}),
    Case("stdin reaches the command", {"create": "cat", "stdin": "line 1\nline 2\n"}, {"stdout": "line 1\nline 2"}),
    Case("without stdin the command reads nothing", {"create": "cat"}, {"stdout": ""}),
    Case("unread stdin is no error", {"create": "true", "stdin": "x" * 1_000_000}, {"stdout": ""}),
    Case(
        "environment is added", {"create": 'echo "$A-$B"', "environment": {"A": "1", "B": "x y"}}, {"stdout": "1-x y"}
    ),
    Case("outer environment is kept", {"create": 'test -n "$PATH" && echo yes'}, {"stdout": "yes"}),
    Case("no create runs nothing", {"delete": "true"}, {"stdout": "", "stderr": ""}),
    Case("inputs are outputs too", {"create": "true", "triggers": [1, "a"]}, {"create": "true", "triggers": [1, "a"]}),
    Case("a megabyte of output is kept", {"create": "yes | head -c 1000000", "logging": "none"}, {"stderr": ""}),
    Case("a timeout that is not reached does not show", {"create": "timeout 60 echo done"}, {"stdout": "done"}),
]


@pytest.mark.parametrize("case", CREATED, ids=lambda case: case.rule)
def test_create(command: Plugin, case: Case) -> None:
    made = command.create(COMMAND, case.inputs)
    assert {name: made[name] for name in case.outputs} == case.outputs
    assert made.id.startswith(made.urn.rpartition("::")[2])
    assert len(made.id) == len(made.urn.rpartition("::")[2]) + 8


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo told; echo why >&2; exit 3", ("exit status 3", "told", "why")),
        ("no-such-program", ("exit status 127", "not found")),
        ("timeout 0.05 tail -f /dev/null", ("exit status 124",)),
    ],
)
def test_failing_command_says_status_and_output(command: Plugin, script: str, expected: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as caught:
        command.create(COMMAND, {"create": script})
    assert all(part in str(caught.value) for part in (*expected, script))


def test_wrong_type_is_refused_before_anything_runs(command: Plugin) -> None:
    with pytest.raises(Invalid):
        command.create(COMMAND, {"create": {"not": "a string"}})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"update": "echo updated"}, "updated"),
        ({}, "created"),
    ],
)
def test_changed_input_runs_update_or_else_create(command: Plugin, before: Properties, after: str) -> None:
    inputs: Properties = {"create": "echo created", "environment": {"A": "1"}, **before}
    made = command.create(COMMAND, inputs)
    changed: Properties = {**inputs, "environment": {"A": "2"}}
    difference = command.diff(made, changed)
    assert (difference.changes, difference.replaces) == (True, frozenset())
    assert command.update(made, changed)["stdout"] == after


def test_empty_update_runs_nothing_and_blanks_stdout(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "echo created", "update": ""})
    assert command.update(made, {"create": "echo other", "update": ""})["stdout"] == ""


def test_update_keeps_triggers_and_id(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "echo a", "triggers": ["t"]})
    updated = command.update(made, {"create": "echo b", "triggers": ["t"]})
    assert (updated["triggers"], updated["stdout"], updated.id) == (["t"], "b", made.id)


@pytest.mark.parametrize("trigger", ["2", UNKNOWN], ids=["known", "unknown"])
def test_a_changed_trigger_is_named_so_that_the_sdk_can_ask_for_a_replacement(command: Plugin, trigger: Value) -> None:
    """The plugin asks for none: `replace_on_changes=["triggers[*]"]`, which the SDK sets, does."""
    made = command.create(COMMAND, {"create": "true", "triggers": ["1"]})
    difference = command.diff(made, {"create": "true", "triggers": [trigger]})
    assert difference.paths == {"triggers[0]"} and not difference.replaces


def test_same_inputs_are_no_change(command: Plugin) -> None:
    inputs: Properties = {"create": "true", "environment": {"A": "1"}, "triggers": ["1", {"a": [1]}]}
    assert not command.diff(command.create(COMMAND, inputs), inputs).changes


def test_becoming_secret_is_no_change_to_the_command(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "true", "stdin": PASSWORD})
    assert not command.diff(made, {"create": "true", "stdin": Secret(PASSWORD)}).replaces


def test_failed_update_is_an_error(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "true"})
    with pytest.raises(Refused, match="exit status 9"):
        command.update(made, {"create": "true", "update": "exit 9"})


def test_previous_output_reaches_update_and_delete(command: Plugin, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f'echo "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR" >> {seen}'
    inputs: Properties = {"create": "echo out; echo err >&2", "update": f"{script}; echo two", "delete": script}
    made = command.create(COMMAND, inputs)
    command.delete(command.update(made, inputs))
    assert seen.read_text().splitlines() == ["out/err", "two/"]


def test_previous_output_can_be_kept_out(command: Plugin) -> None:
    inputs: Properties = {
        "create": "echo out",
        "update": 'echo "got ${PULUMI_COMMAND_STDOUT-nothing}"',
        "addPreviousOutputInEnv": False,
    }
    assert command.update(command.create(COMMAND, inputs), inputs)["stdout"] == "got nothing"


def test_delete_runs_with_the_inputs_in_state(command: Plugin, tmp_path: Path) -> None:
    made = command.create(
        COMMAND,
        {
            "delete": 'cat > "$FILE"',
            "environment": {"FILE": str(tmp_path / "file")},
            "stdin": "in\n",
        },
    )
    command.delete(made)
    assert (tmp_path / "file").read_text() == "in\n"


def test_failing_delete_is_an_error(command: Plugin) -> None:
    made = command.create(COMMAND, {"delete": "echo stuck >&2; exit 4"})
    with pytest.raises(Refused, match=r"exit status 4(.|\n)*stuck"):
        command.delete(made)


def test_without_delete_nothing_runs(command: Plugin) -> None:
    command.delete(command.create(COMMAND, {"create": "true"}))


def test_preview_runs_nothing_and_knows_no_output(command: Plugin, tmp_path: Path) -> None:
    made = command.create(COMMAND, {"create": f"touch {tmp_path}/ran"}, preview=True)
    assert (made.outputs["stdout"], made.outputs["stderr"]) == (UNKNOWN, UNKNOWN)
    assert list(tmp_path.iterdir()) == []


def test_preview_of_update_knows_no_output(command: Plugin, tmp_path: Path) -> None:
    made = command.create(COMMAND, {"create": "echo a"})
    updated = command.update(made, {"create": f"touch {tmp_path}/ran"}, preview=True)
    assert updated.outputs["stdout"] is UNKNOWN
    assert list(tmp_path.iterdir()) == []


def test_preview_takes_unknown_inputs(command: Plugin) -> None:
    inputs: Properties = {"create": UNKNOWN, "environment": {"A": UNKNOWN}, "triggers": [UNKNOWN], "stdin": UNKNOWN}
    assert command.create(COMMAND, inputs, preview=True).outputs["stdout"] is UNKNOWN


def test_refresh_leaves_the_state_as_it_is(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "echo a", "stdin": Secret("b"), "triggers": ["c"]})
    assert command.refresh(made) == made


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (None, {"out", "err"}),
        ("stdoutAndStderr", {"out", "err"}),
        ("stdout", {"out"}),
        ("stderr", {"err"}),
        ("none", set()),
    ],
)
def test_logging_chooses_what_is_shown(command: Plugin, logging: str | None, shown: set[str]) -> None:
    chosen: Properties = {"logging": logging} if logging else {}
    made = command.create(COMMAND, {"create": "echo out; echo err >&2", **chosen})
    assert set(command.messages(made.urn)) == shown
    assert (made["stdout"], made["stderr"]) == ("out", "err")


def test_output_is_shown_while_the_command_runs(command: Plugin, tmp_path: Path) -> None:
    """The command ends only when this test has seen its first line."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    urn = command.urn(COMMAND)
    made: list[Made] = []
    creation = threading.Thread(
        target=lambda: made.append(command.create(COMMAND, {"create": f"echo first; cat {gate}"}, urn=urn)), daemon=True
    )
    creation.start()
    with gate.open("w") as opened:
        command.await_message(urn, "first")
        opened.write("second\n")
    creation.join(30)
    assert made[0]["stdout"] == "first\nsecond"


@pytest.mark.parametrize(
    "inputs",
    [
        {"create": "cat", "stdin": Secret(PASSWORD)},
        {"create": "echo $P", "environment": {"P": Secret(PASSWORD)}},
        {"create": "true", "triggers": [Secret(PASSWORD)]},
        {"create": Secret(f"echo {PASSWORD}")},
    ],
)
def test_secret_input_makes_the_output_of_its_name_secret_and_no_other(command: Plugin, inputs: Properties) -> None:
    """What a command prints is plain in the state unless the program says that it is secret."""
    made = command.create(COMMAND, inputs)
    assert not has_secret([made.outputs["stdout"], made.outputs["stderr"]])
    assert all(has_secret(made.outputs[name]) for name, value in inputs.items() if has_secret(value))


def test_without_secrets_outputs_are_plain(command: Plugin) -> None:
    assert not has_secret(command.create(COMMAND, {"create": "echo a", "stdin": "b"}).outputs)


def test_secret_stays_secret_after_update(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "cat", "stdin": Secret(PASSWORD)})
    updated = command.update(made, {"create": "cat; true", "stdin": Secret(PASSWORD)})
    assert isinstance(updated.outputs["stdin"], Secret)


def test_preview_with_a_secret_keeps_it_secret(command: Plugin) -> None:
    made = command.create(COMMAND, {"create": "cat", "stdin": Secret(PASSWORD)}, preview=True)
    assert isinstance(made.outputs["stdin"], Secret)


@pytest.mark.parametrize("name", ["dir", "interpreter", "assetPaths", "archivePaths"])
def test_stand_in_refuses_inputs_that_it_does_not_support(command: Plugin, name: str) -> None:
    if command.origin != "stand-in":
        pytest.skip("the official plugin supports all inputs")
    with pytest.raises(Invalid, match=name):
        command.create(COMMAND, {"create": "true", name: "x"})


# The official plugin shows what a command prints, secret or not, and ends only the command itself.


@pytest.mark.parametrize("script", ["cat", "cat >&2", "cat; exit 1"])
def test_stand_in_never_shows_a_secret(command: Plugin, script: str) -> None:
    if command.origin != "stand-in":
        pytest.skip("the official plugin shows secrets that a command prints")
    urn = command.urn(COMMAND)
    inputs: Properties = {"create": script, "stdin": Secret(f"a\n{PASSWORD}\n"), "logging": "stdoutAndStderr"}
    error = ""
    try:
        command.create(COMMAND, inputs, urn=urn)
    except Refused as refused:
        error = str(refused)
    shown = command.messages(urn)
    assert "[secret]" in "".join(shown)
    assert PASSWORD not in "".join(shown) + error


def test_stand_in_cancel_ends_the_command_and_its_children(engine: Engine, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    errors: list[str] = []
    with running(stand_in("command"), engine) as plugin:

        def create() -> None:
            try:
                plugin.create(
                    COMMAND, {"create": f"exec 3>{alive}; echo up >&3; tail -f /dev/null & tail -f /dev/null"}
                )
            except Refused as refused:
                errors.append(str(refused))

        creation = threading.Thread(target=create, daemon=True)
        creation.start()
        with alive.open() as reader:
            assert reader.readline() == "up\n"
            plugin.cancel()
            assert all_gone(reader)
        creation.join(30)
    assert "signal: killed" in errors[0]
