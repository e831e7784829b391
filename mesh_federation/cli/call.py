"""`mesh call`: one real request for each import or discovery that a sample can use, with who called and who answered.

The identities are those that the server's own proxy saw (X-Forwarded-Client-Cert), not those that the model hopes for.
"""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mesh_federation.plan.calls import Call, answering, calls
from mesh_federation.stack.config import Federation
from mesh_federation.verify.troubleshooting import remedy
from mesh_federation.verify.xfcc import identities

PATIENCE = 60
"""Seconds until a call must succeed: proxies learn of a change within a few."""


@dataclass(frozen=True)
class CallResult:
    """What came back.

    Attributes:
        status: of HTTP; 0 when there was none.
        seconds: from the request to the answer's last byte.
        body: of the answer, or the caller's complaint.
    """

    status: int
    seconds: float
    body: str


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
        _say(console, report(each, answer, answering(federation, each)))
    return 1 if failed else 0


def report(made: Call, answer: CallResult, may_answer: Mapping[str, str]) -> str:
    """Write what came of a call for a person.

    Args:
        made: the call.
        answer: what came back.
        may_answer: clusters that may have answered, with their trust domains.
    """
    head = f"{made.cluster}: {made.caller} calls {made.url}"
    if answer.status != 200:
        said = answer.body.strip() or "no answer"
        return f"{head}\n  {answer.status or 'failed'}: {said}\n  -> {remedy(made, said)}"
    seen = identities(answer.body)
    server = seen.get("By", "")
    by = [name for name, domain in may_answer.items() if server.startswith(f"spiffe://{domain}/")]
    return (
        f"{head}\n  200 from {' or '.join(by) or 'an unknown server'} in {answer.seconds:.3f} s\n"
        f"  caller, as the server saw it  {seen.get('URI', 'unknown')}\n"
        f"  server                        {server or 'unknown'}"
    )


def _settled(made: Call, kubeconfig: Path, environment: Mapping[str, str], console: Console) -> CallResult:
    """Call until it is answered with 200, or long enough."""
    deadline = time.monotonic() + PATIENCE
    with console.status(f"{made.cluster} calls {made.source} ..."):
        while (answer := _request(made, kubeconfig, environment)).status != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
    return answer


def _request(made: Call, kubeconfig: Path, environment: Mapping[str, str]) -> CallResult:
    pod = ["exec", f"--namespace={made.caller.namespace}", f"deployment/{made.caller.name}", "-c", made.caller.name]
    curl = ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{json}", made.url]
    try:
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=15s", *pod, "--", *curl],
            env=dict(environment), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return CallResult(0, 30, f"cluster {made.cluster} did not answer within 30 s")
    body, _, told = done.stdout.rpartition("\n")
    try:
        figures = json.loads(told)
        return CallResult(int(figures["http_code"]), float(figures["time_total"]), body or done.stderr)
    except (ValueError, KeyError, TypeError):
        return CallResult(0, 0.0, done.stderr)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
