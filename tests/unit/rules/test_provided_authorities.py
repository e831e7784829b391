"""Certificate authorities that users bring, each broken in one way."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from mesh_federation import loader
from mesh_federation.stack.certificates import unsuitable
from mesh_federation.stack.problem import InvalidModel, Problem
from mesh_federation.stack.stack_file import KEY

Authority = dict[str, object]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
START = datetime(2025, 1, 1, tzinfo=UTC)


KINDS: dict[str, Callable[[], Key]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA 1024": lambda: rsa.generate_private_key(65537, 1024),
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA 4096": lambda: rsa.generate_private_key(65537, 4096),
    "RSA 4608": lambda: rsa.generate_private_key(65537, 4608),
}


@cache
def _made(name: str, kind: str) -> Key:
    return KINDS[kind]()


def _key(name: str, kind: str = "P-256") -> Key:
    return _made("" if kind.startswith("RSA") else name, kind)  # one of each length: they take seconds


def _private(key: Key, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def _certificate(
    subject: str,
    issuer: str,
    *,
    key: str = "",
    kind: str = "P-256",
    signer: str = "",
    signer_kind: str = "P-256",
    authority: bool = True,
    may_sign: bool = True,
    uses: tuple[x509.ObjectIdentifier, ...] = (),
    below: int | None = None,
    identifiers: bool = False,
    start: datetime = START,
    years: int = 50,
) -> str:
    """Make a certificate.

    Args:
        subject: its common name.
        issuer: common name of who signs it.
        key: name of its key; left out: the subject.
        kind: of its key.
        signer: name of the issuer's key; left out: the issuer.
        signer_kind: of that key.
        authority: whether it has CA:TRUE.
        may_sign: whether its key usage has keyCertSign.
        uses: its extended key usage.
        below: its pathlen.
        identifiers: whether it has a subject key identifier.
        start: from when it is valid.
        years: for how long.
    """
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    public = _key(key or subject, kind).public_key()
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=below), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=may_sign, crl_sign=may_sign, decipher_only=False, **usage
            ),
            critical=True,
        )
    )
    if uses:
        unsigned = unsigned.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if identifiers:
        unsigned = unsigned.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    digest = None if signer_kind == "Ed25519" else hashes.SHA256()
    return unsigned.sign(_key(signer or issuer, signer_kind), digest).public_bytes(Encoding.PEM).decode()


@cache
def _root(name: str = "root") -> str:
    return _certificate(name, name)


def _authority(cluster: str, root: str = "root") -> Authority:
    return {"certificate": _certificate(cluster, root), "key": _private(_key(cluster)), "root": _root(root)}


def _problems(tree: dict[str, object], base: Path | None = None) -> tuple[Problem, ...]:
    try:
        loader.parse(tree, base=base)
    except InvalidModel as invalid:
        return invalid.problems
    return ()


def _tree(east: Authority, west: Authority | None = None, **more: object) -> dict[str, object]:
    provided = {"east": east, "west": west or _authority("west")}
    return {"trust": {"model": "provided", "provided": provided}, "clusters": {"east": {}, "west": {}}, **more}


def test_sound_authorities_give_no_problem() -> None:
    assert _problems(_tree(_authority("east"))) == ()
    assert _problems(_tree(_authority("east"), _authority("west", "other root"))) == ()


def test_authorities_may_come_from_files_beside_the_stack_file(tmp_path: Path) -> None:
    files: dict[str, Authority] = {"east": {}, "west": {}}
    for cluster, authority in files.items():
        for name, text in _authority(cluster).items():
            (tmp_path / f"{cluster}-{name}.pem").write_text(str(text))
            authority[name] = f"{cluster}-{name}.pem"
    tree = _tree(files["east"], files["west"])
    assert _problems(tree, tmp_path) == ()
    config = {"config": {KEY: tree}}
    (tmp_path / "Pulumi.test.yaml").write_text(json.dumps(config))
    assert loader.read(tmp_path / "Pulumi.test.yaml").trust.provided["east"].root.startswith("-----BEGIN")


def _deep(**changed: str) -> Authority:
    """An authority four steps below its root, with some of its certificates changed."""
    steps = {
        "east": _certificate("east", "low", below=0),
        "low": _certificate("low", "middle", below=1),
        "middle": _certificate("middle", "high"),
        "high": _certificate("high", "root", below=3),
        "root": _certificate("root", "root", below=4),
    } | changed
    chain = steps["low"] + steps["middle"] + steps["high"]
    return {"certificate": steps["east"], "key": _private(_key("east")), "chain": chain, "root": steps["root"]}


def test_a_chain_of_any_depth_leads_from_the_certificate_to_the_root() -> None:
    one = _authority("east", "middle") | {"root": _root(), "chain": _certificate("middle", "root")}
    assert _problems(_tree(one)) == ()
    assert _problems(_tree(_deep())) == ()
    with_root = _deep()
    with_root["chain"] = f"{with_root['chain']}{with_root['root']}"
    assert _problems(_tree(with_root)) == (), "cert-chain.pem as Istio has it ends with the root"


BROKEN: dict[str, Callable[[], Authority]] = {
    "provided-file": lambda: {"certificate": "missing.pem"},
    "provided-not-pem": lambda: {"certificate": _private(_key("east"))},
    "provided-not-one": lambda: {"certificate": _certificate("east", "root") + _root()},
    "provided-key-exposed": lambda: {"root": _root() + _private(_key("root"))},
    "provided-expired": lambda: {"certificate": _certificate("east", "root", years=1)},
    "provided-not-yet-valid": lambda: {"certificate": _certificate("east", "root", start=START.replace(year=2070))},
    "provided-not-an-authority": lambda: {"certificate": _certificate("east", "root", authority=False)},
    "provided-cannot-sign": lambda: {"certificate": _certificate("east", "root", may_sign=False)},
    "provided-extended-key-usage": lambda: {"certificate": _certificate("east", "root", uses=(Use.CLIENT_AUTH,))},
    "provided-key-kind": lambda: _of_kind("P-521"),
    "provided-path-length": lambda: {"root": _certificate("root", "root", below=0)},
    "provided-chain-broken": lambda: {"certificate": _certificate("east", "root", signer="someone")},
    "provided-key-encrypted": lambda: {"key": _private(_key("east"), b"password")},
    "provided-bad-key": lambda: {"key": _root()},
    "provided-key-mismatch": lambda: {"key": _private(_key("west"))},
}


def _of_kind(kind: str) -> Authority:
    """East's intermediate with a key of some kind."""
    return {"certificate": _certificate("east", "root", kind=kind), "key": _private(_key("east", kind))}


@pytest.mark.parametrize("rule", BROKEN)
def test_one_fault_gives_one_problem_that_shows_no_key(rule: str) -> None:
    found = _problems(_tree(_authority("east") | BROKEN[rule]()))
    assert [problem.rule for problem in found] == [rule]
    assert found[0].where.startswith("trust.provided.east.")
    assert "PRIVATE KEY-----" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no\npem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n",
        "-----BEGIN ",
        "a\0b",
    ],
)
def test_damaged_keys_are_problems(text: str) -> None:
    assert {f.where for f in _problems(_tree(_authority("east") | {"key": text}))} == {"trust.provided.east.key"}


def test_a_damaged_certificate_is_a_problem() -> None:
    text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = _problems(_tree(_authority("east") | {"certificate": text, "root": text}))
    assert {problem.rule for problem in found} == {"provided-not-pem"}


def _reported(east: Authority) -> list[tuple[str, str, str]]:
    found = _problems(_tree(east))
    return [(f.where.removeprefix("trust.provided.east."), f.rule, f.what) for f in found]


FAULTS: dict[str, dict[str, object]] = {
    "provided-expired": {"years": 1},
    "provided-not-yet-valid": {"start": START.replace(year=2070)},
    "provided-not-an-authority": {"authority": False},
    "provided-cannot-sign": {"may_sign": False},
    "provided-extended-key-usage": {"uses": (Use.EMAIL_PROTECTION, Use.CLIENT_AUTH)},
}


@pytest.mark.parametrize("rule", FAULTS)
@pytest.mark.parametrize("step", ["east", "low", "middle", "high", "root"])
def test_a_fault_of_any_certificate_on_the_way_to_the_root_is_one_problem_that_names_it(step: str, rule: str) -> None:
    steps = {"east": "low", "low": "middle", "middle": "high", "high": "root", "root": "root"}
    key = {"east": "certificate", "root": "root"}.get(step, "chain")
    [(where, reported, problem)] = _reported(_deep(**{step: _certificate(step, steps[step], **FAULTS[rule])}))  # type: ignore[arg-type]
    assert (where, reported) == (key, rule)
    assert problem.startswith(f"CN={step} ")


@pytest.mark.parametrize(
    ("uses", "has", "lacks"),
    [
        ((Use.CLIENT_AUTH,), "clientAuth", "serverAuth"),
        ((Use.SERVER_AUTH,), "serverAuth", "clientAuth"),
        ((Use.CODE_SIGNING, Use.OCSP_SIGNING), "codeSigning, ocspSigning", "serverAuth and clientAuth"),
        ((Use.ANY_EXTENDED_KEY_USAGE,), "anyExtendedKeyUsage", "serverAuth and clientAuth"),
        ((x509.ObjectIdentifier("1.2.3.4"),), "1.2.3.4", "serverAuth and clientAuth"),
        ((Use.SERVER_AUTH, Use.CLIENT_AUTH, Use.CODE_SIGNING), "", ""),
    ],
)
def test_an_authority_that_is_limited_must_be_so_to_servers_and_clients(
    uses: tuple[x509.ObjectIdentifier, ...], has: str, lacks: str
) -> None:
    reported = _reported(_authority("east") | {"certificate": _certificate("east", "root", uses=uses)})
    expected = f"CN=east may sign only for {has} (extendedKeyUsage), not for {lacks}: "
    assert [problem.startswith(expected) for _, _, problem in reported] == [True] * bool(lacks)


@pytest.mark.parametrize(
    ("step", "issuer", "below", "reported"),
    [
        (
            "root",
            "root",
            3,
            "to 3 (pathlen), but it has 4: CN=high, CN=middle, CN=low, CN=east.",
        ),
        ("high", "root", 2, "to 2 (pathlen), but it has 3: CN=middle, CN=low, CN=east."),
        ("low", "middle", 0, "to 0 (pathlen), but it has 1: CN=east."),
    ],
)
def test_no_authority_stands_above_more_than_it_allows(step: str, issuer: str, below: int, reported: str) -> None:
    [(where, rule, problem)] = _reported(_deep(**{step: _certificate(step, issuer, below=below)}))
    assert (where, rule) == ("root" if step == "root" else "chain", "provided-path-length")
    assert reported in problem


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA 2048", "RSA 4096"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_keys_of_these_kinds_may_sign_in_any_form_that_istiod_reads(kind: str, form: PrivateFormat) -> None:
    key = _private(_key("east", kind), form=form)
    label = "PRIVATE" if form is PrivateFormat.PKCS8 else f"{'RSA' if kind.startswith('RSA') else 'EC'} PRIVATE"
    assert key.startswith(f"-----BEGIN {label} KEY-----")
    assert _reported(_authority("east") | _of_kind(kind) | {"key": key}) == []


REFUSED = [
    ("P-521", "an ECDSA key on secp521r1: Istio supports P-256 and P-384"),
    ("Ed25519", "neither an ECDSA nor an RSA key, but Ed25519, which Envoy does not support"),
    ("RSA 1024", "an RSA key of 1024 bits: an attacker who breaks so short a key can sign any identity"),
    ("RSA 4608", "an RSA key of 4608 bits: so long a key"),
]


@pytest.mark.parametrize(("kind", "reason"), REFUSED)
def test_other_kinds_of_keys_are_refused_once_wherever_they_are(kind: str, reason: str) -> None:
    reported = f"has {reason}"
    [intermediate] = _reported(_authority("east") | _of_kind(kind))
    assert intermediate[:2] == ("certificate", "provided-key-kind") and reported in intermediate[2]
    middle = _certificate("middle", "root", kind=kind)
    signed = _certificate("east", "middle", signer_kind=kind)
    [link] = _reported(_authority("east") | {"certificate": signed, "chain": middle})
    assert link[:2] == ("chain", "provided-key-kind") and reported in link[2]
    root = _certificate("old root", "old root", kind=kind, signer_kind=kind)
    signed = _certificate("east", "old root", signer_kind=kind)
    [top] = _reported(_authority("east") | {"certificate": signed, "root": root})
    assert top[:2] == ("root", "provided-key-kind") and reported in top[2]


@pytest.mark.parametrize(("kind", "reason"), REFUSED)
def test_the_kind_of_a_key_is_reported_of_the_key_where_the_certificate_is_encrypted(kind: str, reason: str) -> None:
    [(where, rule, problem)] = _reported(_authority("east") | _of_kind(kind) | {"certificate": {"secure": "v1:abc"}})
    assert (where, rule, problem.startswith(f"the key is {reason}")) == ("key", "provided-key-kind", True)


def test_a_key_of_a_kind_that_nobody_uses_any_more_is_refused() -> None:
    numbers = dsa.DSAParameterNumbers(p=(1 << 1023) + 1155, q=(1 << 159) + 7, g=2)
    public = dsa.DSAPublicNumbers(y=4, parameter_numbers=numbers).public_key()
    assert "but DSA, which Envoy does not support" in unsuitable(public)
    assert "but one of an unknown kind" in unsuitable(None)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_keys_with_a_password_are_reported_in_every_form(form: PrivateFormat) -> None:
    for kind in ("P-256", "RSA 2048"):
        key = _private(_key("east", kind), b"password", form)
        [(where, rule, _)] = _reported(_authority("east") | _of_kind(kind) | {"key": key})
        assert (where, rule) == ("key", "provided-key-encrypted")


PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def test_a_key_stands_alone_but_for_the_parameters_of_its_curve() -> None:
    """`openssl ecparam -genkey` writes the parameters first."""
    key = _private(_key("east"), form=PrivateFormat.TraditionalOpenSSL)
    assert _reported(_authority("east") | {"key": PARAMETERS + key}) == []
    assert _reported(_authority("east") | {"key": f"Bag Attributes\n{key}and what the program said after it"}) == []
    [(where, rule, problem)] = _reported(_authority("east") | {"key": _root() + key})
    assert (where, rule) == ("key", "provided-bad-key")
    assert "holds a PEM block CERTIFICATE" in problem


def test_where_one_key_is_needed_two_are_refused() -> None:
    key, other = _private(_key("east")), _private(_key("west"))
    for keys in (key + other, other + key, key + key):
        [(where, rule, problem)] = _reported(_authority("east") | {"key": keys})
        assert (where, rule) == ("key", "provided-not-one")
        assert problem.startswith("the value holds 2 private keys")


@pytest.mark.parametrize("key", ["certificate", "root"])
def test_where_one_certificate_is_needed_two_are_refused(key: str) -> None:
    east = _authority("east")
    [(where, rule, problem)] = _reported(east | {key: f"{east[key]}{_certificate('one more', 'root')}"})
    assert (where, rule) == (key, "provided-not-one")
    assert problem.startswith("the value holds 2 certificates")


@pytest.mark.parametrize("missing", ["low", "middle", "high"])
def test_a_chain_that_does_not_reach_the_root_is_reported_where_it_ends(missing: str) -> None:
    [(where, rule, problem)] = _reported(_deep(**{missing: ""}))
    below = {"low": "east", "middle": "low", "high": "middle"}[missing]
    assert (where, rule) == ("chain", "provided-chain-broken")
    assert problem.startswith(f"CN={below} is not signed by ") and problem.endswith(f"its issuer is CN={missing}")


def test_a_certificate_with_an_extension_twice_is_damaged() -> None:
    der = bytearray(x509.load_pem_x509_certificate(_certificate("east", "root").encode()).public_bytes(Encoding.DER))
    usage, limits = bytes.fromhex("551d0f"), bytes.fromhex("551d13")
    assert der.count(usage) == der.count(limits) == 1
    twice = bytes(der).replace(usage, limits)
    pem = x509.load_der_x509_certificate(twice).public_bytes(Encoding.PEM).decode()
    assert [reported[:2] for reported in _reported(_authority("east") | {"certificate": pem})] == [
        ("certificate", "provided-not-pem")
    ]


@pytest.mark.parametrize("identifiers", [False, True])
def test_two_roots_of_one_name_are_refused(identifiers: bool) -> None:
    other = {"certificate": _certificate("west", "root", signer="other"), "key": _private(_key("west"))}
    root = _certificate("root", "root", key="other", signer="other", identifiers=identifiers)
    [found] = _problems(_tree(_authority("east"), {**other, "root": root}))
    assert (found.where, found.rule) == ("trust.provided.west.root", "same-root-dn")
    assert "without key identifiers the order of the bundle decides" in found.what


def test_a_root_that_was_renewed_with_its_key_is_no_other_root() -> None:
    east, west = _authority("east"), _authority("west") | {"root": _certificate("root", "root", years=60)}
    assert _problems(_tree(east, west)) == ()


def test_one_mesh_has_one_root() -> None:
    one = {"meshID": "mesh1", "trustDomain": "mesh.local"}

    def problems(*authorities: Authority) -> tuple[Problem, ...]:
        tree = _tree(*authorities)
        trust = {**cast(dict[str, object], tree["trust"]), "scope": "mesh"}
        return _problems({"trust": trust, "clusters": {"east": one, "west": one}})

    assert [f.rule for f in problems(_authority("east"), _authority("west", "other root"))] == ["mesh-of-two-roots"]
    assert problems(_authority("east")) == ()


def test_encrypted_parts_are_left_out_of_the_checks() -> None:
    sealed = {"secure": "v1:abc"}
    assert _problems(_tree(_authority("east") | {"key": sealed})) == ()
    assert _problems(_tree({"certificate": sealed, "key": sealed, "root": sealed, "chain": sealed})) == ()
    assert _problems(_tree(_deep() | {"chain": sealed})) == (), "nobody knows whether it reaches the root"


@pytest.mark.parametrize("is_file", [False, True], ids=["text", "file"])
def test_a_root_of_a_mesh_of_others_vouches_for_that_mesh_alone(tmp_path: Path, is_file: bool) -> None:
    given = _authority("east")
    theirs = {"clusterUID": "u", "kubernetes": "1.34.4", "version": "1.31.0", "trustDomain": "north.example"}
    tree = _tree(given, _authority("west", "other root"))
    clusters = cast("dict[str, object]", tree["clusters"])
    clusters["north"] = {
        "provisioner": "existing",
        "kubeconfig": "north",
        "istio": {"install": False},
        "observed": {**theirs, "roots": [given["root"]]},
    }
    if is_file:
        (tmp_path / "root.pem").write_text(str(given["root"]), encoding="utf-8")
        given["root"] = "root.pem"
    assert [(each.where, each.rule) for each in _problems(tree, tmp_path)] == [
        ("trust.provided.east.root", "observed-root")
    ]
