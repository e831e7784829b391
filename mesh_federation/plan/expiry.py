"""When provided authorities expire, and which certificate expires first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh_federation.plan.trust import plan
from mesh_federation.stack.config import Federation
from mesh_federation.stack.pem import certificates


@dataclass(frozen=True)
class Ending:
    """The expiry of an authority.

    Attributes:
        name: its common name, or its whole subject if it has none.
        when: the time at which it expires.
    """

    name: str
    when: datetime

    @property
    def days_left(self) -> int:
        """Whole days from now; negative if it has expired."""
        return (self.when - datetime.now(UTC)).days

    @property
    def date(self) -> str:
        """Day on which it expires, as YYYY-MM-DD."""
        return f"{self.when:%Y-%m-%d}"


def expiring(federation: Federation) -> list[Ending]:
    """Return the provided authorities that expire within `trust.warnDays`, the first of each cluster, sorted by time.

    Encrypted certificates are left out. Authorities that this program makes are left out too: up, preview and verify
    warn of them.
    """
    endings: list[Ending] = []
    for given in plan(federation).provided.values():
        readable = [text for text in (given.certificate, given.chain, given.root) if certificates(text)]
        endings += [first(readable)] if readable else []
    soon = (each for each in endings if each.days_left < federation.trust.warn_days)
    return sorted(set(soon), key=lambda each: each.when)


def first(texts: Iterable[str]) -> Ending:
    """Return the expiry of the certificate that expires first.

    Args:
        texts: PEM of one or more certificates each; at least one certificate in all.
    """
    from cryptography.x509.oid import NameOID  # takes longer to load than the rest of this module

    from mesh_federation.stack import key_material

    found = [each for text in texts for each in key_material.certificates(text.encode())]
    soonest = min(found, key=lambda each: each.not_valid_after_utc)
    names = soonest.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else soonest.subject.rfc4514_string()
    return Ending(name, soonest.not_valid_after_utc)
