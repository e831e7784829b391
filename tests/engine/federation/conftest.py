"""Federations to test on: a fresh checkout each, or one that runs for a whole module."""

from collections.abc import Iterator

import pytest

from mesh_federation.toolchain.install import Toolchain
from tests.checkout import Checkout, checkout


@pytest.fixture
def fresh(toolchain: Toolchain) -> Iterator[Checkout]:
    """A checkout in which nothing has run yet."""
    with checkout(toolchain) as made:
        yield made


@pytest.fixture(scope="module")
def shared(toolchain: Toolchain) -> Iterator[Checkout]:
    """A checkout whose federation runs as committed."""
    with checkout(toolchain) as made:
        made.up()
        yield made


@pytest.fixture
def running(shared: Checkout) -> Iterator[Checkout]:
    """The module's federation; a test that changes it finds it, and the next one too, as committed."""
    committed = shared.stack_file().read_text(encoding="utf-8")
    yield shared
    if shared.stack_file().read_text(encoding="utf-8") != committed:
        shared.stack_file().write_text(committed, encoding="utf-8")
        shared.up()
