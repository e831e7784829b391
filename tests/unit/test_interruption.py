"""A command that is asked to end: what runs for it is asked once, and nothing more is begun."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mesh_federation.interruption import INTERRUPTED, Interruption

COUNTING = """
import signal, sys, time
asked = []
signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
open(sys.argv[1], "w").close()
while not asked:
    time.sleep(0.01)
time.sleep(0.2)
sys.exit(len(asked))
"""


def test_a_program_is_asked_to_end_once(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    begin = f"while not __import__('os').path.exists({str(ready)!r}): pass\n__import__('os').kill({os.getpid()}, 15)"
    terminator = subprocess.Popen([sys.executable, "-c", begin])
    with Interruption(signal.SIGINT) as interruption:
        status = interruption.run([sys.executable, "-c", COUNTING, str(ready)])
        interruption._pass_on()
    assert terminator.wait() == 0
    assert (status, interruption.asked) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_begun_after_a_command_was_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption(signal.SIGINT) as interruption:
        os.kill(os.getpid(), number)
        assert interruption.run(["touch", str(tmp_path / "begun")]) == INTERRUPTED
    assert not (tmp_path / "begun").exists()
    assert signal.getsignal(number) is before
