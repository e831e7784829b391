"""Which objects had a host at which moment, as a cluster's store orders its changes."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.checkout import Checkout, eventually

KINDS = ("services", "serviceentries.networking.istio.io")


@dataclass(frozen=True, order=True)
class Change:
    """An owner of the host came, changed or went.

    Attributes:
        revision: of the cluster's store: one sequence for all kinds.
        gone: whether this is its end.
        owner: its kind.
    """

    revision: int
    gone: bool
    owner: str


@contextmanager
def watching(checkout: Checkout, cluster: str, host: str) -> Iterator[list[Change]]:
    """Follow the owners of a host; the list is filled, in order, when the block is left."""
    kubeconfig = checkout.home / "kubeconfigs" / checkout.stack / cluster
    kubectl = [str(checkout.toolchain.bin / "kubectl"), f"--kubeconfig={kubeconfig}", "get", "--all-namespaces"]
    changes: list[Change] = []

    def listed() -> set[str]:
        get = [*kubectl, ",".join(KINDS), "--output=json"]
        done = subprocess.run(get, env=checkout.ambient, capture_output=True, text=True, check=True)
        return {item["kind"] for item in json.loads(done.stdout)["items"] if _has(item, host)}

    with TemporaryDirectory() as folder, ExitStack() as watches:
        logs = [Path(folder, kind) for kind in KINDS]
        for log in logs:
            watch = [*kubectl, log.name, "--watch", "--output-watch-events", "--output=json"]
            process = subprocess.Popen(watch, env=checkout.ambient, stdout=watches.enter_context(log.open("w")))
            watches.callback(process.wait)
            watches.callback(process.terminate)
        eventually(lambda: owners(_read(logs, host)) == listed())
        yield changes
        eventually(lambda: owners(_read(logs, host)) == listed())
        changes.extend(_read(logs, host))


def owners(changes: Iterable[Change]) -> set[str]:
    """Return who has the host in the end."""
    return _replayed(changes)[-1]


def most_at_once(changes: Iterable[Change]) -> int:
    """Return how many had it at the moment of which most had it."""
    return max(map(len, _replayed(changes)))


def _replayed(changes: Iterable[Change]) -> list[set[str]]:
    """Return who had the host after each change, and before the first."""
    moments: list[set[str]] = [set()]
    for change in changes:
        moments.append(moments[-1] - {change.owner} if change.gone else moments[-1] | {change.owner})
    return moments


def _read(logs: Sequence[Path], host: str) -> list[Change]:
    events = (event for log in logs for event in _documents(log.read_text(encoding="utf-8")))
    return sorted(
        Change(int(event["object"]["metadata"]["resourceVersion"]), event["type"] == "DELETED", event["object"]["kind"])
        for event in events
        if _has(event["object"], host)
    )


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """Read one JSON document after the other; the last one may be half written."""
    decoder, place = json.JSONDecoder(), 0
    while (place := text.find("{", place)) >= 0:
        try:
            document, place = decoder.raw_decode(text, place)
        except ValueError:
            return
        yield document


def _has(item: dict[str, Any], host: str) -> bool:
    metadata = item["metadata"]
    if item["kind"] == "Service":
        return f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local" == host
    return host in item["spec"].get("hosts", [])
