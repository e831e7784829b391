"""The rules for provided authorities, compared with Go's crypto/x509, which istiod uses.

A program of a few lines does what istiod does with `cacerts` when it starts (Verify in Istio's
security/pkg/pki/util/keycertbundle.go), and what clients and servers do with certificates that istiod signs, for itself
and for workloads.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import DNSName, RFC822Name
from cryptography.x509 import UniformResourceIdentifier as Uri

from mesh_federation.stack import pem
from mesh_federation.stack.config import ProvidedAuthority
from mesh_federation.stack.problem import InvalidModel
from tests.unit.rules import issuing
from tests.unit.rules.authority_cases import CASES, ISTIOD, POINTS, WORKLOAD
from tests.unit.rules.issuing import Authority, constraints, issue
from tests.unit.rules.provided_authorities import Given, accepted, given

GO = shutil.which("go")
needs_go = pytest.mark.skipif(GO is None, reason="NOT CHECKED AGAINST GO: there is no program go on PATH")


@needs_go
def test_go_says_of_each_what_is_written_beside_it() -> None:
    answers = dict(zip(CASES, judged(case.make() for case in CASES.values()), strict=True))
    wrong = {
        name: answer
        for name, answer in answers.items()
        if (CASES[name].go not in answer if CASES[name].go else bool(answer))
    }
    assert wrong == {}


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
