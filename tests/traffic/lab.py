"""A federation with real traffic, and the questions that tests ask of it."""

import contextlib
import json
import re
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from tests.checkout import Checkout, Result, eventually
from tests.traffic.containers import Containers
from tests.traffic.nodes import Nodes
from tests.traffic.processes import Processes

STACK = "east-west"
URL = "http://httpbin.httpbin.svc.cluster.local:8000"
SNI = "outbound_.{port}_._.{host}"
"""How Istio asks a gateway for a service; any other name, port or ALPN gets no certificate."""

SERIES = 20
"""Calls that go through every connection which a proxy keeps: it has a few."""
PATIENCE = 180
"""Seconds for a change to reach every connection of a busy machine's proxies: 45 were seen."""

NODES: Mapping[str, type[Nodes]] = {"native": Processes, "kind": Containers}
"""What nodes are, by provider."""


@dataclass(frozen=True)
class Reply:
    """What a call came to.

    Attributes:
        status: of HTTP; 0 when the connection failed.
        body: of the answer.
        error: why the connection failed.
    """

    status: int
    body: str
    error: str = ""

    @property
    def identities(self) -> dict[str, str]:
        """The caller (URI) and the server (By) as the server's proxy saw them."""
        return dict(re.findall(r"\b(By|URI)=(spiffe://[^;,\"]+)", self.body))


@dataclass(frozen=True)
class Lab:
    """A federation that runs.

    Attributes:
        checkout: from which it is run.
        provider: of all of its clusters.
    """

    checkout: Checkout
    provider: str = "kwok"

    @property
    def nodes(self) -> Nodes:
        """Its nodes, and what can befall them."""
        return NODES[self.provider](self.checkout)

    def call(self, cluster: str, namespace: str, url: str = f"{URL}/headers", deployment: str = "sleep") -> Reply:
        """Make one request from a sample, on a new connection to its own proxy."""
        return self.calls(cluster, namespace, 1, url, deployment)[0]

    def calls(
        self, cluster: str, namespace: str, count: int, url: str = f"{URL}/headers", deployment: str = "sleep"
    ) -> list[Reply]:
        """Make requests from a sample, one after the other, in one go."""
        script = (
            'for i in $(seq "$1"); do curl -sS -m 5 -o /tmp/body -w "%{http_code}" "$2" 2>/tmp/error || true;'
            ' printf "\\037"; cat /tmp/body; printf "\\037"; cat /tmp/error; printf "\\036"; rm -f /tmp/body; done'
        )
        pod = ["exec", f"--namespace={namespace}", f"deployment/{deployment}", "-c", "sleep"]
        done = self.kubectl(cluster, *pod, "--", "sh", "-c", script, "sh", str(count), url, limit="0")
        assert done.code == 0, done.text
        replies = [part.split("\x1f") for part in done.stdout.split("\x1e") if part]
        return [Reply(int(status), body, error) for status, body, error in replies]

    def settled(self, cluster: str, namespace: str, status: int) -> bool:
        """Say whether a series of calls comes to one status: after a change proxies keep connections for a while."""
        return {reply.status for reply in self.calls(cluster, namespace, SERIES)} == {status}

    def servers(self, cluster: str, namespace: str, count: int) -> Counter[str]:
        """Count which pods answered a number of calls; empty name: no answer."""
        replies = self.calls(cluster, namespace, count, f"{URL}/hostname")
        return Counter(json.loads(each.body)["hostname"] if each.status == 200 else "" for each in replies)

    def kubectl(self, cluster: str, *arguments: str, limit: str = "20s", stdin: str = "") -> Result:
        """Ask a cluster's API server."""
        made = self.checkout
        file = made.home / "kubeconfigs" / made.stack / cluster
        command = [str(made.toolchain.bin / "kubectl"), f"--kubeconfig={file}", f"--request-timeout={limit}"]
        done = subprocess.run(
            [*command, *arguments], env=made.ambient, input=stdin, capture_output=True, text=True, timeout=900,
            check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def ask(self, cluster: str, *arguments: str, limit: str = "20s", stdin: str = "") -> str:
        """Ask a cluster's API server for something that must succeed."""
        done = self.kubectl(cluster, *arguments, limit=limit, stdin=stdin)
        assert done.code == 0, done.text
        return done.stdout

    def said_by_proxy(self, cluster: str, namespace: str) -> str:
        """The last lines of a sample's proxy; each failed call is one, with the reason."""
        proxy = [f"--namespace={namespace}", "deployment/sleep", "--container=istio-proxy"]
        return self.ask(cluster, "logs", *proxy, "--tail=20")

    def refused_by_proxy(self, cluster: str, namespace: str) -> str:
        """The last calls of a sample that its proxy did not answer with 200, with the reason of each."""
        proxy = [f"--namespace={namespace}", "deployment/sleep", "--container=istio-proxy"]
        calls = (line for line in self.ask(cluster, "logs", *proxy, "--tail=5000").splitlines() if '"GET ' in line)
        return "\n".join([line for line in calls if ' HTTP/1.1" 200 ' not in line][-20:])

    def pods(self, cluster: str) -> dict[str, str]:
        """Pods that are there to stay, by namespace/name, with their identity."""
        items = json.loads(self.ask(cluster, "get", "pods", "--all-namespaces", "--output=json"))["items"]
        staying = (item["metadata"] for item in items if "deletionTimestamp" not in item["metadata"])
        return {f"{each['namespace']}/{each['name']}": each["uid"] for each in staying}

    def newest(self, cluster: str, namespace: str) -> str:
        """Name of the youngest pod of the sample sleep that is ready and there to stay."""
        pods = ["pods", f"--namespace={namespace}", "--selector=app=sleep", "--field-selector=status.phase=Running"]
        items = json.loads(self.ask(cluster, "get", *pods, "--output=json"))["items"]
        staying = [item for item in items if "deletionTimestamp" not in item["metadata"]]
        ready = [item for item in staying if all(each["ready"] for each in item["status"]["containerStatuses"])]
        return str(max(ready, key=lambda item: item["metadata"]["creationTimestamp"])["metadata"]["name"])

    def image(self, sample: str) -> str:
        """Image of a sample."""
        path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
        return self.ask("east", "get", "deployment", sample, f"--namespace={sample}", path)

    def scaled(self, cluster: str, namespace: str, deployment: str, replicas: int) -> None:
        """Scale by hand, and wait until the pods are there or gone."""
        self.ask(cluster, "scale", f"--namespace={namespace}", f"deployment/{deployment}", f"--replicas={replicas}")
        self.ask(cluster, "rollout", "status", f"--namespace={namespace}", f"deployment/{deployment}", "--timeout=120s")

    def changes(self, *arguments: str) -> dict[str, str]:
        """What a preview would do, by the name of the resource."""
        steps = [step for step in self.checkout.preview("", *arguments) if step["op"] not in ("same", "refresh")]
        return {str(step["urn"]).rpartition("::")[2]: str(step["op"]) for step in steps}

    def restore(self, federation: object) -> None:
        """Bring back what was declared before a test, until callers are answered as before."""
        self.checkout.declare(federation)
        self.checkout.up("--refresh")
        eventually(partial(self.settled, "east", "sleep", 200), PATIENCE)

    def node_address(self, cluster: str) -> str:
        """Address of a cluster's first node, as its API server has it."""
        path = '--output=jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'
        return self.ask(cluster, "get", "nodes", path)

    def gateway(self, cluster: str) -> str:
        """Address of a cluster's gateway, as the stack's output has it."""
        gateways = self.checkout.clusters()[cluster]["gateway"]
        assert isinstance(gateways, list)
        return str(gateways[0])

    def certificate(self, cluster: str, host: str, port: int, alpn: str = "istio") -> bytes | None:
        """Ask a gateway for a service, from outside all clusters; None when it shows no certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        with contextlib.suppress(OSError), self._handshake(context, cluster, host, port) as secured:
            return secured.getpeercert(binary_form=True)
        return None

    def refuses(self, cluster: str, host: str, port: int, certificate: Path, key: Path) -> bool:
        """Say whether a service behind a gateway ends the connection of a client with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["istio"])
        context.load_cert_chain(certificate, key)
        try:
            with self._handshake(context, cluster, host, port) as secured:
                secured.sendall(b"GET /headers HTTP/1.1\r\nHost: httpbin\r\n\r\n")
                return not secured.recv(1)
        except OSError:
            return True

    @contextmanager
    def _handshake(self, context: ssl.SSLContext, cluster: str, host: str, port: int) -> Iterator[ssl.SSLSocket]:
        name = SNI.format(port=port, host=host)
        with (
            self.nodes.connect(self.gateway(cluster), 15443, 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            yield secured

    def errors(self, cluster: str) -> list[str]:
        """What `istioctl analyze` calls an error among a cluster's objects; it must be on the search path.

        It is handed the objects: told of a cluster, it would follow remote secrets to addresses that containers alone
        reach.
        """
        kinds = self.ask(cluster, "api-resources", "--verbs=list", "--namespaced", "--output=name").split()
        istios = [kind for kind in kinds if kind.endswith((".istio.io", "gateway.networking.k8s.io"))]
        listed = ",".join(["namespaces", "services", "pods", "deployments.apps", *istios])
        objects = json.loads(self.ask(cluster, "get", listed, "--all-namespaces", "--output=json"))["items"]
        command = ["istioctl", "analyze", "--use-kube=false", "--all-namespaces", "--output=json", "-"]
        stream = yaml.safe_dump_all(objects)
        done = subprocess.run(command, input=stream, capture_output=True, text=True, timeout=300, check=False)
        found = json.loads(done.stdout or "[]") or []
        assert done.returncode == 0 or found, done.stderr
        return [f"{each['origin']}: {each['message']}" for each in found if each["level"] == "Error"]

    @contextmanager
    def edited(self) -> Iterator[dict[str, object]]:
        """Change what the stack declares."""
        federation = self.checkout.declared()
        yield federation
        self.checkout.declare(federation)


@contextmanager
def brought_up(made: Checkout, provider: str) -> Iterator[Lab]:
    """Bring a checkout's stack up; `down` leaves nothing of it."""
    lab = Lab(made, provider)
    before = lab.nodes.on_machine()
    try:
        made.up()
        yield lab
    finally:
        made.down()
        assert not made.stack_exists()
        assert lab.nodes.on_machine() <= before
