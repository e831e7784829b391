"""A federation whose clusters answer as a test says: the plan is real, the clusters are not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mesh_federation import loader
from mesh_federation.plan.federation import plan
from mesh_federation.stack.config import Federation
from mesh_federation.verify.certificates import Signer, fingerprint, issue
from mesh_federation.verify.certificates import pem as pem
from mesh_federation.verify.cluster import ANSWER_SECONDS, Asked, Cluster
from mesh_federation.verify.context import ClusterUnderTest, Context, Fingerprints, Running
from tests.authorities import authority, cacerts
from tests.unit.components.recorder import ROOT

UID = "1a2b3c"
"""Of the namespace of Istio in every cluster."""
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
    return authority("root CA")


@cache
def intermediate(cluster: str) -> Signer:
    """An authority of a cluster."""
    return authority(f"{cluster} intermediate CA", root(), 1825)


def secret(data: Mapping[str, str]) -> dict[str, object]:
    """The Secret `cacerts`, as the API server gives it."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts"}, "data": data}


def told(site: ClusterUnderTest) -> Told:
    """The cluster of a site, to say what it answers."""
    assert isinstance(site.cluster, Told)
    return site.cluster


def scene(stack: str = "east-west") -> Context:
    """A committed stack whose trust is as it should be; nothing else is said yet."""
    return staged(loader.read(ROOT / f"Pulumi.{stack}.yaml"), stack)


def staged(federation: Federation, stack: str) -> Context:
    """The same of any federation."""
    sites = {}
    for name, planned in plan(federation, stack).clusters.items():
        signer, trusted = intermediate(name), fingerprint(root().chain[0])
        made = Fingerprints(authority=fingerprint(signer.chain[0]), root=trusted, trusted=(trusted,))
        gateway = planned.addresses or ("198.51.100.7",)
        running = Running(name=f"{name}-0", kubeconfig=f"kubeconfigs/{stack}/{name}", gateway=gateway)
        cluster = Told(name, Path(running.kubeconfig), {})
        sites[name] = ClusterUnderTest(planned, running, made, cluster, (cluster,), UID)
        told(sites[name]).when("get", "secret", "cacerts", out=secret(cacerts(signer, root().chain)))
    return Context(federation, sites)


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
