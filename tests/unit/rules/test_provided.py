"""Certificate authorities that users bring, each broken in one way."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from model import stackfile
from model.finding import Finding, InvalidModel

Authority = dict[str, object]
START = datetime(2025, 1, 1, tzinfo=UTC)


@cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _private(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def _certificate(
    subject: str,
    issuer: str,
    *,
    key: str = "",
    signer: str = "",
    authority: bool = True,
    may_sign: bool = True,
    start: datetime = START,
    years: int = 50,
) -> str:
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(_key(key or subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=may_sign, crl_sign=may_sign, decipher_only=False, **usage
            ),
            critical=True,
        )
        .sign(_key(signer or issuer), hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


@cache
def _root(name: str = "root") -> str:
    return _certificate(name, name)


def _authority(cluster: str, root: str = "root") -> Authority:
    return {"certificate": _certificate(cluster, root), "key": _private(_key(cluster)), "root": _root(root)}


def _findings(tree: dict[str, object], base: Path | None = None) -> tuple[Finding, ...]:
    try:
        stackfile.parse(tree, base=base)
    except InvalidModel as invalid:
        return invalid.findings
    return ()


def _tree(east: Authority, west: Authority | None = None, **more: object) -> dict[str, object]:
    provided = {"east": east, "west": west or _authority("west")}
    return {"trust": {"model": "provided", "provided": provided}, "clusters": {"east": {}, "west": {}}, **more}


def test_sound_authorities_give_no_finding() -> None:
    assert _findings(_tree(_authority("east"))) == ()
    assert _findings(_tree(_authority("east"), _authority("west", "other root"))) == ()


def test_authorities_may_come_from_files_beside_the_stack_file(tmp_path: Path) -> None:
    files: Authority = {}
    for name, text in _authority("east").items():
        (tmp_path / f"{name}.pem").write_text(str(text))
        files[name] = f"{name}.pem"
    assert _findings(_tree(files), tmp_path) == ()
    config = {"config": {stackfile.KEY: _tree(files)}}
    (tmp_path / "Pulumi.test.yaml").write_text(json.dumps(config))
    assert stackfile.read(tmp_path / "Pulumi.test.yaml").trust.provided["east"].root.startswith("-----BEGIN")


def test_a_chain_leads_from_the_certificate_to_the_root() -> None:
    east = _authority("east", "middle") | {"root": _root(), "chain": _certificate("middle", "root")}
    assert _findings(_tree(east)) == ()


BROKEN: dict[str, Callable[[], Authority]] = {
    "provided-file": lambda: {"certificate": "missing.pem"},
    "provided-not-pem": lambda: {"certificate": _private(_key("east"))},
    "provided-not-one": lambda: {"certificate": _certificate("east", "root") + _root()},
    "provided-trailing-text": lambda: {"certificate": _certificate("east", "root") + "rubbish"},
    "provided-expired": lambda: {"certificate": _certificate("east", "root", years=1)},
    "provided-not-yet-valid": lambda: {"certificate": _certificate("east", "root", start=START.replace(year=2070))},
    "provided-not-an-authority": lambda: {"certificate": _certificate("east", "root", authority=False)},
    "provided-cannot-sign": lambda: {"certificate": _certificate("east", "root", may_sign=False)},
    "provided-chain-broken": lambda: {"certificate": _certificate("east", "root", signer="someone")},
    "provided-key-encrypted": lambda: {"key": _private(_key("east"), b"password")},
    "provided-bad-key": lambda: {"key": _private(ed25519.Ed25519PrivateKey.generate())},
    "provided-key-mismatch": lambda: {"key": _private(_key("west"))},
}


@pytest.mark.parametrize("rule", BROKEN)
def test_one_fault_gives_one_finding_that_shows_no_key(rule: str) -> None:
    found = _findings(_tree(_authority("east") | BROKEN[rule]()))
    assert [finding.rule for finding in found] == [rule]
    assert found[0].path.startswith("trust.provided.east.")
    assert "PRIVATE KEY-----" not in str(found)


@pytest.mark.parametrize(
    "text", ["", "no\npem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "a\0b"]
)
def test_damaged_keys_are_findings(text: str) -> None:
    assert {f.path for f in _findings(_tree(_authority("east") | {"key": text}))} == {"trust.provided.east.key"}


def test_a_damaged_certificate_is_a_finding() -> None:
    text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = _findings(_tree(_authority("east") | {"certificate": text, "root": text}))
    assert {finding.rule for finding in found} == {"provided-not-pem"}


def test_two_roots_of_one_name_are_refused() -> None:
    other = {"certificate": _certificate("west", "root", signer="other"), "key": _private(_key("west"))}
    west: Authority = {**other, "root": _certificate("root", "root", key="other", signer="other")}
    assert [finding.rule for finding in _findings(_tree(_authority("east"), west))] == ["same-root-dn"]


def test_one_mesh_has_one_root() -> None:
    tree = _tree(_authority("east"), _authority("west", "other root"))
    one = {"meshID": "mesh1", "trustDomain": "mesh.local"}
    assert [f.rule for f in _findings({**tree, "clusters": {"east": one, "west": one}})] == ["mesh-of-two-roots"]
    assert _findings({**_tree(_authority("east")), "clusters": {"east": one, "west": one}}) == ()


def test_ambient_has_one_root() -> None:
    found = _findings(_tree(_authority("east"), _authority("west", "other root"), istio={"ambient": True}))
    assert [finding.rule for finding in found] == ["ambient-with-separate-roots"]
    assert _findings(_tree(_authority("east"), istio={"ambient": True})) == ()


def test_encrypted_parts_are_left_out_of_the_checks() -> None:
    sealed = {"secure": "v1:abc"}
    assert _findings(_tree(_authority("east") | {"key": sealed})) == ()
    assert _findings(_tree({"certificate": sealed, "key": sealed, "root": sealed, "chain": sealed})) == ()
