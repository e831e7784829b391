"""Real certificates for planned authorities, and two judges of whether an identity is accepted."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from mesh_federation.plan.trust import Anchors, Intermediate, Root, TrustPlan
from mesh_federation.stack.config import Key, ProvidedAuthority
from mesh_federation.stack.twin import twin
from tests.unit.components import authorities
from tests.unit.components.authorities import Issuer


@cache
def private_key(owner: str, algorithm: str, size: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Make the key of an authority, once for each that is another one."""
    if algorithm == "RSA":
        return rsa.generate_private_key(65537, int(size))
    return ec.generate_private_key(ec.SECP384R1() if size == "P384" else ec.SECP256R1())


def _key(owner: str, key: Key) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    return private_key(owner, key.algorithm, key.curve if key.algorithm == "ECDSA" else str(key.bits))


@cache
def _root(root: Root) -> Issuer:
    return authorities.authority(root.common_name, key=_key(root.identity.describe(), root.key))


@cache
def _intermediate(signed: Intermediate) -> Issuer:
    own = _key(f"{signed.name} under {signed.root.identity.describe()}", signed.root.key)
    return authorities.authority(signed.common_name, _root(signed.root), key=own)


@dataclass(frozen=True)
class Holder:
    """A workload of one cluster, as its peers see it.

    Attributes:
        leaf: its certificate.
        sent: what it sends along, nearest issuer first.
    """

    leaf: x509.Certificate
    sent: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Made:
    """The authorities of a plan, made.

    Attributes:
        workloads: one of each cluster.
        bundle: all roots.
        own_roots: what each cluster trusts.
    """

    workloads: dict[str, Holder]
    bundle: tuple[x509.Certificate, ...]
    own_roots: dict[str, tuple[x509.Certificate, ...]]


def made(plan: TrustPlan) -> Made:
    """Make what a plan asks for."""
    signers = {each.cluster: _of_ours(each) for each in plan.intermediates}
    signers |= {cluster: _of_theirs(given) for cluster, given in plan.provided.items()}
    return Made(
        workloads={cluster: _workload(cluster, *signer) for cluster, signer in signers.items()},
        bundle=_roots(plan.roots, plan.given),
        own_roots={cluster: _roots(each.roots, each.given) for cluster, each in plan.bundles.items()},
    )


def _roots(made: Iterable[Root], given: Iterable[str]) -> tuple[x509.Certificate, ...]:
    read = [x509.load_pem_x509_certificate(text.encode()) for text in given]
    return tuple(dict.fromkeys([*(_root(root).certificate for root in made), *read]))


def anchors(plan: Anchors) -> tuple[x509.Certificate, ...]:
    """Make what vouches for a cluster: roots, and the twins of intermediates."""
    signers = [_intermediate(each) for each in plan.intermediates]
    signers += [_of_theirs(each)[0] for each in plan.provided]
    return (*_roots(plan.roots, plan.given), *map(_twin, signers))


@cache
def _twin(signer: Issuer) -> x509.Certificate:
    return x509.load_pem_x509_certificate(twin(signer.pem, signer.key_pem).encode())


def _of_ours(signed: Intermediate) -> tuple[Issuer, tuple[x509.Certificate, ...]]:
    issuer = _intermediate(signed)
    return issuer, (issuer.certificate, _root(signed.root).certificate)


def _of_theirs(given: ProvidedAuthority) -> tuple[Issuer, tuple[x509.Certificate, ...]]:
    return _loaded(given.key.get_secret_value(), f"{given.certificate}{given.chain}{given.root}")


@cache
def _loaded(key_pem: str, sent_pem: str) -> tuple[Issuer, tuple[x509.Certificate, ...]]:
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    sent = x509.load_pem_x509_certificates(sent_pem.encode())
    return Issuer(sent[0], key), tuple(sent)


@cache
def _workload(cluster: str, issuer: Issuer, sent: tuple[x509.Certificate, ...]) -> Holder:
    return Holder(authorities.workload(f"spiffe://{cluster}.local/ns/n/sa/s", issuer), sent)


@cache  # phases of a rotation share signers and bundles
def accepted(holder: Holder, bundle: tuple[x509.Certificate, ...]) -> bool:
    """Judge as `cryptography` does."""
    permitting = ExtensionPolicy.permit_all()
    issuing = permitting.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    policy = PolicyBuilder().store(Store(list(bundle))).extension_policies(ca_policy=issuing, ee_policy=permitting)
    try:
        policy.build_client_verifier().verify(holder.leaf, list(holder.sent))
    except VerificationError:
        return False
    return True


def accepted_by_openssl(folder: Path, holder: Holder, bundle: tuple[x509.Certificate, ...]) -> bool:
    """Judge as the openssl program does."""
    files = {"leaf.pem": (holder.leaf,), "sent.pem": holder.sent, "bundle.pem": bundle}
    for name, certificates in files.items():
        pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
        (folder / name).write_bytes(pem)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "bundle.pem", "-untrusted", "sent.pem", "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
