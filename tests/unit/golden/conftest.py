"""Golden files: what is compared with them, and how they are written anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.components.conftest import record, theirs, tools

__all__ = ["record", "theirs", "tools"]

FOLDER = Path(__file__).parent
Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch; give it together with this folder: `pytest tests/unit/golden --update-goldens`."""
    parser.addoption("--update-goldens", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file, or write it."""
    update = request.config.getoption("--update-goldens", default=False)

    def compare(name: str, text: str) -> None:
        file = FOLDER / name
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"{name} is missing: run pytest tests/unit/golden --update-goldens and review it"
        assert text == file.read_text(), f"{name} differs: see above; --update-goldens if it is meant"

    return compare
