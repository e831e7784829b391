"""The attributes that identify a root. They are in the stack's output `trust`, where the next run compares them.

A root that differs in any of them is another root. The serialised form is a contract with users' states: it changes
only with VERSION (tests/unit/golden/test_contract.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

VERSION = 1
"""Of the records in the output `trust`."""


class EarlierVersion(Exception):
    """A state that this version does not read."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "this stack was brought up by an earlier version of this program; take it down with that version first"
        )


@dataclass(frozen=True)
class GeneratedRoot:
    """A root that this program makes.

    Attributes:
        common_name: CN of its subject, unique in the federation.
        organization: O of its subject.
        algorithm: of its key.
        size: curve of the key, or its bits.
        days: lifetime.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )

    common_name: str
    organization: str
    algorithm: str
    size: str
    days: int

    def describe(self) -> str:
        """Return it as one line for people."""
        return f"{self.common_name} of {self.organization}, {self.algorithm} {self.size}, {self.days} days"


@dataclass(frozen=True)
class ProvidedRoot:
    """A root of the user's own.

    Attributes:
        sha256: its fingerprint; empty if only the engine can read it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    sha256: str

    def describe(self) -> str:
        """Return it as one line for people."""
        return (
            f"a provided root, SHA-256 {self.sha256}"
            if self.sha256
            else "a provided root that only the engine can read"
        )


RootIdentity = GeneratedRoot | ProvidedRoot
_ADAPTER: TypeAdapter[RootIdentity] = TypeAdapter(RootIdentity)


def serialize(root: RootIdentity) -> Mapping[str, object]:
    """Return the form in which a root is in the output."""
    written: dict[str, object] = _ADAPTER.dump_python(root, by_alias=True)
    return written


def parse(tree: object) -> RootIdentity:
    """Read a root of the output."""
    return _ADAPTER.validate_python(tree)


def check(record: Mapping[str, object]) -> None:
    """Refuse a record of the output `trust` that another version of this program wrote.

    Raises:
        EarlierVersion: it is none of this version.
    """
    if record.get("version") != VERSION:
        raise EarlierVersion
