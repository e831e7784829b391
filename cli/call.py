"""`mesh call`: one real request for each import or discovery that a sample can use, with who called and who answered.

The identities are those that the server's own proxy saw (X-Forwarded-Client-Cert), not those that the model hopes for.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from model.config import Discovery, Federation, Import, NamespacedName, Provisioner, Workload
from model.samples import SAMPLES

PATIENCE = 60
"""Seconds until a call must succeed: proxies learn of a change within a few."""

REPAIRS = "./mesh up --refresh puts back what somebody removed or changed"
STARTS = "./mesh up starts what stopped and makes anew what is gone"
MEANINGS = {
    "RBAC: access denied": "{source} refuses {caller}: name it under `to` of the export, then ./mesh up",
    "CERTIFICATE_VERIFY_FAILED|TLS_error": (
        "{cluster} and {source} do not accept each other's certificates: ./mesh up applies what is declared;"
        f" {REPAIRS}"
    ),
    "Could not resolve host": f"{{cluster}} does not know the host: ./mesh up applies what is declared; {REPAIRS}",
    "upstream connect error|no healthy upstream|upstream request timeout|timed out": (
        f"{{cluster}} does not reach the gateway of {{source}}: {STARTS}, and reconnects it; {REPAIRS};"
        " where neither helps, look for a firewall between their nodes"
    ),
    "connect to the server|connection to the server|dialing backend|did not answer": (
        f"cluster {{cluster}} does not answer: {STARTS}"
    ),
}
"""What it means that a call fails, by a pattern of what curl, Envoy or kubectl says then."""
ANYTHING = f"{REPAIRS}; ./mesh doctor looks at this machine"

_IDENTITY = re.compile(r"\b(By|URI)=(spiffe://[^;,\"]+)")


@dataclass(frozen=True)
class Call:
    """A request from a sample to a service of another cluster.

    Attributes:
        cluster: the calling cluster: it imports the service, or discovers the other cluster.
        caller: namespace and name of the sample that calls.
        source: the cluster that answers.
        url: what it asks for.
    """

    cluster: str
    caller: NamespacedName
    source: str
    url: str


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP; 0 when there was none.
        seconds: from the request to the answer's last byte.
        body: of the answer, or the caller's complaint.
    """

    status: int
    seconds: float
    body: str

    @property
    def identities(self) -> dict[str, str]:
        """SPIFFE identities of the caller (URI) and the server (By), as the server's proxy saw them."""
        return dict(_IDENTITY.findall(self.body))


def calls(federation: Federation) -> Iterator[Call]:
    """Decide who can call what: each import or discovery that a sample may use, on clusters that run pods."""
    yield from _of_imports(federation)
    yield from _of_discovered(federation)


def _of_imports(federation: Federation) -> Iterator[Call]:
    for link in federation.imports:
        if federation.clusters[link.cluster].provisioner is Provisioner.KWOK:
            continue
        export = next(e for e in federation.exports if (e.cluster, e.service) == (link.source, link.service))
        if callers := _callers(federation, link):
            yield Call(link.cluster, callers[0], link.source, f"http://{link.host}:{export.ports[0].number}/headers")


def _of_discovered(federation: Federation) -> Iterator[Call]:
    """Call by plain DNS, as walk-through 004 does: the name that the service has in its own cluster."""
    for link in federation.discovery:
        if federation.clusters[link.cluster].provisioner is Provisioner.KWOK:
            continue
        callers = [w.reference for w in federation.workloads if (w.cluster, w.sample) == (link.cluster, "sleep")]
        called = [w for w in federation.workloads if (w.cluster, w.sample) == (link.of, "httpbin")]
        for service in (w.reference for w in called if callers and _only_there(federation, link, w)):
            url = f"http://{service.name}.{service.namespace}:{SAMPLES['httpbin'].port}/headers"
            yield Call(link.cluster, callers[0], link.of, url)


def _only_there(federation: Federation, link: Discovery, called: Workload) -> bool:
    """Say whether no other cluster that the caller sees could answer: services of one name are one service."""
    seen = {link.cluster, *(other.of for other in federation.discovery if other.cluster == link.cluster)}
    return seen & {w.cluster for w in federation.workloads if w.reference == called.reference} == {link.of}


def _callers(federation: Federation, link: Import) -> Sequence[NamespacedName]:
    """Return the samples whose identity the export admits."""
    export = next(e for e in federation.exports if (e.cluster, e.service) == (link.source, link.service))
    consumers = [consumer for consumer in export.to if consumer.cluster == link.cluster]
    return [
        workload.reference
        for workload in federation.workloads
        if (workload.cluster, workload.sample) == (link.cluster, "sleep")
        and any(c.service_accounts is None or workload.reference in c.service_accounts for c in consumers)
    ]


def call(federation: Federation, kubeconfigs: Path, environment: Mapping[str, str], console: Console) -> int:
    """Make every call that can be made and print what came of it.

    Args:
        federation: the model.
        kubeconfigs: folder with a kubeconfig for each cluster.
        environment: in which kubectl is found.
        console: to print on.

    Returns:
        0 when every call was answered with 200, 1 when one was not, 2 when there was none to make.
    """
    wanted = list(calls(federation))
    if not wanted:
        _say(
            console,
            "nothing can be called: no import and no discovered service has a sample `sleep` that may use it, on a"
            " cluster that runs pods",
        )
        return 2
    failed = 0
    for each in wanted:
        answer = _settled(each, kubeconfigs / each.cluster, environment, console)
        failed += answer.status != 200
        _say(console, report(each, answer))
    return 1 if failed else 0


def hint(made: Call, said: str) -> str:
    """Tell what to do about a call that failed, by what came back instead of an answer."""
    meaning = next((known for sign, known in MEANINGS.items() if re.search(sign, said)), ANYTHING)
    return meaning.format(cluster=made.cluster, source=made.source, caller=made.caller)


def report(made: Call, answer: Answer) -> str:
    """Write what came of a call for a person."""
    head = f"{made.cluster}: {made.caller} calls {made.url}"
    if answer.status != 200:
        said = answer.body.strip() or "no answer"
        return f"{head}\n  {answer.status or 'failed'}: {said}\n  -> {hint(made, said)}"
    seen = answer.identities
    return (
        f"{head}\n  200 from {made.source} in {answer.seconds:.3f} s\n"
        f"  caller, as the server saw it  {seen.get('URI', 'unknown')}\n"
        f"  server                        {seen.get('By', 'unknown')}"
    )


def _settled(made: Call, kubeconfig: Path, environment: Mapping[str, str], console: Console) -> Answer:
    """Call until it is answered with 200, or long enough."""
    deadline = time.monotonic() + PATIENCE
    with console.status(f"{made.cluster} calls {made.source} ..."):
        while (answer := _request(made, kubeconfig, environment)).status != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
    return answer


def _request(made: Call, kubeconfig: Path, environment: Mapping[str, str]) -> Answer:
    pod = ["exec", f"--namespace={made.caller.namespace}", f"deployment/{made.caller.name}", "-c", made.caller.name]
    curl = ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{json}", made.url]
    try:
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=15s", *pod, "--", *curl],
            env=dict(environment), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Answer(0, 30, f"cluster {made.cluster} did not answer within 30 s")
    body, _, told = done.stdout.rpartition("\n")
    try:
        figures = json.loads(told)
        return Answer(int(figures["http_code"]), float(figures["time_total"]), body or done.stderr)
    except (ValueError, KeyError, TypeError):
        return Answer(0, 0.0, done.stderr)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
