"""Certificates that tests let a cluster's authority issue: whoever holds its key could."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh_federation.stack.config import ISTIO_NAMESPACE
from mesh_federation.verify.certificates import Identity, Signer, issue, read
from tests.traffic.lab import Lab


def minted(lab: Lab, cluster: str, uri: str, secret: str = "cacerts", namespace: str = ISTIO_NAMESPACE) -> Identity:
    """A certificate that the authority of a cluster issued."""
    data = json.loads(lab.ask(cluster, "get", "secret", secret, f"--namespace={namespace}", "--output=json"))["data"]
    pem = {name: base64.b64decode(content) for name, content in data.items()}
    key = load_pem_private_key(pem["ca-key.pem"], None)
    assert isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey)
    return issue(Signer([*read(pem["ca-cert.pem"]), *read(pem.get("cert-chain.pem", b""))], key), uri)
