"""The program as tests of components run it."""

from tests.unit.components.conftest import record, theirs, tools

__all__ = ["record", "theirs", "tools"]
