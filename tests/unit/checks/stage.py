"""A federation whose clusters answer as a test says: the plan is real, the clusters are not."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checks.certificates import Signer, fingerprint, issue
from checks.cluster import ANSWER_SECONDS, Asked, Cluster
from checks.scene import Fingerprints, Running, Scene, Site
from model import stackfile
from model.config import Federation
from model.plan import plan
from tests.unit.program.recorder import ROOT

STACKS = sorted(path.stem.removeprefix("Pulumi.") for path in ROOT.glob("Pulumi.*.yaml"))


@dataclass(frozen=True)
class Told(Cluster):
    """A cluster that answers what a test says.

    Attributes:
        answers: by words that must all be in a question; the last that fits is the one.
        questions: what was asked.
    """

    answers: list[tuple[tuple[str, ...], Asked]] = field(default_factory=list)
    questions: list[tuple[str, ...]] = field(default_factory=list)

    def asked(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> Asked:
        """Answer."""
        self.questions.append(arguments)
        line = " ".join(arguments)
        fits = [answer for words, answer in self.answers if all(word in line for word in words)]
        assert fits, f"nobody said what to answer to {line}"
        return fits[-1]

    def when(self, *words: str, out: object = "", error: str = "") -> None:
        """Say what to answer."""
        text = out if isinstance(out, str) else json.dumps(out)
        self.answers.append((words, Asked(1 if error else 0, text, error)))

    def lists(self, kind: str, *items: object) -> None:
        """Say what there is of a kind."""
        self.when("get", kind, out={"items": list(items)})


@cache
def root() -> Signer:
    """The authority of all clusters."""
    return authority("root CA", None)


@cache
def intermediate(cluster: str) -> Signer:
    """An authority of a cluster."""
    return authority(f"{cluster} intermediate CA", root(), 1825)


def authority(name: str, issuer: Signer | None, days: int = 3650) -> Signer:
    """Make one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.chain[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    made = unsigned.sign(issuer.key if issuer else key, hashes.SHA256())
    return Signer((made, *(issuer.chain if issuer else ())), key)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def cacerts(signer: Signer, roots: Sequence[x509.Certificate], key: Signer | None = None) -> dict[str, object]:
    """The Secret, as the API server gives it."""
    private = (key or signer).key
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    data = {
        "ca-cert.pem": encoded(pem(signer.chain[0])),
        "ca-key.pem": encoded(private.private_bytes(*form)),
        "cert-chain.pem": encoded(pem(*signer.chain)),
        "root-cert.pem": encoded(pem(*roots)),
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts"}, "data": data}


def told(site: Site) -> Told:
    """The cluster of a site, to say what it answers."""
    assert isinstance(site.cluster, Told)
    return site.cluster


def scene(stack: str = "east-west") -> Scene:
    """A committed stack whose trust is as it should be; nothing else is said yet."""
    return staged(stackfile.read(ROOT / f"Pulumi.{stack}.yaml"), stack)


def staged(federation: Federation, stack: str) -> Scene:
    """The same of any federation."""
    sites = {}
    for name, planned in plan(federation, stack).clusters.items():
        signer, trusted = intermediate(name), fingerprint(root().chain[0])
        made = Fingerprints(authority=fingerprint(signer.chain[0]), root=trusted, trusted=(trusted,))
        gateway = planned.addresses or ("198.51.100.7",)
        running = Running(name=f"{name}-0", kubeconfig=f"kubeconfigs/{stack}/{name}", gateway=gateway)
        sites[name] = Site(planned, running, made, Told(name, Path(running.kubeconfig), {}))
        told(sites[name]).when("get", "secret", "cacerts", out=cacerts(signer, root().chain))
    return Scene(federation, sites)


def pod(name: str, namespace: str, account: str = "", ip: str = "10.10.0.9", proxy: bool = True) -> dict[str, object]:
    """A running pod."""
    containers = [{"name": name}, *([{"name": "istio-proxy"}] if proxy else [])]
    return {
        "metadata": {"name": f"{name}-0", "namespace": namespace, "labels": {"app": name}},
        "spec": {"serviceAccountName": account or name, "containers": containers},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def workload_certificate(signer: Signer, uri: str) -> bytes:
    """What istiod issues to a pod."""
    return issue(signer, uri).chain
