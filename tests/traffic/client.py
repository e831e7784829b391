"""A caller that does not stop while the federation under it is changed."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from uuid import uuid4

from tests.traffic.lab import Lab

LOOP = """
while [ ! -e "$2" ]; do
    printf "%s " "$(date +%s)"
    curl -sS -m 30 -o /dev/null -w "%{http_code} %{errormsg}\\n" "$1" 2>/dev/null
done
rm -f "$2"
"""


END = "."
SERIES = """
for _ in 1 2 3 4 5; do
    printf "%s " "$(date +%s)"
    curl -sS -m 30 -o /dev/null -w "%{http_code} %{errormsg}" "$1" 2>/dev/null
    echo " ."
done
"""
"""A few calls, each of which ends its line when it is over."""


@dataclass
class Client:
    """A caller, and what became of its calls once it has stopped.

    Attributes:
        lines: of each call when it began, in seconds since 1970, its HTTP status, and why it failed.
    """

    lines: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """Calls that were not answered with 200."""
        return [line for line in self.lines if line.split()[1] != "200"]

    @property
    def statuses(self) -> Counter[str]:
        """How many calls came to what."""
        return Counter(line.split()[1] for line in self.lines)


@contextmanager
def lasting(lab: Lab, url: str) -> Iterator[Client]:
    """Call from east until the block ends, from whichever pod of the caller runs: one that ends has a successor."""
    stop, client = Event(), Client()
    with ThreadPoolExecutor() as pool:
        told = pool.submit(_from_pod_to_pod, lab, url, stop)
        try:
            yield client
        finally:
            stop.set()
            client.lines += told.result()


def _from_pod_to_pod(lab: Lab, url: str, stop: Event) -> list[str]:
    """Return the calls that came to an end: one whose pod ends is nobody's loss."""
    lines: list[str] = []
    while not stop.is_set():
        pod = lab.newest("east", "sleep")
        command = ["exec", "--namespace=sleep", pod, "-c", "sleep", "--", "sh", "-c", SERIES, "sh", url]
        done = lab.kubectl("east", *command, limit="0")
        lines += [line for line in done.stdout.splitlines() if line.endswith(END)]
    return lines


@contextmanager
def calling(lab: Lab, url: str) -> Iterator[Client]:
    """Call from east, one call after the other, until the block ends."""
    stop, client = f"/tmp/{uuid4().hex}", Client()
    sample = ["exec", "--namespace=sleep", "deployment/sleep", "-c", "sleep", "--"]
    with ThreadPoolExecutor() as pool:
        told = pool.submit(lab.ask, "east", *sample, "sh", "-c", LOOP, "sh", url, stop, limit="0")
        try:
            yield client
        finally:
            lab.ask("east", *sample, "touch", stop)
            client.lines += told.result().splitlines()
