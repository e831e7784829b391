"""The owner of an Istio that is there already: installs it with Helm, and runs workloads and traffic of its own."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mesh_federation.plan.istio_values import RELEASES, WITHOUT_EXTENSIONS
from mesh_federation.stack.tree import merged
from mesh_federation.verify.certificates import Signer
from tests.authorities import cacerts
from tests.checkout import Checkout, Result, eventually
from tests.traffic import kit

RELEASE = "1.31.0"
SYSTEM = "istio-system"
VOLATILE = frozenset({"EndpointSlice", "Event", "IPAddress", "Lease"})
"""Kinds that a cluster makes and changes by itself."""
ELECTIONS = frozenset({"istio-ip-autoallocate", "istio-leader", "istio-namespace-controller-election"})
"""ConfigMaps by which istiods choose a leader every few seconds."""
Objects = Mapping[tuple[str, str, str], Mapping[str, object]]

LOOP = """
while [ ! -e /tmp/stop ]; do
    curl -sS -m 10 -o /dev/null -w "%{http_code}\\n" "$1" 2>/dev/null || true
    sleep 0.1
done
rm -f /tmp/stop
"""


@dataclass
class Traffic:
    """The statuses of an owner's own calls."""

    statuses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Owner:
    """Somebody who runs Istio in a cluster.

    Attributes:
        checkout: through which the cluster was made.
        cluster: its logical name.
        provider: of the cluster.
        values: of the chart istiod, beyond what this machine needs.
        signer: the authority that istiod signs with; None: it makes one by itself.
        link_namespace: where stacks of others put what links share.
    """

    checkout: Checkout
    cluster: str
    provider: str
    values: Mapping[str, Any] = field(default_factory=dict)
    signer: Signer | None = None
    link_namespace: str = SYSTEM

    @property
    def system(self) -> str:
        """The namespace in which Istio is installed."""
        return str(self.values.get("global", {}).get("istioNamespace", SYSTEM))

    @property
    def kubeconfig(self) -> Path:
        """The owner's own way to the cluster."""
        return self.checkout.home / "kubeconfigs" / self.checkout.stack / self.cluster

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Ask the API server for something that must succeed."""
        done = self._run("kubectl", *arguments, stdin=stdin)
        assert done.code == 0, done.text
        return done.stdout

    def apply(self, manifests: str) -> None:
        """Make objects, or change them."""
        self.kubectl("apply", "--filename=-", stdin=manifests)

    def hires(self, namespace: str, account: str) -> dict[str, object]:
        """Make an account that may do nothing yet, and return its own kubeconfig."""
        for kind, *place in (("namespace", namespace), ("serviceaccount", account, f"--namespace={namespace}")):
            self.apply(self.kubectl("create", kind, *place, "--dry-run=client", "--output=yaml"))
        token = self.kubectl("create", "token", account, f"--namespace={namespace}", "--duration=3h").strip()
        own = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--output=json"))
        return {**own, "users": [{"name": own["users"][0]["name"], "user": {"token": token}}]}

    def allows(self, namespace: str, account: str, verb: str, resource: str, where: str) -> bool:
        """Say whether an account may do something in a namespace."""
        subject = f"--as=system:serviceaccount:{namespace}:{account}"
        return self._run("kubectl", "auth", "can-i", verb, resource, subject, f"--namespace={where}").code == 0

    @contextmanager
    def forbidding_filters(self) -> Iterator[None]:
        """Admit no EnvoyFilter until the block ends, as managed meshes do."""
        group, resource, api = "networking.istio.io", "envoyfilters", "admissionregistration.k8s.io/v1"
        metadata = {"name": f"no-{resource}"}
        rule = {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": [resource],
        }
        policy = {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "false", "message": f"no {resource} here"}],
            },
        }
        binding = {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": metadata["name"], "validationActions": ["Deny"]},
        }
        self.apply(json.dumps(policy))
        self.apply(json.dumps(binding))
        probe = json.dumps(
            {
                "apiVersion": f"{group}/v1alpha3",
                "kind": "EnvoyFilter",
                "metadata": {"name": "probe", "namespace": "default"},
                "spec": {},
            }
        )
        eventually(lambda: self._run("kubectl", "create", "--dry-run=server", "--filename=-", stdin=probe).code != 0)
        try:
            yield
        finally:
            for each in (binding, policy):
                self.kubectl("delete", "--filename=-", stdin=json.dumps(each))

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> None:
        """Run Helm; it must succeed."""
        done = self._run("helm", *arguments, *(["--values=-"] if values is not None else []), stdin=json.dumps(values))
        assert done.code == 0, done.text

    def _run(self, program: str, *arguments: str, stdin: str = "") -> Result:
        command = [str(self.checkout.toolchain.bin / program), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(
            command, env=self.checkout.ambient, input=stdin, capture_output=True, text=True, timeout=600, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def installs(self, **changed: object) -> None:
        """Install Istio as its guide does, or upgrade it: the charts base and istiod, nothing else."""
        charts, values = self._charts()
        own = merged(values, merged(self.values, changed))
        revision = str(own.get("revision", ""))
        place = [f"--namespace={self.system}", "--create-namespace"]
        validated = {"defaultRevision": revision or "default", "global": {"istioNamespace": self.system}}
        if self.signer:
            self._provide(self.signer)
        self.helm("upgrade", "--install", "istio-base", f"{charts}/base", *place, values=validated)
        name = f"istiod-{revision}" if revision else "istiod"
        wait = ["--wait", "--timeout=300s"]
        self.helm("upgrade", "--install", name, f"{charts}/istiod", *place, *wait, values=own)

    def _provide(self, signer: Signer) -> None:
        metadata = {"name": "cacerts", "namespace": self.system}
        data = cacerts(signer, [signer.chain[-1]])
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.system}}))
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}))

    def installs_gateway(self, values: Mapping[str, Any]) -> None:
        """Install an east-west gateway as Istio's guide for several networks does."""
        charts, _ = self._charts()
        lab: Any = kit.overlay().get("istio") if self.provider == "kind" else None
        present = {"imagePullPolicy": "IfNotPresent"}  # the image that injection writes is nowhere else
        own = merged({**lab["gatewayValues"], **present} if lab else {}, values)
        place = [f"--namespace={self.system}", "--wait", "--timeout=300s"]
        self.helm("upgrade", "--install", "istio-eastwestgateway", f"{charts}/gateway", *place, values=own)

    def refuses_plaintext(self) -> None:
        """Write the policy for the whole mesh that refuses plaintext."""
        metadata = {"name": "default", "namespace": self.values["meshConfig"].get("rootNamespace", self.system)}
        spec = {"mtls": {"mode": "STRICT"}}
        policy = {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": metadata,
            "spec": spec,
        }
        self.apply(json.dumps(policy))

    def _charts(self) -> tuple[str, Mapping[str, Any]]:
        """Return the charts and the values with which Istio runs on this machine."""
        lab: Any = kit.overlay().get("istio") if self.provider == "kind" else None
        if lab:
            return str(lab["charts"]), lab["values"]
        images = {"global": {"hub": RELEASES, "tag": RELEASE}}
        bare = {"telemetry": {"enabled": False}, "env": WITHOUT_EXTENSIONS, "pilot": {"env": WITHOUT_EXTENSIONS}}
        return str(self.checkout.toolchain.charts), {**images, **(bare if self.provider == "native" else {})}

    def runs(self, manifests: str) -> None:
        """Apply manifests, and wait until all Deployments run."""
        self.apply(manifests)
        for each in yaml.safe_load_all(manifests):
            if each["kind"] == "Deployment":
                metadata = each["metadata"]
                name, namespace = f"deployment/{metadata['name']}", f"--namespace={metadata['namespace']}"
                self.kubectl("rollout", "status", name, namespace, "--timeout=300s")

    def objects(self) -> Objects:
        """Everything in the cluster, but for what it changes by itself; status and bookkeeping left out."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--output=name").split()
        skipped = ("events", "leases", "componentstatuses", "endpoints", "metrics")
        listed = ",".join(
            kind for kind in kinds if not kind.startswith(skipped) and not kind.endswith("metrics.k8s.io")
        )
        items = json.loads(self.kubectl("get", listed, "--all-namespaces", "--output=json"))["items"]
        found = {}
        for item in items:
            metadata = item["metadata"]
            if item["kind"] in VOLATILE or metadata["name"] in ELECTIONS:
                continue
            for key in ("resourceVersion", "managedFields"):
                metadata.pop(key, None)
            item.pop("status", None)
            found[item["kind"], metadata.get("namespace", ""), metadata["name"]] = item
        return found

    @contextmanager
    def calling(self, url: str) -> Iterator[Traffic]:
        """Let a workload of its own call another one until the block ends."""
        traffic = Traffic()
        command = [str(self.checkout.toolchain.bin / "kubectl"), f"--kubeconfig={self.kubeconfig}"]
        pod = ["exec", "--namespace=sleep", "deployment/sleep", "-c", "sleep", "--"]
        loop = subprocess.Popen(
            [*command, *pod, "sh", "-c", LOOP, "sh", url], env=self.checkout.ambient, stdout=subprocess.PIPE, text=True
        )
        try:
            yield traffic
        finally:
            self.kubectl(*pod, "touch", "/tmp/stop")
            told, _ = loop.communicate(timeout=60)
            traffic.statuses += told.split()


def changed(before: Objects, after: Objects) -> list[str]:
    """Name the objects that are not as they were."""
    return sorted(
        f"{'gone' if key not in after else 'changed'}: {' '.join(key)}"
        for key, body in before.items()
        if after.get(key) != body
    )
