"""Rules that are not written yet."""

from collections.abc import Callable, Iterator

from model.config import Federation
from model.finding import Finding

RULES: tuple[Callable[[Federation], Iterator[Finding]], ...] = ()
