"""States go from one implementation to the other and back: what the one made, the other finds unchanged."""

from collections.abc import Iterator

import pytest

from mesh_federation.toolchain.standins.values import Properties, Secret, plain
from tests.engine.conformance import test_command as commands
from tests.engine.conformance import test_tls as certificates
from tests.engine.conformance.client import Engine, Made, Plugin, running
from tests.engine.conformance.implementations import Implementation, found

COMMANDS: list[Properties] = [
    {"create": "echo out; echo err >&2", "triggers": ["1"], "environment": {"A": "1"}, "logging": "stderr"},
    {"create": "cat", "stdin": Secret("a secret"), "addPreviousOutputInEnv": False, "update": "true"},
    {"delete": "true", "triggers": []},
]


def pairs(name: str) -> list[tuple[Implementation, Implementation]]:
    """Who makes and who judges; without the official plugin that is the stand-in alone (test_plugins says so)."""
    every = found(name)
    return [(maker, judge) for maker in every for judge in every]


def names(pair: tuple[Implementation, Implementation]) -> str:
    return f"made by {pair[0].origin}, judged by {pair[1].origin}"


@pytest.fixture(scope="module", params=pairs("command"), ids=names)
def command_pair(request: pytest.FixtureRequest, engine: Engine) -> Iterator[tuple[Plugin, Plugin]]:
    with running(request.param[0], engine) as maker, running(request.param[1], engine) as judge:
        yield maker, judge


@pytest.fixture(scope="module", params=pairs("tls"), ids=names)
def tls_pair(request: pytest.FixtureRequest, engine: Engine) -> Iterator[tuple[Plugin, Plugin]]:
    with running(request.param[0], engine) as maker, running(request.param[1], engine) as judge:
        yield maker, judge


def unchanged(judge: Plugin, made: Made) -> None:
    """Neither a preview nor a refresh sees anything to do."""
    assert not judge.diff(made, made.inputs).changes
    refreshed = judge.refresh(made)
    assert {name: plain(value) for name, value in refreshed.outputs.items()} == {
        name: plain(value) for name, value in made.outputs.items()
    }


@pytest.mark.parametrize("inputs", COMMANDS, ids=str)
def test_a_command_of_the_one_is_unchanged_to_the_other(
    command_pair: tuple[Plugin, Plugin], inputs: Properties
) -> None:
    maker, judge = command_pair
    unchanged(judge, maker.create(commands.COMMAND, inputs))


def test_keys_and_certificates_of_the_one_are_unchanged_to_the_other(tls_pair: tuple[Plugin, Plugin]) -> None:
    maker, judge = tls_pair
    root = certificates.authority(maker)
    leaf = certificates.signed(maker, root, certificates.LEAF)
    for made in (root.made, leaf):
        unchanged(judge, made)
