"""The rules for provided authorities, compared with Go's crypto/x509, which istiod uses.

A program of a few lines does what istiod does with `cacerts` when it starts (Verify in Istio's
security/pkg/pki/util/keycertbundle.go), and what clients and servers do with certificates that istiod signs, for itself
and for workloads. Without Go, the rules are compared with the recorded results of Go 1.26.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509 import DirectoryName, DNSName, IPAddress, RFC822Name
from cryptography.x509 import UniformResourceIdentifier as Uri

from mesh_federation.stack import pem
from mesh_federation.stack.config import ProvidedAuthority
from mesh_federation.stack.problem import InvalidModel
from tests.unit.rules import issuing
from tests.unit.rules.issuing import RSA_MD5, RSA_SHA1, RSA_SHA256, Authority, constraints, issue, resigned
from tests.unit.rules.provided_authorities import Given, accepted, given, reported

GO = shutil.which("go")
needs_go = pytest.mark.skipif(GO is None, reason="NOT CHECKED AGAINST GO: there is no program go on PATH")
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


@pytest.mark.parametrize("case", CASES)
def test_an_authority_is_refused_for_what_istiod_or_proxies_refuse_it_for(case: str) -> None:
    wanted = [(CASES[case].place, CASES[case].rule)] if CASES[case].rule else []
    assert [problem[:2] for problem in reported(CASES[case].make())] == wanted


@needs_go
def test_go_says_of_each_what_is_written_beside_it() -> None:
    answers = dict(zip(CASES, judged(case.make() for case in CASES.values()), strict=True))
    wrong = {
        name: answer
        for name, answer in answers.items()
        if (CASES[name].go not in answer if CASES[name].go else bool(answer))
    }
    assert wrong == {}


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.rule == "provided-key-identifier"])
def test_openssl_finds_no_issuer_where_its_identifier_is_another(case: str, tmp_path: Path) -> None:
    """BoringSSL has this from it (X509_check_akid); what else proxies alone refuse was read in BoringSSL's source."""
    authority = CASES[case].make()
    for key in ("root", "certificate"):
        (tmp_path / key).write_text(str(authority[key]), encoding="utf-8")
    verify = ["openssl", "verify", "-CAfile", str(tmp_path / "root"), str(tmp_path / "certificate")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "unable to get local issuer certificate" in done.stderr


@needs_go
@pytest.mark.parametrize("change", ["of text", "of what is signed"])
def test_go_reads_and_accepts_all_that_the_rules_accept(change: str) -> None:
    """Bytes of sound authorities are changed at random; what the rules let pass is what the mesh gets."""
    random, kept = Random(20261128), []
    for _ in range(500):
        try:
            kept.append(as_written(accepted(mutated(random) if change == "of text" else signed_anew(random))))
        except InvalidModel:
            continue
    assert len(kept) > 50, "changes of line ends, serial numbers and the like harm nothing"
    assert [(answer, case) for case, answer in zip(kept, judged(kept), strict=True) if answer] == []


def mutated(random: Random) -> Given:
    root = issue("root")
    high = issue("high", root)
    text = given(issue("mesh", high), root, high)
    part = random.choice(sorted(text))
    value = bytearray(str(text[part]).encode())
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(len(value))
        match random.randrange(4):
            case 0:
                value[place] = random.choice(b"ABCDabcd0123+/=\n -")
            case 1:
                del value[place : place + random.choice((1, 4))]
            case 2:
                value[place:place] = random.choice((b"\n", b" ", b"\r\n", b"x", b"-----", b"A"))
            case _:
                value[place] ^= 1 << random.randrange(8)
    return text | {part: bytes(value).decode("utf-8", "replace")}


def signed_anew(random: Random) -> Given:
    """Change what is signed, and sign it: a certificate as a faulty authority would issue it."""
    root, mesh = rich()
    changed = random.choice((root, mesh))
    signed = bytearray(changed.certificate.tbs_certificate_bytes)
    for _ in range(random.choice((1, 1, 2))):
        place = random.randrange(len(signed))
        signed[place] = random.choice((signed[place] ^ 1 << random.randrange(8), random.randrange(256), 0, 0x13))
    key = "root" if changed is root else "certificate"
    return given(mesh, root) | {key: issuing.pem(issuing.resigned_as_is(bytes(signed), root))}


@cache
def rich() -> tuple[Authority, Authority]:
    """A root, and an intermediate that has of everything that certificates have."""
    names = [DNSName(ISTIOD[0]), Uri(WORKLOAD), RFC822Name("a@corp.example")]
    permitted = [Uri("east.local"), DNSName("svc"), RFC822Name("corp.example")]
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)
    about = x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.OCSP, Uri("http://corp.example"))
    uses = [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    root = issue("root", None, (x509.SubjectKeyIdentifier(b"of root"), False))
    mesh = issue(
        "mesh", root, constraints(permitted, [DNSName("corp.example")]), (POINTS, False),
        (x509.SubjectAlternativeName(names), False), (x509.ExtendedKeyUsage(uses), False),
        (x509.CertificatePolicies([policy]), False), (x509.AuthorityInformationAccess([about]), False),
        (x509.PolicyConstraints(None, 1), True), (x509.InhibitAnyPolicy(2), True),
        (x509.SubjectKeyIdentifier(b"of mesh"), False), (x509.AuthorityKeyIdentifier(b"of root", None, None), False),
    )  # fmt: skip
    return root, mesh


def as_written(read: ProvidedAuthority) -> Given:
    """Return the files of `cacerts`."""
    return {
        "certificate": read.certificate,
        "key": read.key.get_secret_value(),
        "chain": pem.chain(read.certificate, read.chain, read.root),
        "root": read.root,
    }


@cache
def judge() -> Path:
    """Build the program that judges as istiod does."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="judge-"))
    assert GO is not None
    source = Path(__file__).with_name("go") / "main.go"
    subprocess.run([GO, "build", "-o", str(folder / "judge"), str(source)], check=True, capture_output=True)
    return folder / "judge"


def judged(cases: Iterator[Given] | list[Given]) -> list[str]:
    """What Go says of some authorities; empty texts where it accepts them."""
    asked = [{**case, "leaves": leaves(case)} for case in cases]
    done = subprocess.run([judge()], input=json.dumps(asked), capture_output=True, text=True, check=True)
    answers: list[str] = json.loads(done.stdout)
    return answers


def leaves(case: Mapping[str, object]) -> list[str]:
    """Sign what istiod signs, where the key and the certificate can be read."""
    from mesh_federation.stack import key_material

    try:
        [mesh] = key_material.certificates(str(case["certificate"]).encode())
        key = key_material.private_key(str(case["key"]).encode())
    except key_material.UnusableMaterial:
        return []
    names: list[list[x509.GeneralName]] = [[DNSName(each) for each in ISTIOD], [Uri(WORKLOAD)]]
    signed = []
    for alternatives in names:
        unsigned = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(mesh.subject)
            .public_key(issuing.key("leaf").public_key())
            .serial_number(1)
            .not_valid_before(issuing.START)
            .not_valid_after(issuing.START + timedelta(days=36000))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        )
        signed.append(issuing.Authority(unsigned.sign(key, hashes.SHA256()), issuing.key("leaf")).pem)  # type: ignore[arg-type]
    return signed
