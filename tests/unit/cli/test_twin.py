"""`mesh twin`: what an owner whose root other meshes have too hands out, made where the key is."""

from pathlib import Path

import pytest
from cryptography import x509

from tests.unit.cli.conftest import Mesh
from tests.unit.components.authorities import Issuer, authority

ROOT = authority("Corp Root")
OWN, OTHER = authority("Corp Mesh", ROOT), authority("Another Mesh", ROOT)


def files(folder: Path, own: Issuer, signing: Issuer) -> tuple[str, str]:
    """Files with a certificate and a key."""
    certificate, key = folder / "ca-cert.pem", folder / "ca-key.pem"
    certificate.write_text(own.pem, encoding="utf-8")
    key.write_text(signing.key_pem, encoding="utf-8")
    return str(certificate), str(key)


def test_it_has_the_name_and_the_key_of_the_authority_and_signs_itself(mesh: Mesh, tmp_path: Path) -> None:
    done = mesh("twin", *files(tmp_path, OWN, OWN))
    assert done.status == 0, done.err
    made = x509.load_pem_x509_certificate(done.out.encode())
    made.verify_directly_issued_by(made)
    assert (made.subject, made.public_key()) == (OWN.certificate.subject, OWN.certificate.public_key())
    assert "PRIVATE" not in done.out + done.err


def test_the_key_of_another_authority_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    done = mesh("twin", *files(tmp_path, OWN, OTHER))
    assert (done.status, done.out) == (1, "") and "is the key of another certificate" in done.err


@pytest.mark.parametrize(("first", "second"), [("no-such.pem", "ca-key.pem"), ("ca-key.pem", "ca-cert.pem")])
def test_other_files_are_refused_without_a_word_of_their_content(
    mesh: Mesh, tmp_path: Path, first: str, second: str
) -> None:
    files(tmp_path, OWN, OWN)
    done = mesh("twin", str(tmp_path / first), str(tmp_path / second))
    assert (done.status, done.out) == (1, "") and done.err.startswith("error: ")
    assert OWN.key_pem.splitlines()[1] not in done.err and "Traceback" not in done.err
