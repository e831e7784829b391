"""Certificates and private keys in the forms that people have, and the one form that this program writes.

Istiod (Go's encoding/pem), proxies (BoringSSL) and Python accept different texts: PEM with text around its blocks, with
other line ends, or DER. So everything is parsed and written again: certificates from the intermediate to its root, each
once; keys as PKCS#8. Equal certificates then have equal texts.
"""

import base64
import codecs
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509 import Certificate
from cryptography.x509.oid import NameOID

from mesh_federation.stack import files
from mesh_federation.stack.certificates import issued
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule
from mesh_federation.stack.text import excerpt

BEGIN = "-----BEGIN "
"""PEM text contains this; the path of a file does not."""
MAX_BYTES = 1_000_000
_BOUNDARY = re.compile(r"-----(BEGIN|END) ([A-Z0-9 .#/_]{1,60})-----")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE")
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
_DER = b"\x30"
_ONLY = "provide a PEM certificate and nothing else: -----BEGIN CERTIFICATE----- ..."
_COPIES = "export it again; copying often loses lines or characters"


class UnusableMaterial(Exception):
    """A text that is not the certificate or key that it should be.

    Attributes:
        rule: the rule that it breaks.
        problem: what is wrong; it quotes nothing of the text.
        fix: what to do.
    """

    def __init__(self, rule: str, problem: str, fix: str) -> None:
        """Keep the rule, the problem and the fix."""
        super().__init__(problem)
        self.rule, self.problem, self.fix = rule, problem, fix

    def problem_at(self, path: str) -> Problem:
        """Return the problem of the value at a key path."""
        return Problem(path, self.rule, self.problem, self.fix)


@dataclass(frozen=True)
class _Block:
    """A block of PEM text: its label, and the text between its two boundary lines."""

    label: str
    body: str

    @property
    def is_encrypted(self) -> bool:
        """Say whether it is a private key with a password, in either of the two PEM forms."""
        return self.label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in self.body

    def content(self) -> bytes:
        """Decode the block without its headers.

        Raises:
            ValueError: it is not base64.
        """
        lines = [line for line in self.body.splitlines() if ":" not in line]
        return base64.b64decode("".join("".join(lines).split()), validate=True)


def key_of(certificate: Certificate) -> bytes:
    """Return the public key of a certificate: whatever name or number it is issued under, it vouches for the same."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def content(value: str, base: Path, shows_path: bool = True) -> bytes:
    """Return the content of a value of a stack file: the PEM text itself, or the file that it names.

    Args:
        value: PEM text or a path.
        base: the folder that the path is relative to.
        shows_path: whether messages may show the path, which may be a key by mistake.

    Raises:
        UnusableMaterial: the value is neither, or the file cannot be read.
    """
    if BEGIN in value:
        return value.encode(errors="replace")
    if "\n" in value or not value.strip() or "\0" in value:
        problem = "the value is neither PEM text nor the path of a file"
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_PEM, problem, f"start it with {BEGIN}...")
    shown = f"the file {excerpt(value, 100)}" if shows_path else "the file given"
    try:
        found = files.head(base / value, MAX_BYTES + 1)
    except files.NotRead as reason:
        fix = "correct the path, which is relative to the stack file, or write the PEM text itself"
        raise UnusableMaterial(AuthorityRule.PROVIDED_FILE, f"{shown} cannot be read: {reason}", fix) from None
    if len(found) > MAX_BYTES:
        problem = f"{shown} is larger than {MAX_BYTES:,} bytes, more than any chain of certificates needs"
        raise UnusableMaterial(
            AuthorityRule.PROVIDED_FILE, problem, "name a file that holds only the certificates or the key"
        )
    return found


def certificates(data: bytes) -> list[Certificate]:
    """Read the certificates of a PEM text, each once, or the certificate of a DER file.

    Raises:
        UnusableMaterial: there is no certificate, one is damaged, or the text also holds something else.
    """
    try:
        blocks = _blocks(data)
    except ValueError as damage:
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_PEM, str(damage), _COPIES) from None
    if not blocks and data.startswith(_DER):
        return [_loaded(data, "the file")]
    kinds = [block.label for block in blocks]
    is_any = any(kind in _CERTIFICATES for kind in kinds)
    if is_any and any(kind.endswith("PRIVATE KEY") for kind in kinds):
        problem = "the value also holds a private key, which everybody who may read the certificate could read"
        fix = "remove the key; if others could read it, issue the authority again with a new key"
        raise UnusableMaterial(AuthorityRule.PROVIDED_KEY_EXPOSED, problem, fix)
    if others := [kind for kind in kinds if kind not in _CERTIFICATES]:
        is_key = others[0].endswith("PRIVATE KEY")
        problem = f"the value holds a {'private key' if is_key else f'PEM block {others[0]}'}, not a certificate"
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_PEM, problem, _ONLY)
    if not blocks:
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_PEM, "the value holds no certificate", _ONLY)
    found = [_decoded(block, f"certificate {number} of the value") for number, block in enumerate(blocks, start=1)]
    return list(dict.fromkeys(found))


def common_names(pem: str) -> list[str]:
    """Return the common names in the subject of a certificate; none of one that is damaged."""
    try:
        [certificate] = certificates(pem.encode())
        return [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, UnusableMaterial):
        return []


def private_key(data: bytes) -> PrivateKeyTypes:
    """Read the one private key of a PEM text or a DER file.

    Raises:
        UnusableMaterial: there is none, more than one, or one that needs a password.
    """
    try:
        blocks = _blocks(data)
    except ValueError as damage:
        raise UnusableMaterial(AuthorityRule.PROVIDED_BAD_KEY, str(damage), _COPIES) from None
    if any(block.is_encrypted for block in blocks):
        raise _locked()
    keys = [block for block in blocks if block.label in _KEYS]
    if len(keys) > 1:
        problem = f"the value holds {len(keys)} private keys, but one is needed"
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_ONE, problem, "keep the one that belongs to the certificate")
    if others := [block.label for block in blocks if block.label not in (*_KEYS, "EC PARAMETERS")]:
        problem = f"the value holds a PEM block {others[0]}, but only a private key is accepted"
        fix = "provide only the PEM text of the private key, as openssl pkey writes it"
        raise UnusableMaterial(AuthorityRule.PROVIDED_BAD_KEY, problem, fix)
    try:
        return load_der_private_key(keys[0].content() if keys else data, None)
    except TypeError:
        raise _locked() from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "the value is not a readable private key in PEM or DER"
        fix = "provide the PEM text of an ECDSA or RSA private key"
        raise UnusableMaterial(AuthorityRule.PROVIDED_BAD_KEY, problem, fix) from None


def _locked() -> UnusableMaterial:
    problem = "the private key has a password, which istiod cannot enter"
    fix = "remove the password (openssl pkey), and encrypt the key with `pulumi config set --secret`"
    return UnusableMaterial(AuthorityRule.PROVIDED_KEY_ENCRYPTED, problem, fix)


def path(certificate: Certificate, given: Iterable[Certificate], root: Certificate | None) -> list[Certificate]:
    """Find the shortest path from an intermediate to its root through certificates in any order.

    Returns:
        The certificates from the intermediate up to the root; up to the last issuer found if there is no path.
    """
    above: dict[Certificate, Certificate] = {}
    left = [each for each in dict.fromkeys((*([root] if root else []), *given)) if each != certificate]
    reached = [certificate]
    for lower in reached:
        if lower == root:
            break
        for upper in [each for each in left if issued(lower, each)]:
            left.remove(upper)
            above[upper] = lower
            reached.append(upper)
    top = root if root in reached and root is not None else reached[-1]
    found = [top]
    while found[-1] in above:
        found.append(above[found[-1]])
    return found[::-1]


def written(found: Iterable[Certificate]) -> str:
    """Write certificates as PEM, one after the other."""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def written_key(key: PrivateKeyTypes) -> str:
    """Write a private key as PKCS#8 PEM, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load(der: bytes) -> Certificate:
    """Read a certificate completely; cryptography otherwise parses many parts when they are first used.

    Raises:
        ValueError: it is not an X.509 certificate that all programs accept; with the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about certificates that are refused below
            found = x509.load_der_x509_certificate(der)
            _ = found.version, found.subject, found.issuer, found.extensions, found.signature_algorithm_parameters
            _ = found.not_valid_before_utc, found.not_valid_after_utc
            serial = found.serial_number
    except x509.InvalidVersion:
        raise ValueError("its version does not exist") from None
    except x509.DuplicateExtension:
        raise ValueError("it has the same extension twice") from None
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm):
        raise ValueError("it is not X.509") from None
    if serial < 0:
        raise ValueError("its serial number is negative")
    return found


def _decoded(block: _Block, which: str) -> Certificate:
    try:
        return _loaded(block.content(), which)
    except ValueError:
        raise UnusableMaterial(
            AuthorityRule.PROVIDED_NOT_PEM, f"{which} is damaged: it is not base64", _COPIES
        ) from None


def _loaded(der: bytes, which: str) -> Certificate:
    try:
        return load(der)
    except ValueError as reason:
        raise UnusableMaterial(AuthorityRule.PROVIDED_NOT_PEM, f"{which} is damaged: {reason}", _COPIES) from None


def _blocks(data: bytes) -> list[_Block]:
    """Split PEM text into its blocks, without the text around them.

    Raises:
        ValueError: a block has no beginning or no end; with the reason.
    """
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell writes files like this
    text = data.decode("utf-16" if is_wide else "utf-8", errors="replace")
    marks = list(_BOUNDARY.finditer(text))
    if len(marks) != text.count("-----BEGIN") + text.count("-----END"):
        raise ValueError("a BEGIN or END line of a PEM block is damaged")
    pairs = list(zip_longest(marks[::2], marks[1::2]))
    if any(last is None or (first[1], last[1], last[2]) != ("BEGIN", "END", first[2]) for first, last in pairs):
        raise ValueError("a PEM block has no BEGIN or no END line")
    return [_Block(first[2], text[first.end() : last.start()]) for first, last in pairs]
