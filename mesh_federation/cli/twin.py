"""`mesh twin`: makes the twin of an authority, where its key is."""

import sys
from pathlib import Path

from mesh_federation.cli.errors import Refused
from mesh_federation.stack import key_material
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.twin import twin

RULE = "no-twin"


def print_twin(certificate: Path, key: Path) -> None:
    """Print the twin of an authority: a certificate with its name and its key that it signs itself.

    Args:
        certificate: file with the certificate of the authority, ca-cert.pem of `cacerts`.
        key: file with its private key, ca-key.pem.

    Raises:
        Refused: one of the files is not what it should be.
    """
    here = Path()
    try:
        [own] = key_material.certificates(key_material.content(str(certificate), here))
        signing = key_material.private_key(key_material.content(str(key), here))
        if signing.public_key() != own.public_key():
            raise ValueError(f"{key} is the key of another certificate")
        made = twin(key_material.written([own]), key_material.written_key(signing))
    except key_material.UnusableMaterial as unusable:
        raise Refused(unusable.problem_at("")) from None
    except ValueError as reason:
        fix = "name ca-cert.pem and ca-key.pem of the Secret cacerts of that istiod"
        raise Refused(Problem("", RULE, f"no twin can be made of {certificate}: {reason}", fix)) from None
    sys.stdout.write(made)
