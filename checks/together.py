"""Asks many questions at once, and returns the answers in the order of the questions."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8
"""Questions side by side; a cluster takes fewer."""

Answer = TypeVar("Answer")


def together(questions: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Ask all; the first that raises ends it."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(lambda ask: ask(), questions))
