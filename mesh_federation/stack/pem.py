"""PEM texts of certificates: split, joined and compared, with the standard library only."""

import re
import ssl
from collections.abc import Iterable
from hashlib import sha256
from typing import TypedDict

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class Fingerprints(TypedDict):
    """Fingerprints of what one cluster signs with and trusts: SHA-256 in hexadecimal."""

    authority: str
    """Fingerprint of the intermediate."""
    root: str
    """Fingerprint of the cluster's own root."""
    trusted: list[str]
    """Fingerprints of all roots that the cluster trusts."""
    anchors: list[str]
    """Fingerprints of what vouches for the cluster at others, one link at a time."""


def bundle(roots: Iterable[str]) -> str:
    """Join root certificates to a trust bundle: each once, in the same order for every cluster (pitfall 4).

    Args:
        roots: PEM texts, each of one or more certificates.
    """
    return "".join(sorted({certificate for text in roots for certificate in certificates(text)}))


def chain(*links: str) -> str:
    """Join certificates to `cert-chain.pem`: the intermediate first, its own root last (pitfall 8)."""
    return "".join(certificate for text in links for certificate in certificates(text))


def certificates(pem: str) -> list[str]:
    """Split PEM text into certificates with lines of equal length; text around them is dropped."""
    end = "-----END CERTIFICATE-----"
    bodies = ["".join(part.split(end)[0].split()) for part in pem.split(CERTIFICATE)[1:]]
    return ["\n".join((CERTIFICATE, *re.findall(".{1,64}", body), end, "")) for body in bodies]


def last(chain: str) -> str:
    """Return the last certificate of a chain: its root."""
    return certificates(chain)[-1]


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate's DER form in hexadecimal, without colons."""
    return sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def fingerprints(chain: str, bundle: str, anchors: str) -> Fingerprints:
    """Return the fingerprints of one cluster's authority; they are not secret.

    Args:
        chain: PEM from the intermediate to its own root.
        bundle: PEM of every trusted root.
        anchors: PEM of what vouches for the cluster at others; may be empty.
    """
    links, trusted, vouching = ([fingerprint(pem) for pem in certificates(text)] for text in (chain, bundle, anchors))
    return {"authority": links[0], "root": links[-1], "trusted": trusted, "anchors": vouching}
