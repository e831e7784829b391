"""Every case runs against each implementation that the machine has."""

from collections.abc import Iterator

import pytest

from tests.engine.conformance.client import Engine, Plugin, running
from tests.engine.conformance.implementations import found


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """What plugins send their messages to."""
    engine = Engine()
    yield engine
    engine.stop()


@pytest.fixture(scope="session", params=found("command"), ids=lambda each: each.origin)
def command(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Plugin]:
    """Each command plugin on the machine."""
    with running(request.param, engine) as plugin:
        yield plugin


@pytest.fixture(scope="session", params=found("tls"), ids=lambda each: each.origin)
def tls(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Plugin]:
    """Each tls plugin on the machine."""
    with running(request.param, engine) as plugin:
        yield plugin
