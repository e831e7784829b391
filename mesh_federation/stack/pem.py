"""PEM texts of certificates: taken apart, joined, told from each other. Nothing but the standard library."""

import re
import ssl
from collections.abc import Iterable
from hashlib import sha256
from typing import TypedDict

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class Fingerprints(TypedDict):
    """What one cluster signs with and trusts, as SHA-256 in hexadecimal."""

    authority: str
    """Of the intermediate."""
    root: str
    """Of its own root."""
    trusted: list[str]
    """Of every root that the cluster trusts."""


def bundle(roots: Iterable[str]) -> str:
    """Join root certificates to the trust bundle: each once, in one order for every cluster (pitfall 4).

    Args:
        roots: PEM texts, each of one or more certificates.
    """
    return "".join(sorted({certificate for text in roots for certificate in certificates(text)}))


def chain(*links: str) -> str:
    """Join certificates to `cert-chain.pem`: the intermediate first, its own root last (pitfall 8)."""
    return "".join(certificate for text in links for certificate in certificates(text))


def certificates(pem: str) -> list[str]:
    """Split PEM text into its certificates, in lines of one length and one ending; text around them is dropped."""
    end = "-----END CERTIFICATE-----"
    bodies = ["".join(part.split(end)[0].split()) for part in pem.split(CERTIFICATE)[1:]]
    return ["\n".join((CERTIFICATE, *re.findall(".{1,64}", body), end, "")) for body in bodies]


def last(chain: str) -> str:
    """Return the root that a chain ends with."""
    return certificates(chain)[-1]


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate's DER form in hexadecimal, as other programs print it without colons."""
    return sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def fingerprints(chain: str, bundle: str) -> Fingerprints:
    """Tell the certificates of one cluster's authority apart by their fingerprints; nothing of it is secret.

    Args:
        chain: PEM from the intermediate to its own root.
        bundle: PEM of every trusted root.
    """
    links = [fingerprint(pem) for pem in certificates(chain)]
    return {"authority": links[0], "root": links[-1], "trusted": [fingerprint(pem) for pem in certificates(bundle)]}
