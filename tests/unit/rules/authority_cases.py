"""Authorities of all kinds: which rule refuses each, and what Go's crypto/x509, which istiod uses, says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509 import DirectoryName, DNSName, IPAddress, RFC822Name
from cryptography.x509 import UniformResourceIdentifier as Uri

from tests.unit.rules import issuing
from tests.unit.rules.issuing import RSA_MD5, RSA_SHA1, RSA_SHA256, Authority, constraints, issue, resigned
from tests.unit.rules.provided_authorities import Given, given

ISTIOD = ("istiod.istio-system.svc", "istiod-remote.istio-system.svc", "istio-pilot.istio-system.svc")
WORKLOAD = "spiffe://east.local/ns/default/sa/default"


def rsa(name: str, by: Authority | None = None) -> Authority:
    return issue(name, by, of=issuing.key("rsa" if by else "rsa root", 2048))


def below(*extensions: tuple[x509.ExtensionType, bool]) -> Given:
    """An intermediate with some extensions."""
    root = issue("root")
    return given(issue("mesh", root, *extensions), root)


def under(*extensions: tuple[x509.ExtensionType, bool]) -> Given:
    """A root with some extensions, above an intermediate with the name that Istio's Makefile gives it."""
    root = issue("root", None, *extensions)
    names = x509.SubjectAlternativeName([DNSName(ISTIOD[0])])
    return given(issue("mesh", root, (names, False)), root)


def hashed(algorithm: bytes, *whom: str) -> Given:
    root = rsa("root")
    mesh = rsa("mesh", root)
    root_given = resigned(root, root, algorithm) if "root" in whom else root
    return given(resigned(mesh, root, algorithm) if "mesh" in whom else mesh, root_given)


def salted(length: int) -> Given:
    root = rsa("root")
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), length)
    return given(issue("mesh", root, of=issuing.key("rsa", 2048), scheme=scheme), root)


def changed(whose: str, old: str, new: str, last: bool = False) -> Given:
    """An authority with some bytes of one certificate changed: its first, or last, such ones."""
    root = issue("root")
    whole = given(issue("mesh", root), root)
    der = {"certificate": issue("mesh", root), "root": root}[whose].der
    a, b = bytes.fromhex(old), bytes.fromhex(new)
    place = der.rindex(a) if last else der.index(a)
    return whole | {whose: issuing.pem(der[:place] + b + der[place + len(a) :])}


def damaged_root() -> Given:
    root = issue("root")
    der = bytearray(root.der)
    der[-1] ^= 1
    return given(issue("mesh", root), root) | {"root": issuing.pem(bytes(der))}


ECDSA_SHA256, ECDSA_SHA384 = "06082a8648ce3d040302", "06082a8648ce3d040303"
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
POINTS = x509.CRLDistributionPoints(
    [x509.DistributionPoint([Uri("http://crl.example/ca.crl")], relative_name=None, reasons=None, crl_issuer=None)]
)


@dataclass(frozen=True)
class Case:
    """An authority, which rule refuses it, and what Go says.

    Attributes:
        make: it.
        rule: empty where it is accepted.
        go: part of what Go says; empty where it accepts.
        place: which key of the authority is reported.
    """

    make: Callable[[], Given]
    rule: str = ""
    go: str = ""
    place: str = "certificate"


NAMES = "provided-name-constraints"
PERMITTED = "is not permitted by any constraint"
CASES = {
    "sound": Case(lambda: below()),
    "SHA-256 by RSA": Case(lambda: hashed(RSA_SHA256, "mesh")),
    "SHA-1": Case(lambda: hashed(RSA_SHA1, "mesh"), "provided-signature-algorithm", "insecure algorithm SHA1-RSA"),
    "MD5": Case(lambda: hashed(RSA_MD5, "mesh"), "provided-signature-algorithm", "insecure algorithm MD5-RSA"),
    "SHA-1 on the root alone": Case(lambda: hashed(RSA_SHA1, "root")),
    "MD5 on the root alone": Case(lambda: hashed(RSA_MD5, "root")),
    "PSS with a salt of the hash's length": Case(lambda: salted(32)),
    "PSS with a short salt": Case(lambda: salted(20), "provided-signature-algorithm", "algorithm unimplemented"),
    "two signature algorithms": Case(
        lambda: changed("certificate", ECDSA_SHA256, ECDSA_SHA384), "provided-algorithms-differ", "don't match"
    ),
    "two signature algorithms on the root": Case(
        lambda: changed("root", ECDSA_SHA256, ECDSA_SHA384), "provided-algorithms-differ", "no root read", "root"
    ),
    "a version that there is not": Case(
        lambda: changed("certificate", "a003020102", "a003020109"), "provided-not-pem", "invalid version"
    ),
    "a root whose signature is damaged, which nobody verifies": Case(damaged_root, "provided-root-damaged", "", "root"),
    "constraints without what the mesh needs": Case(
        lambda: below(constraints([DNSName("corp.example"), Uri("corp.example")])), NAMES, PERMITTED
    ),
    "URIs of others": Case(lambda: below(constraints([Uri("corp.example")])), NAMES, PERMITTED),
    "DNS names of others": Case(lambda: below(constraints([DNSName("corp.example")])), NAMES, PERMITTED),
    "all that the mesh needs": Case(
        lambda: below(constraints([Uri("east.local"), Uri("corp.example"), DNSName("istio-system.svc")]))
    ),
    "trust domains below one": Case(lambda: below(constraints([Uri(".local")]))),
    "not the trust domain itself": Case(lambda: below(constraints([Uri(".east.local")])), NAMES, PERMITTED),
    "any DNS name": Case(lambda: below(constraints([DNSName("")]))),
    "one name of istiod alone": Case(lambda: below(constraints([DNSName(ISTIOD[0])])), NAMES, PERMITTED),
    "our trust domain excluded": Case(lambda: below(constraints([], [Uri("east.local")])), NAMES, "is excluded"),
    "all above our trust domain excluded": Case(lambda: below(constraints([], [Uri("local")])), NAMES, "is excluded"),
    "all of svc excluded": Case(lambda: below(constraints([], [DNSName("svc")])), NAMES, "is excluded"),
    "others excluded": Case(lambda: below(constraints([], [DNSName("corp.example"), Uri("west.local")]))),
    "addresses alone": Case(lambda: below(constraints([IPAddress(IPv4Network("10.0.0.0/8"))]))),
    "mail alone": Case(lambda: below(constraints([RFC822Name("corp.example")]))),
    "subjects, as critical": Case(
        lambda: below(constraints([DirectoryName(issuing.name("mesh"))])), NAMES, "unhandled critical extension"
    ),
    "a root that excludes the intermediate's own name": Case(
        lambda: under(constraints([], [DNSName(ISTIOD[0])])), NAMES, "is excluded", "root"
    ),
    "an unknown critical extension": Case(
        lambda: below((UNKNOWN, True)), "provided-critical-extension", "unhandled critical extension"
    ),
    "an unknown extension": Case(lambda: below((UNKNOWN, False))),
    "a policy": Case(lambda: below((x509.PolicyConstraints(0, None), True)), "provided-policy", "no valid chains"),
    "no mapping of policies": Case(lambda: below((x509.PolicyConstraints(None, 0), True))),
    "a place of a CRL, as critical, which proxies alone refuse": Case(
        lambda: below((POINTS, True)), "provided-critical-extension"
    ),
    "a key identifier of another issuer, which proxies alone refuse": Case(
        lambda: misnamed(x509.AuthorityKeyIdentifier(b"other", None, None)), "provided-key-identifier"
    ),
    "a serial number of another issuer, which proxies alone refuse": Case(
        lambda: misnamed(x509.AuthorityKeyIdentifier(None, [DirectoryName(issuing.name("root"))], 99)),
        "provided-key-identifier",
    ),
    "a name that is no text": Case(
        lambda: below((x509.SubjectAlternativeName([Uri("spiffe://east\0.local/x")]), False)),
        "provided-bad-name",
        "cannot parse URI",
    ),
    "the identifier of its issuer": Case(
        lambda: misnamed(x509.AuthorityKeyIdentifier(b"root", [DirectoryName(issuing.name("root"))], 7))
    ),
}


def misnamed(said: x509.AuthorityKeyIdentifier) -> Given:
    root = issue("root", None, (x509.SubjectKeyIdentifier(b"root"), False), serial=7)
    return given(issue("mesh", root, (said, False)), root)
