"""One cluster as a check sees it: its objects, its proxies, and what its API server reaches. Nothing is changed.

Through kubectl, which brings every way of logging in that a kubeconfig can name. Each question has its own time limit,
so that a cluster that does not answer holds nobody up.
"""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mesh_federation.verify.objects import Pod, Seen, Service
from mesh_federation.verify.verdict import Inconclusive, Unreachable

ANSWER_SECONDS = 10
"""For one answer of an API server."""
EXEC_SECONDS = 20
"""For a program in a pod."""
GRACE_SECONDS = 5
"""For kubectl to give up by itself, and say why."""

_AWAY = (
    r"unable to connect|connection refused|connection reset by peer - error from a previous|no such host|i/o timeout"
    r"|deadline exceeded|timed? ?out|was refused|TLS handshake|network is unreachable|no route to host|EOF$"
)
_EXPIRED = r"unauthorized|must be logged in|provide credentials|getting credentials|certificate has expired"
_FORBIDDEN = r"forbidden"
_GONE = "away"
"""Under which a cluster keeps that it did not answer."""

AT_ONCE = 6
"""Programs that ask one cluster side by side; each takes a tenth of a second of one core."""

Found = TypeVar("Found", bound=Seen)
Known = TypeVar("Known")


@dataclass(frozen=True)
class Asked:
    """What kubectl came back with.

    Attributes:
        code: its exit status.
        out: what it printed.
        error: what it complained of.
    """

    code: int
    out: str
    error: str


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        name: its logical name.
        kubeconfig: file by which it is reached.
        environment: in which kubectl is found.
    """

    name: str
    kubeconfig: Path
    environment: Mapping[str, str]
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE), compare=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def pods(self) -> Sequence[Pod]:
        """Return the pods that run and are there to stay."""
        return [pod for pod in self._all("pods", Pod) if pod.is_running]

    def services(self) -> Sequence[Service]:
        """Return all Services."""
        return self._all("services", Service)

    def _all(self, kind: str, model: type[Found]) -> Sequence[Found]:
        """Return all objects of a kind; asked once, however many checks want them."""
        return self.once(kind, lambda: self.listed(model, kind, "--all-namespaces"))

    def once(self, what: str, ask: Callable[[], Known]) -> Known:
        """Return what was found out before under that name, or find it out."""
        with self._lock:
            if what not in self._known:
                self._known[what] = ask()
            known: Known = self._known[what]
        return known

    def listed(self, model: type[Found], *arguments: str) -> list[Found]:
        """Return the objects that `kubectl get` lists.

        Raises:
            Unseen: the cluster does not answer, or does not let us see them.
        """
        done = self.told("get", *arguments, "--output=json")
        return [self._read(model, item) for item in json.loads(done)["items"]]

    def one(self, model: type[Found], kind: str, name: str, namespace: str) -> Found | None:
        """Return one object; None where there is none.

        Raises:
            Unseen: the cluster does not answer, or does not let us see it.
        """
        done = self.told("get", kind, name, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
        return self._read(model, json.loads(done)) if done.strip() else None

    def raw(self, path: str) -> Asked:
        """Ask the API server for a path; it also passes questions on to pods and Services, in plaintext."""
        return self.asked("get", f"--raw={path}")

    def run_in(self, pod: Pod, container: str, *command: str) -> Asked:
        """Run a program in a container of a pod."""
        words = ["exec", f"--namespace={pod.metadata.namespace}", pod.metadata.name, f"--container={container}"]
        return self.asked(*words, "--", *command, seconds=EXEC_SECONDS)

    def would_create(self, body: Mapping[str, object]) -> Asked:
        """Ask what the API server would make of a new object, without making it."""
        return self.asked("create", "--dry-run=server", "--filename=-", "--output=json", stdin=json.dumps(body))

    def told(self, *arguments: str) -> str:
        """Return what kubectl prints.

        Raises:
            Unseen: it failed.
        """
        done = self.asked(*arguments)
        if done.code:
            raise self.unseen(f"cannot {' '.join(_plain(arguments))}", done.error)
        return done.out

    def asked(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> Asked:
        """Run kubectl on the cluster, whatever comes of it.

        Raises:
            Away: the cluster does not answer in time, or did not before.
            Unseen: it takes the credentials for expired.
        """
        with self._slots:
            if _GONE in self._known:
                raise self._known[_GONE]
            return self._run(arguments, stdin, seconds)

    def _run(self, arguments: Sequence[str], stdin: str, seconds: float) -> Asked:
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--request-timeout={seconds:.0f}s", *arguments]
        try:
            done = subprocess.run(
                command, input=stdin, env=dict(self.environment), capture_output=True, text=True, errors="replace",
                timeout=seconds + GRACE_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._away(f"no answer within {seconds:.0f} s") from None
        if done.returncode and re.search(_EXPIRED, done.stderr, re.IGNORECASE):
            raise self.unseen(f"cannot {' '.join(_plain(arguments))}", done.stderr)
        return Asked(done.returncode, done.stdout, done.stderr.strip())

    def unseen(self, what: str, error: str) -> Inconclusive:
        """Say why something could not be seen, by what kubectl complains of."""
        said = _last_line(error)
        if re.search(_AWAY, said, re.IGNORECASE) and not re.search(_EXPIRED, said, re.IGNORECASE):
            return self._away(said)
        return Inconclusive(f"{self.name}: {what}: {said}", self._advice(said))

    def within(self, pod: Pod, what: str, error: str) -> Inconclusive:
        """Say why something in a pod could not be seen: whatever refuses there, the cluster does answer."""
        said = _last_line(error)
        hint = f"kubectl -n {pod.metadata.namespace} describe pod {pod.metadata.name}; ./mesh up --refresh"
        return Inconclusive(f"{self.name}: {pod.title}: {what}: {said}", hint)

    def _away(self, said: str) -> Unreachable:
        """Say that the cluster does not answer, and remember it: nobody need wait for it once more."""
        hint = f"./mesh up starts what stopped and makes anew what is gone; {self.name} must answer first"
        found = Unreachable(f"{self.name} does not answer: {said}", hint)
        self._known[_GONE] = found
        return found

    def _advice(self, said: str) -> str:
        if re.search(_EXPIRED, said, re.IGNORECASE):
            return f"log in again, or renew the credentials in the kubeconfig of {self.name}"
        if re.search(_FORBIDDEN, said, re.IGNORECASE):
            return f"use credentials for {self.name} that allow it, or leave the check out"
        return "./mesh up --refresh puts back what somebody removed or changed"

    def _read(self, model: type[Found], value: object) -> Found:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            fix = "this release of Kubernetes or Istio answers in another form: say so to the makers of this program"
            raise Inconclusive(f"{self.name}: an answer cannot be read at {where}", fix) from None


def _last_line(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else "no reason given"


def _plain(arguments: Iterable[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("--")]
