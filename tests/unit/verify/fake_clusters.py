"""A federation with a real plan and fake clusters, whose kubectl gives prepared responses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mesh_federation import loader
from mesh_federation.engine.outputs import ClusterOutput, TrustOutput
from mesh_federation.plan.federation import plan
from mesh_federation.process import ProcessResult
from mesh_federation.stack.config import Federation
from mesh_federation.verify.certificates import Signer, fingerprint, issue
from mesh_federation.verify.certificates import pem as pem
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.kubectl import ANSWER_SECONDS, CachedKubectl
from tests.authorities import authority, cacerts
from tests.unit.components.recorder import ROOT

UID = "1a2b3c"
"""UID of the namespace of Istio in every cluster."""
STACKS = sorted(path.stem.removeprefix("Pulumi.") for path in ROOT.glob("Pulumi.*.yaml"))


@dataclass(frozen=True)
class FakeKubectl(CachedKubectl):
    """A kubectl with prepared responses.

    Attributes:
        answers: responses with the words that a command must contain; the last match wins.
        questions: the commands that were run.
    """

    answers: list[tuple[tuple[str, ...], ProcessResult]] = field(default_factory=list)
    questions: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> ProcessResult:
        """Return the prepared response."""
        self.questions.append(arguments)
        line = " ".join(arguments)
        fits = [answer for words, answer in self.answers if all(word in line for word in words)]
        assert fits, f"no response is prepared for {line}"
        return fits[-1]

    def _together(self) -> Mapping[str, Sequence[object]]:
        """Let each kind be read alone."""
        return {}

    def when(self, *words: str, out: object = "", error: str = "") -> None:
        """Prepare a response."""
        text = out if isinstance(out, str) else json.dumps(out)
        self.answers.append((words, ProcessResult([], 1 if error else 0, text, error)))

    def lists(self, kind: str, *items: object) -> None:
        """Prepare the list of a kind."""
        self.when("get", kind, out={"items": list(items)})


@cache
def root() -> Signer:
    """The authority of all clusters."""
    return authority("root CA")


@cache
def intermediate(cluster: str) -> Signer:
    """An authority of a cluster."""
    return authority(f"{cluster} intermediate CA", root(), 1825)


def secret(data: Mapping[str, str]) -> dict[str, object]:
    """The Secret `cacerts` as the API server returns it."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts"}, "data": data}


def fake(cluster: ClusterUnderTest) -> FakeKubectl:
    """The fake kubectl of a cluster."""
    assert isinstance(cluster.kubectl, FakeKubectl)
    return cluster.kubectl


def context(stack: str = "east-west") -> Context:
    """A committed stack with correct cacerts; no other response is prepared."""
    return staged(loader.read(ROOT / f"Pulumi.{stack}.yaml"), stack)


def staged(federation: Federation, stack: str) -> Context:
    """Any federation with correct cacerts; no other response is prepared."""
    clusters = {}
    for name, planned in plan(federation, stack).clusters.items():
        signer, trusted = intermediate(name), fingerprint(root().chain[0])
        made = TrustOutput(authority=fingerprint(signer.chain[0]), root=trusted, trusted=(trusted,))
        gateway = planned.addresses or ("198.51.100.7",)
        kubeconfig, domain = f"kubeconfigs/{stack}/{name}", planned.declared.trust_domain
        output = ClusterOutput(name=f"{name}-0", kubeconfig=kubeconfig, gateway=gateway, trust_domain=domain)
        kubectl = FakeKubectl(name, Path(output.kubeconfig), {})
        clusters[name] = ClusterUnderTest(planned, output, made, kubectl, (kubectl,), UID)
        fake(clusters[name]).when("get", "secret", "cacerts", out=secret(cacerts(signer, root().chain)))
    return Context(federation, clusters)


def pod(name: str, namespace: str, account: str = "", ip: str = "10.10.0.9", proxy: bool = True) -> dict[str, object]:
    """A running pod."""
    containers = [{"name": name}, *([{"name": "istio-proxy"}] if proxy else [])]
    return {
        "metadata": {"name": f"{name}-0", "namespace": namespace, "labels": {"app": name}},
        "spec": {"serviceAccountName": account or name, "containers": containers},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def workload_certificate(signer: Signer, uri: str) -> bytes:
    """A certificate as istiod issues it to a pod."""
    return issue(signer, uri).chain
