"""Applies a function to many items in parallel."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8
"""Items in parallel; kubectl on one cluster has a lower limit of its own."""

Item = TypeVar("Item")
Value = TypeVar("Value")


def map_parallel(function: Callable[[Item], Value], items: Iterable[Item]) -> list[tuple[Item, Value]]:
    """Return each item with its value, in the order of the items; the first exception is raised."""
    every = list(items)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(zip(every, pool.map(function, every), strict=True))
