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
end = time.monotonic() + 0.5
while time.monotonic() < end:  # a signal ends a sleep
    time.sleep(0.01)
sys.exit(len(asked))
"""

TERMINATING = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
for _ in range(2):
    os.kill(int(sys.argv[2]), 15)
    time.sleep(0.05)
"""


def test_a_program_is_asked_to_end_once(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    terminator = subprocess.Popen([sys.executable, "-c", TERMINATING, str(ready), str(os.getpid())])
    with Interruption(signal.SIGINT) as interruption:
        status = interruption.run([sys.executable, "-c", COUNTING, str(ready)])
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
