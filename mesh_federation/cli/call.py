"""`mesh call`: sends one real request for each import or discovered service that a sample may call.

It shows the identities of caller and server that the server's proxy saw (X-Forwarded-Client-Cert).
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mesh_federation import process
from mesh_federation.cli import stacks
from mesh_federation.cli.streams import say, tell
from mesh_federation.engine import clusters
from mesh_federation.plan.calls import Call, answering, calls
from mesh_federation.stack.config import Federation
from mesh_federation.verify.troubleshooting import remedy
from mesh_federation.verify.xfcc import identities

PATIENCE = 60
"""Seconds until a call must succeed: proxies receive a change within a few."""


@dataclass(frozen=True)
class CallResult:
    """The result of a call.

    Attributes:
        status: HTTP status; 0 if there was no response.
        seconds: duration of the call.
        body: body of the response, or the error of curl or kubectl.
    """

    status: int
    seconds: float
    body: str


def call_stack(stack: str, overlay: Path | None) -> int:
    """Make every possible call of a stack; returns the exit status of the command."""
    workspace = stacks.checkout(stack, overlay)
    federation = stacks.valid(workspace, stack)
    tools = stacks.toolchain(stacks.providers(federation))
    if any(cluster.is_existing for cluster in federation.clusters.values()):
        clusters.refresh_kubeconfigs(stacks.engine(workspace, stack, tools), federation, tell)
    environment = {**workspace.ambient, **workspace.environment(tools)}
    return call(federation, workspace.home / "kubeconfigs" / stack, environment, Console())


def call(federation: Federation, kubeconfigs: Path, environment: Mapping[str, str], console: Console) -> int:
    """Make every possible call and print its result.

    Args:
        federation: the declared federation.
        kubeconfigs: folder with one kubeconfig for each cluster.
        environment: environment variables of kubectl.
        console: console for the results.

    Returns:
        0 if every call got status 200, 1 if one did not, 2 if no call is possible.
    """
    wanted = list(calls(federation))
    if not wanted:
        say(
            console,
            "no call is possible: no import and no discovered service has a sample `sleep` that may call it,"
            " on a cluster that runs pods",
        )
        return 2
    failed = 0
    for each in wanted:
        answer = _settled(each, kubeconfigs / each.cluster, environment, console)
        failed += answer.status != 200
        say(console, report(each, answer, answering(federation, each)))
    return 1 if failed else 0


def report(made: Call, answer: CallResult, may_answer: Mapping[str, str]) -> str:
    """Describe the result of a call.

    Args:
        made: the call.
        answer: its result.
        may_answer: trust domains of the clusters that may have answered, by cluster.
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
    """Repeat a call until it gets status 200 or the time is over."""
    deadline = time.monotonic() + PATIENCE
    with console.status(f"{made.cluster} calls {made.source} ..."):
        while (answer := _request(made, kubeconfig, environment)).status != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
    return answer


def _request(made: Call, kubeconfig: Path, environment: Mapping[str, str]) -> CallResult:
    pod = ["exec", f"--namespace={made.caller.namespace}", f"deployment/{made.caller.name}", "-c", made.caller.name]
    curl = ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{json}", made.url]
    command = ["kubectl", f"--kubeconfig={kubeconfig}", "--request-timeout=15s", *pod, "--", *curl]
    try:
        done = process.run(command, environment=environment, timeout=30)
    except process.ProgramTimeout:
        return CallResult(0, 30, f"cluster {made.cluster} did not answer within 30 s")
    body, _, told = done.stdout.rpartition("\n")
    try:
        figures = json.loads(told)
        return CallResult(int(figures["http_code"]), float(figures["time_total"]), body or done.stderr)
    except (ValueError, KeyError, TypeError):
        return CallResult(0, 0.0, done.stderr)
