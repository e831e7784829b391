"""The engine and the API servers that these tests run on: the real ones, or a loud skip."""

import pytest

from mesh_federation.toolchain.install import Missing, Toolchain, ready


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    """Everything that a simulated federation needs."""
    found = ready(["kwok"])
    if isinstance(found, Missing):
        pytest.skip(
            f"NOTHING was run on real API servers: {', '.join(found.pieces)} missing; run `./mesh install` first"
        )
    return found
