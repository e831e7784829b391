"""Certificates and keys as people have them are one text to the mesh; what cannot be read is reported in words."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from mesh_federation.stack import pem
from tests.unit.rules import issuing
from tests.unit.rules.issuing import Authority, issue
from tests.unit.rules.provided_authorities import Given, accepted, given, reported


@cache
def steps() -> tuple[Authority, Authority, Authority, Authority]:
    """An intermediate, two authorities above it, and the root."""
    root = issue("root")
    high = issue("high", root)
    low = issue("low", high)
    return issue("mesh", low), low, high, root


def sound() -> Given:
    mesh, low, high, root = steps()
    return given(mesh, root, low, high)


LAYOUTS: dict[str, Callable[[], str]] = {
    "from certificate to root, as Istio's Makefile writes cert-chain.pem": lambda: joined(0, 1, 2, 3),
    "with the certificate, as Vault's ca_chain and cert-manager's tls.crt": lambda: joined(0, 1, 2),
    "with the root": lambda: joined(1, 2, 3),
    "from root to certificate": lambda: joined(3, 2, 1, 0),
    "shuffled": lambda: joined(2, 0, 3, 1),
    "some twice": lambda: joined(1, 2, 1, 2, 3, 3),
}


def joined(*places: int) -> str:
    return "".join(steps()[place].pem for place in places)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chain_may_hold_its_ends_in_any_order(layout: str) -> None:
    assert reported(sound() | {"chain": LAYOUTS[layout]()}) == []
    read = accepted(sound() | {"chain": LAYOUTS[layout]()})
    assert pem.chain(read.certificate, read.chain, read.root) == joined(0, 1, 2, 3), "cert-chain.pem as Istio wants it"


def test_an_intermediate_right_under_the_root_takes_the_makefiles_chain() -> None:
    root = issue("root")
    mesh = issue("mesh", root)
    read = accepted(given(mesh, root) | {"chain": mesh.pem + root.pem})
    assert (read.certificate, read.chain, read.root) == (mesh.pem, "", root.pem)


def test_a_root_that_signs_workloads_itself_is_in_its_chain_once() -> None:
    root = issue("root")
    read = accepted(given(root, root) | {"chain": root.pem})
    assert (read.certificate, read.chain, read.root) == (root.pem, "", root.pem)


def test_what_does_not_lie_on_the_way_to_the_root_is_reported() -> None:
    _, low, high, _ = steps()
    [(where, rule, problem)] = reported(sound() | {"chain": low.pem + high.pem + issue("stranger").pem})
    assert (where, rule) == ("chain", "provided-chain-astray")
    assert problem.startswith("CN=stranger is not on the path from CN=mesh")


def test_an_issuer_that_was_made_anew_with_another_key_is_reported_as_such() -> None:
    old, new = issue("root"), issue("root", of=issuing.key("another"))
    [(where, rule, problem)] = reported(given(issue("mesh", old), new))
    assert (where, rule) == ("chain", "provided-chain-broken")
    assert "its issuer has the same subject, CN=root, but another key" in problem


def wide(text: str) -> str:
    """One line of base64, as some consoles copy it."""
    return re.sub(r"(?<=[A-Za-z0-9+/=])\n(?=[A-Za-z0-9+/=])", "", text)


SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "line ends of old Macs": lambda text: text.replace("\n", "\r").encode(),
    "indented": lambda text: "".join(f"    {line}\n" for line in text.splitlines()).encode(),
    "one long line": lambda text: wide(text).encode(),
    "blanks for line ends": lambda text: text.replace("\n", " ").encode(),
    "nothing after the last line": lambda text: text.strip().encode(),
    "openssl x509 -text": lambda text: b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + text.encode(),
    "openssl pkcs12": lambda text: text.replace(
        "-----BEGIN", "Bag Attributes\n    friendlyName: x\n-----BEGIN"
    ).encode(),
    "openssl s_client": lambda text: f" 0 s:CN = x\n   i:CN = y\n{text}---\nServer certificate\n".encode(),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16 of PowerShell": lambda text: text.encode("utf-16"),
    "Latin-1 around it": lambda text: "Aussteller: Zürich\n".encode("latin-1") + text.encode(),
    "blanks in front of BEGIN": lambda text: b"x: " + text.encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_certificates_and_keys_are_the_same_text_in_any_spelling(spelling: str, tmp_path: Path) -> None:
    """Where Go's pem.Decode would refuse what Python reads, istiod never sees it: it is written anew."""
    plain = accepted(sound())
    files: Given = {}
    for name, text in sound().items():
        (tmp_path / name).write_bytes(SPELLINGS[spelling](str(text)))
        files[name] = name
    assert reported(files, tmp_path) == []
    read = accepted(files, tmp_path)
    assert (read, read.key.get_secret_value()) == (plain, plain.key.get_secret_value())


@pytest.mark.parametrize("bits", [0, 2048])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_files_of_der_and_keys_in_any_form_are_written_as_pem_and_pkcs8(
    encoding: Encoding, form: PrivateFormat, bits: int, tmp_path: Path
) -> None:
    root = issue("root")
    mesh = issue("mesh", root, of=issuing.key("der", bits))
    (tmp_path / "certificate").write_bytes(mesh.certificate.public_bytes(encoding))
    (tmp_path / "root").write_bytes(root.certificate.public_bytes(encoding))
    (tmp_path / "key").write_bytes(mesh.key.private_bytes(encoding, form, NoEncryption()))
    read = accepted({name: name for name in ("certificate", "root", "key")}, tmp_path)
    assert (read.certificate, read.root, read.key.get_secret_value()) == (mesh.pem, root.pem, mesh.key_pem)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_key_with_a_password_is_refused_in_words(encoding: Encoding, tmp_path: Path) -> None:
    mesh = steps()[0]
    locked = mesh.key.private_bytes(encoding, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    (tmp_path / "key").write_bytes(locked)
    [(where, rule, problem)] = reported(sound() | {"key": "key"}, tmp_path)
    assert (where, rule) == ("key", "provided-key-encrypted")
    assert problem.startswith("the private key has a password")


@pytest.mark.parametrize("key", ["certificate", "chain", "root"])
def test_a_private_key_beside_a_certificate_is_refused_and_not_shown(key: str) -> None:
    mesh = steps()[0]
    for text in (f"{sound()[key]}{mesh.key_pem}", f"{mesh.key_pem}{sound()[key]}"):
        [(where, rule, problem)] = reported(sound() | {key: text})
        assert (where, rule) == (key, "provided-key-exposed")
        assert mesh.key_pem[30:60] not in problem and "BEGIN" not in problem


DAMAGED: dict[str, Callable[[str], str]] = {
    "no end": lambda text: text.partition("-----END")[0],
    "no beginning": lambda text: "-----BEGIN RUBBISH-----\n" + text.partition("\n")[2],
    "half a line lost": lambda text: text.replace("CERTIFICATE-----", "CERTIFI", 1),
    "two begin and one ends": lambda text: text.partition("\n")[0] + "\n" + text,
    "a character lost": lambda text: text[:100] + text[101:],
    "no base64": lambda text: text[:100] + "*" + text[101:],
    "a request": lambda text: text.replace("CERTIFICATE-----", "CERTIFICATE REQUEST-----"),
    "a list of the revoked beside it": lambda text: text + "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_text_is_refused(damage: str) -> None:
    [(where, rule, _)] = reported(sound() | {"root": DAMAGED[damage](str(sound()["root"]))})
    assert (where, rule) == ("root", "provided-not-pem")


def test_a_certificate_of_no_version_is_reported_as_such() -> None:
    version = bytes.fromhex("a003020102")
    der = steps()[3].der.replace(version, bytes.fromhex("a003020109"), 1)
    [(where, rule, problem)] = reported(sound() | {"root": issuing.pem(der)})
    assert (where, rule) == ("root", "provided-not-pem")
    assert problem == "certificate 1 of the value is damaged: its version does not exist"


def test_a_subject_with_a_value_of_another_kind_is_damaged() -> None:
    """A bit string, which is for X500UniqueIdentifier alone: the library that reads it ends with a TypeError."""
    root = steps()[3]
    signed = root.certificate.tbs_certificate_bytes.replace(b"\x0c\x04root", b"\x03\x04\0oot")
    [(where, rule, problem)] = reported(sound() | {"root": issuing.pem(issuing.resigned_as_is(signed, root))})
    assert (where, rule, problem) == (
        "root",
        "provided-not-pem",
        "certificate 1 of the value is damaged: it is not X.509",
    )


ENDLESS = Path("/dev/zero")


@pytest.mark.parametrize("key", ["certificate", "chain", "root", "key"])
def test_what_never_ends_is_neither_read_nor_waited_for(key: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").write_bytes(b" " * 2_000_000)
    for path, reason in (
        (str(ENDLESS), "a pipe or a device"),
        ("pipe", "a pipe or a device"),
        ("huge", "larger than 1,000,000 bytes"),
        (".", "Is a directory"),
        ("x" * 5000, "File name too long"),
    ):
        [(where, rule, problem)] = reported(sound() | {key: path}, tmp_path)
        assert (where, rule) == (key, "provided-file")
        assert reason in problem


def test_equal_roots_are_one_in_the_bundle_whatever_their_text() -> None:
    root = steps()[3].pem
    assert pem.bundle([root.replace("\n", "\r\n"), wide(root), root]) == root


PARTS = ("certificate", "chain", "root", "key")


@settings(max_examples=150, deadline=None)
@forall(st.data())
def test_no_text_ends_in_anything_but_problems(data: st.DataObject) -> None:
    """Bytes of certificates and keys are changed, as PEM, as DER, and as signed anew: the rules answer to whatever."""
    part = data.draw(st.sampled_from(PARTS))
    text = str(sound()[part]).encode()
    if part != "chain" and data.draw(st.booleans()):
        der = bytearray(steps()[0 if part != "root" else 3].der)
        for _ in range(data.draw(st.integers(1, 3))):
            der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
        if part != "key" and data.draw(st.booleans()):
            body = bytes(der[4 : 4 + len(steps()[0].certificate.tbs_certificate_bytes)])
            der = bytearray(issuing.resigned_as_is(body, steps()[3]))
        text = issuing.pem(bytes(der)).encode()
        if part == "key":
            text = text.replace(b"CERTIFICATE", b"PRIVATE KEY")
    else:
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.binary(max_size=20)) + text[end:]
    found = reported(sound() | {part: text.decode("utf-8", "replace")})
    assert all(words.isprintable() for _, _, words in found)


@pytest.mark.parametrize("reading", ["loader.read(path)", "overlay.load(path)"])
def test_a_pipe_for_a_stack_file_or_an_overlay_is_not_waited_for(reading: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ask = (
        "import sys, pathlib; from mesh_federation import loader; from mesh_federation.stack import overlay\n"
        "path = pathlib.Path(sys.argv[1])\n"
        f"try: print({reading})\nexcept loader.InvalidModel as error: print(error)"
    )
    run = [sys.executable, "-c", ask, str(tmp_path / "pipe")]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert "it is a pipe or a device, not a regular file" in done.stdout
    assert "Traceback" not in done.stderr
