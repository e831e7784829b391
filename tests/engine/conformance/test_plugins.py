"""What every plugin does, whatever it provides."""

import signal
import subprocess

import pytest

from tests.engine.conformance.client import DEADLINE_SECONDS, Engine, all_gone
from tests.engine.conformance.implementations import official, stand_in


@pytest.mark.parametrize("name", ["command", "tls"])
def test_official_plugin_takes_part(name: str) -> None:
    if official(name) is None:
        pytest.skip(f"no official pulumi-resource-{name} here: the cases ran against the stand-in ONLY")


@pytest.mark.parametrize("name", ["command", "tls", "language"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stand_in_prints_its_port_first_and_leaves_quietly(name: str, number: signal.Signals) -> None:
    plugin = stand_in(name)
    process = subprocess.Popen(
        plugin.arguments, env=plugin.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert 1024 < int(process.stdout.readline()) < 65536
    process.send_signal(number)
    rest = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, *rest) == (0, "", "")


def test_stand_in_leaves_when_its_engine_is_killed(engine: Engine) -> None:
    """The plugin holds the pipe: it ends when the plugin is gone."""
    plugin = stand_in("command")
    script = f"{' '.join(plugin.arguments)} {engine.address} & wait"
    parent = subprocess.Popen(["/bin/sh", "-c", script], env=plugin.environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    assert all_gone(parent.stdout)
    parent.wait(DEADLINE_SECONDS)


def test_stand_in_leaves_when_its_engine_is_gone_already() -> None:
    plugin = stand_in("command")
    done = subprocess.run(
        (*plugin.arguments, "127.0.0.1:1"), env=plugin.environment, capture_output=True, timeout=DEADLINE_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, b"")
