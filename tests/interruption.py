"""Runs of `up` that do not come to their end by themselves."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from tests.checkout import DEADLINE_SECONDS, Checkout

STEP = (" +", " ~")
"""How lines about a step start."""


class Ended(Exception):
    """The run came to its end before it was due to be interrupted."""


@dataclass
class Run:
    """A run of `up`.

    Attributes:
        process: in a group of its own.
        said: what it has said so far; all of it once the run is over.
    """

    process: "subprocess.Popen[str]"
    said: str = ""


@contextmanager
def interrupted(checkout: Checkout, due: Callable[[str], bool]) -> Iterator[Run]:
    """Start `up`, yield when a line of it says that it is due to be interrupted, and then wait for its end."""
    run = Run(checkout.start("up", "--yes", f"--stack={checkout.stack}"))
    assert run.process.stdout is not None
    try:
        for line in run.process.stdout:
            run.said += line
            if due(line):
                break
        else:
            raise Ended(run.said)
        yield run
        run.said += run.process.communicate(timeout=DEADLINE_SECONDS)[0]
        assert run.process.returncode != 0, run.said
        assert "Traceback" not in run.said, run.said
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def begun(*words: str) -> Callable[[str], bool]:
    """Be due when the step with these words begins."""
    return lambda line: line.startswith(STEP) and all(word in line for word in (*words, " creating "))


def counted(number: int, word: str = "") -> Callable[[str], bool]:
    """Be due at so many steps; only those with a word in their line count."""
    seen = count(1)
    return lambda line: line.startswith(STEP) and word in line and next(seen) == number
