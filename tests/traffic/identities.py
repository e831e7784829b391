"""Certificates that tests let a cluster's authority issue: whoever holds its key could."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh_federation.verify.certificates import Identity, Signer, issue, read
from tests.traffic.lab import Lab
from tests.traffic.mutations import SYSTEM


def minted(lab: Lab, cluster: str, uri: str, secret: str = "cacerts") -> Identity:
    """A certificate that the authority of a cluster issued."""
    data = json.loads(lab.ask(cluster, "get", "secret", secret, SYSTEM, "--output=json"))["data"]
    pem = {name: base64.b64decode(content) for name, content in data.items()}
    key = load_pem_private_key(pem["ca-key.pem"], None)
    assert isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey)
    return issue(Signer([*read(pem["ca-cert.pem"]), *read(pem.get("cert-chain.pem", b""))], key), uri)
