"""Rules that are not written yet."""

from collections.abc import Iterator
from pathlib import Path

from model.config import Federation
from model.finding import Finding


def check(federation: Federation, base: Path) -> Iterator[Finding]:
    """Check the certificates."""
    return iter(())
