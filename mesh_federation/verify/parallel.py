"""Asks the same of many at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8
"""Questions side by side; a cluster takes fewer."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def together(question: Callable[[Asked], Answer], everybody: Iterable[Asked]) -> list[tuple[Asked, Answer]]:
    """Return each that was asked with its answer, in their order; the first that raises ends it."""
    asked = list(everybody)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(zip(asked, pool.map(question, asked), strict=True))
