"""The twin of an intermediate vouches for what the intermediate signs, and is the same at every run."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh_federation.stack.twin import twin
from tests.unit.components.authorities import Issuer, authority, workload

ROOT = authority("Corp Root")
KEYS: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
    "P256": ec.generate_private_key(ec.SECP256R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
}


def loaded(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


@pytest.mark.parametrize("kind", KEYS)
def test_a_twin_signs_itself_and_whatever_its_intermediate_signs(kind: str) -> None:
    own = authority("Corp Mesh", ROOT, KEYS[kind])
    made = loaded(twin(own.pem, own.key_pem))
    made.verify_directly_issued_by(made)
    leaf = workload("spiffe://east.local/ns/a/sa/b", own)
    leaf.verify_directly_issued_by(made)
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    ends = (made.not_valid_before_utc, made.not_valid_after_utc)
    assert ends == (own.certificate.not_valid_before_utc, own.certificate.not_valid_after_utc)


@pytest.mark.parametrize("kind", KEYS)
def test_a_twin_is_the_same_at_every_call(kind: str) -> None:
    own = authority("Corp Mesh", ROOT, KEYS[kind])
    assert twin(own.pem, own.key_pem) == twin(own.pem, own.key_pem)


def test_a_twin_does_not_vouch_for_what_its_root_signs_elsewhere() -> None:
    made = loaded(twin(*pair(authority("Corp Mesh", ROOT))))
    other = workload("spiffe://east.local/ns/a/sa/b", authority("Another Mesh", ROOT))
    with pytest.raises(ValueError, match="does not match"):
        other.verify_directly_issued_by(made)


def test_an_authority_that_signs_itself_is_its_own_twin() -> None:
    assert twin(*pair(ROOT)) == ROOT.pem


def test_a_key_that_istiod_does_not_sign_with_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="ECDSA or an RSA key"):
        twin(authority("Corp Mesh", ROOT).pem, text)


def pair(own: Issuer) -> tuple[str, str]:
    return own.pem, own.key_pem
