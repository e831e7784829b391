"""Stamps the lines of a file that another process writes, at the moment at which they arrive."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread

from benchmarks import events

INTERVAL = 0.02
"""Seconds between two looks: the resolution of phases."""


@contextmanager
def following(path: Path) -> Iterator[list[events.Event]]:
    """Yield a list that fills with the engine's events; complete when the block is left.

    Args:
        path: the engine's event log, which need not exist yet.
    """
    path.touch()
    begun = time.monotonic()
    collected: list[events.Event] = []
    ended = Flag()

    def follow() -> None:
        with path.open(encoding="utf-8") as log:
            rest, last = "", False
            while not last:
                last = ended.wait(INTERVAL)
                *lines, rest = (rest + log.read()).split("\n")
                at = time.monotonic() - begun
                collected.extend(event for line in lines if (event := events.read(line, at)))

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield collected
    finally:
        ended.set()
        thread.join()
