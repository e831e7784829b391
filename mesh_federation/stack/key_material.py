"""Certificates and private keys as people have them, and the one form in which this program hands them on.

PEM with text around its blocks, any line ends, DER: istiod (Go's encoding/pem), proxies (BoringSSL) and Python do not
read the same texts. So no text is handed on: what can be read is parsed and written anew, certificates from the
intermediate to its root and each once, keys as PKCS#8. Then equal certificates have equal texts.
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
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from cryptography.x509 import Certificate

from mesh_federation.stack import files
from mesh_federation.stack.certificates import issued
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule
from mesh_federation.stack.text import excerpt

BEGIN = "-----BEGIN "
"""Tells PEM text from the path of a file."""
MAX_BYTES = 1_000_000
_BOUNDARY = re.compile(r"-----(BEGIN|END) ([A-Z0-9 .#/_]{1,60})-----")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE")
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
_DER = b"\x30"
_ONLY = "give a PEM certificate, and nothing else: -----BEGIN CERTIFICATE----- ..."
_COPIES = "export it again; copies often lose lines or characters"


class Unfit(Exception):
    """A text that is not what it should be.

    Attributes:
        rule: which rule it breaks.
        problem: in words; nothing of the text is in it.
        fix: what to do.
    """

    def __init__(self, rule: str, problem: str, fix: str) -> None:
        """Keep the words."""
        super().__init__(problem)
        self.rule, self.problem, self.fix = rule, problem, fix

    def at(self, path: str) -> Problem:
        """Say where it stands."""
        return Problem(path, self.rule, self.problem, self.fix)


@dataclass(frozen=True)
class _Block:
    """A block of PEM text: its kind, and what stands between its two lines."""

    label: str
    body: str

    @property
    def is_encrypted(self) -> bool:
        """Say whether it is a private key with a password, in either of the two ways to write that."""
        return self.label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in self.body

    def content(self) -> bytes:
        """Decode it; headers in it are left out.

        Raises:
            ValueError: it is no base64.
        """
        lines = [line for line in self.body.splitlines() if ":" not in line]
        return base64.b64decode("".join("".join(lines).split()), validate=True)


def content(value: str, base: Path, shows_path: bool = True) -> bytes:
    """Return what a value of a stack file stands for: its own PEM text, or what is in the file that it names.

    Args:
        value: PEM text or a path.
        base: the folder that the path is relative to.
        shows_path: whether words may name the path: a key may have come in its place.

    Raises:
        Unfit: it is neither, or the file cannot be read.
    """
    if BEGIN in value:
        return value.encode(errors="replace")
    if "\n" in value or not value.strip() or "\0" in value:
        problem = "the value is neither PEM text nor the path of a file"
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, problem, f"start it with {BEGIN}...")
    shown = f"the file {excerpt(value, 100)}" if shows_path else "the file given"
    try:
        found = files.head(base / value, MAX_BYTES + 1)
    except files.NotRead as reason:
        fix = "correct the path, which is relative to the stack file, or paste the PEM text itself"
        raise Unfit(AuthorityRule.PROVIDED_FILE, f"{shown} cannot be read: {reason}", fix) from None
    if len(found) > MAX_BYTES:
        problem = f"{shown} is larger than {MAX_BYTES:,} bytes: no chain of certificates needs that much"
        raise Unfit(AuthorityRule.PROVIDED_FILE, problem, "name the file that holds the certificates or the key alone")
    return found


def certificates(data: bytes) -> list[Certificate]:
    """Read the certificates of a PEM text, or the one of a DER file; each once.

    Raises:
        Unfit: there are none, one is damaged, or there is something beside them that must not be.
    """
    try:
        blocks = _blocks(data)
    except ValueError as damage:
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, str(damage), _COPIES) from None
    if not blocks and data.startswith(_DER):
        return [_loaded(data, "the file")]
    kinds = [block.label for block in blocks]
    is_any = any(kind in _CERTIFICATES for kind in kinds)
    if is_any and any(kind.endswith("PRIVATE KEY") for kind in kinds):
        problem = "it holds a private key beside the certificate: whoever may read the certificate has the key"
        fix = "remove the key here, and if others could read it, have the authority issued with a new one"
        raise Unfit(AuthorityRule.PROVIDED_KEY_EXPOSED, problem, fix)
    if others := [kind for kind in kinds if kind not in _CERTIFICATES]:
        is_key = others[0].endswith("PRIVATE KEY")
        problem = f"it holds a {'private key, not a certificate' if is_key else f'block of kind {others[0]}'}"
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, problem, _ONLY)
    if not blocks:
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, "there is no certificate in it", _ONLY)
    found = [_decoded(block, f"certificate {place} in it") for place, block in enumerate(blocks, start=1)]
    return list(dict.fromkeys(found))


def private_key(data: bytes) -> PrivateKeyTypes:
    """Read the one private key of a PEM text or a DER file.

    Raises:
        Unfit: there is none, more than one, or one that needs a password.
    """
    try:
        blocks = _blocks(data)
    except ValueError as damage:
        raise Unfit(AuthorityRule.PROVIDED_BAD_KEY, str(damage), _COPIES) from None
    if any(block.is_encrypted for block in blocks):
        raise _locked()
    keys = [block for block in blocks if block.label in _KEYS]
    if len(keys) > 1:
        problem = f"there are {len(keys)} private keys: nobody can tell which one is meant"
        raise Unfit(AuthorityRule.PROVIDED_NOT_ONE, problem, "keep the one that belongs to the certificate")
    if others := [block.label for block in blocks if block.label not in (*_KEYS, "EC PARAMETERS")]:
        problem = f"the value holds a block of kind {others[0]}: only a private key is taken"
        fix = "give the PEM text of the private key alone, as openssl pkey writes it"
        raise Unfit(AuthorityRule.PROVIDED_BAD_KEY, problem, fix)
    try:
        return load_der_private_key(keys[0].content() if keys else data, None)
    except TypeError:
        raise _locked() from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "the value is no private key that can be read, neither PEM nor DER"
        fix = "give the PEM text of an ECDSA or RSA private key"
        raise Unfit(AuthorityRule.PROVIDED_BAD_KEY, problem, fix) from None


def _locked() -> Unfit:
    problem = "the private key is encrypted with a password, which istiod cannot enter"
    fix = "decrypt it (openssl pkey), and let `pulumi config set --secret` encrypt it in the stack file"
    return Unfit(AuthorityRule.PROVIDED_KEY_ENCRYPTED, problem, fix)


def path(certificate: Certificate, given: Iterable[Certificate], root: Certificate | None) -> list[Certificate]:
    """Find the way from an intermediate to its root through certificates in any order: the shortest one.

    Returns:
        From the certificate up to the root; as far as a way leads where it does not get there.
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
    way = [top]
    while way[-1] in above:
        way.append(above[way[-1]])
    return way[::-1]


def written(found: Iterable[Certificate]) -> str:
    """Write certificates as PEM, one after the other."""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def written_key(key: PrivateKeyTypes) -> str:
    """Write a private key as PKCS#8 PEM, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load(der: bytes) -> Certificate:
    """Read a certificate whole: much of it is otherwise looked at only when it is asked for.

    Raises:
        ValueError: it is no X.509 certificate, or none that all programs read alike; says so in words.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            found = x509.load_der_x509_certificate(der)
            _ = found.version, found.subject, found.issuer, found.extensions, found.signature_algorithm_parameters
            _ = found.not_valid_before_utc, found.not_valid_after_utc
            serial = found.serial_number
    except x509.InvalidVersion:
        raise ValueError("it is of a version that X.509 does not have") from None
    except x509.DuplicateExtension:
        raise ValueError("it has an extension twice") from None
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm):
        raise ValueError("it is no X.509") from None
    if serial < 0:
        raise ValueError("its serial number is negative")
    return found


def _decoded(block: _Block, which: str) -> Certificate:
    try:
        return _loaded(block.content(), which)
    except ValueError:
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, f"{which} is damaged: it is no base64", _COPIES) from None


def _loaded(der: bytes, which: str) -> Certificate:
    try:
        return load(der)
    except ValueError as reason:
        raise Unfit(AuthorityRule.PROVIDED_NOT_PEM, f"{which} is damaged: {reason}", _COPIES) from None


def _blocks(data: bytes) -> list[_Block]:
    """Take PEM text apart; text around the blocks is left out.

    Raises:
        ValueError: a block has no beginning or no end; says so in words.
    """
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes files
    text = data.decode("utf-16" if is_wide else "utf-8", errors="replace")
    marks = list(_BOUNDARY.finditer(text))
    if len(marks) != text.count("-----BEGIN") + text.count("-----END"):
        raise ValueError("a line that begins or ends a PEM block is damaged")
    pairs = list(zip_longest(marks[::2], marks[1::2]))
    if any(last is None or (first[1], last[1], last[2]) != ("BEGIN", "END", first[2]) for first, last in pairs):
        raise ValueError("a PEM block in it has no beginning or no end")
    return [_Block(first[2], text[first.end() : last.start()]) for first, last in pairs]
