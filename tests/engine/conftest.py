"""The engine and the API servers that these tests run on: the real ones, or a loud skip."""

import pytest

from mesh_federation.toolchain.install import Missing, Toolchain, ready

LONGEST = ("neighbours", "changes", "removal", "rotation", "state", "namespaces", "as_local", "verify", "preview")
"""Files of tests that take minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand the longest files out first, so that no worker waits for another one at the end."""
    rank = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """Everything that a simulated federation needs."""
    found = ready(["kwok"])
    if isinstance(found, Missing):
        pytest.skip(
            f"NOTHING was run on real API servers: {', '.join(found.pieces)} missing; run `./mesh install` first"
        )
    return found
