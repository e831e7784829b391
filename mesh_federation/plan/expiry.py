"""When the authorities of a cluster end, and which of them does first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh_federation.plan.trust import plan
from mesh_federation.stack.config import Federation
from mesh_federation.stack.pem import certificates


@dataclass(frozen=True)
class Ending:
    """The end of an authority.

    Attributes:
        name: its common name, or its whole subject where it has none.
        when: last moment of its life.
    """

    name: str
    when: datetime

    @property
    def days_left(self) -> int:
        """Whole days from now on; negative when it has ended."""
        return (self.when - datetime.now(UTC)).days

    @property
    def date(self) -> str:
        """Day of its end."""
        return f"{self.when:%Y-%m-%d}"


def expiring(federation: Federation) -> list[Ending]:
    """Return which provided authorities end soon, one a cluster; nothing is known of those that are encrypted.

    Authorities that this program makes are told of by the run that has them at hand: up, preview, verify.
    """
    endings: list[Ending] = []
    for given in plan(federation).provided.values():
        readable = [text for text in (given.certificate, given.chain, given.root) if certificates(text)]
        endings += [first(readable)] if readable else []
    soon = (each for each in endings if each.days_left < federation.trust.warn_days)
    return sorted(set(soon), key=lambda each: each.when)


def first(texts: Iterable[str]) -> Ending:
    """Return which of some certificates ends first.

    Args:
        texts: PEM of one or more certificates each; at least one certificate in all.
    """
    from cryptography.x509.oid import NameOID  # takes longer to load than all else here

    from mesh_federation.stack import key_material

    found = [each for text in texts for each in key_material.certificates(text.encode())]
    soonest = min(found, key=lambda each: each.not_valid_after_utc)
    names = soonest.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else soonest.subject.rfc4514_string()
    return Ending(name, soonest.not_valid_after_utc)
