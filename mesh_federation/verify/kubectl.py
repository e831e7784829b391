"""kubectl on one cluster, for checks: reads are cached, errors are explained, and nothing is changed.

kubectl supports every login method that a kubeconfig can name. Each command has a time limit, so that a cluster that
does not answer delays nobody else.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mesh_federation import process
from mesh_federation.process import ProcessResult
from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.objects import KubernetesPart, Pod, Service
from mesh_federation.verify.troubleshooting import REPAIRS, STARTS
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive

ANSWER_SECONDS = 10
"""Time limit of an API server for one request."""
EXEC_SECONDS = 20
"""Time limit of a program in a pod."""
GRACE_SECONDS = 5
"""Extra time in which kubectl itself can report a timeout."""

_UNREACHABLE = (
    r"unable to connect|connection refused|connection reset by peer - error from a previous|no such host|i/o timeout"
    r"|deadline exceeded|timed? ?out|was refused|TLS handshake|network is unreachable|no route to host|EOF$"
)
_EXPIRED = r"unauthorized|must be logged in|provide credentials|getting credentials|certificate has expired"
_FORBIDDEN = r"forbidden"
_DOWN = "unreachable"
"""Cache key of the exception that says that the cluster does not answer."""

LISTED = {
    "pods": ("v1", "Pod"),
    "services": ("v1", "Service"),
    "namespaces": ("v1", "Namespace"),
    "gateways.networking.istio.io": ("networking.istio.io", "Gateway"),
    "peerauthentications.security.istio.io": ("security.istio.io", "PeerAuthentication"),
    "authorizationpolicies.security.istio.io": ("security.istio.io", "AuthorizationPolicy"),
    "serviceentries.networking.istio.io": ("networking.istio.io", "ServiceEntry"),
}
"""Kinds that are read in all namespaces, by one kubectl: API group (or version, where there is none) and kind."""

AT_ONCE = 6
"""kubectl processes in parallel on one cluster; each takes a tenth of a second of one core."""

Part = TypeVar("Part", bound=KubernetesPart)
Value = TypeVar("Value")


@dataclass(frozen=True)
class CachedKubectl:
    """Runs kubectl on one running cluster, for checks: reads are validated and cached, and each has a time limit.

    Jobs and providers use the smaller `mesh_federation.clusters.kubectl.Kubectl`, which needs the standard library
    alone and always asks the cluster.

    Attributes:
        name: the cluster's logical name.
        kubeconfig: file that leads to the cluster.
        environment: environment variables of kubectl.
    """

    name: str
    kubeconfig: Path
    environment: Mapping[str, str]
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE), compare=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def pods(self) -> Sequence[Pod]:
        """Return the running pods that are not being deleted."""
        return [pod for pod in self.listed(Pod, "pods") if pod.is_running]

    def services(self) -> Sequence[Service]:
        """Return all Services."""
        return self.listed(Service, "services")

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service; None if it does not exist."""
        wanted = NamespacedName(namespace, name)
        return next((each for each in self.services() if each.metadata.reference == wanted), None)

    def listed(self, model: type[Part], kind: str) -> Sequence[Part]:
        """Return all objects of a kind of LISTED, in all namespaces.

        Raises:
            Inconclusive: the cluster does not answer, or does not allow it.
        """
        return self.cached(kind, lambda: self._list(model, kind))

    def _list(self, model: type[Part], kind: str) -> list[Part]:
        together = self.cached("together", self._together)
        if kind not in together:
            return self.get_all(model, kind, "--all-namespaces")
        return [self._parsed(model, item) for item in together[kind]]

    def _together(self) -> Mapping[str, Sequence[object]]:
        """Read all kinds of LISTED; nothing if that is refused, as it may be for one kind that is not asked for."""
        done = self.run("get", ",".join(LISTED), "--all-namespaces", "--output=json", seconds=EXEC_SECONDS)
        if done.returncode:
            refused = self.inconclusive("cannot list the objects of the cluster", done.stderr)
            if isinstance(refused, ClusterUnreachable):
                raise refused
            return {}
        items = json.loads(done.stdout)["items"]
        return {kind: [each for each in items if _type(each) == type_] for kind, type_ in LISTED.items()}

    def cached(self, key: str, read: Callable[[], Value]) -> Value:
        """Return the cached value of a key, or read and cache it."""
        with self._lock:
            if key not in self._cache:
                self._cache[key] = read()
            value: Value = self._cache[key]
        return value

    def get_all(self, model: type[Part], *arguments: str) -> list[Part]:
        """Return the objects that `kubectl get` lists.

        Raises:
            Inconclusive: the cluster does not answer, or does not allow it.
        """
        output = self.output("get", *arguments, "--output=json")
        return [self._parsed(model, item) for item in json.loads(output)["items"]]

    def get(self, model: type[Part], kind: str, name: str, namespace: str) -> Part | None:
        """Return one object; None if it does not exist.

        Raises:
            Inconclusive: the cluster does not answer, or does not allow it.
        """
        output = self.output("get", kind, name, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
        return self._parsed(model, json.loads(output)) if output.strip() else None

    def get_raw(self, path: str) -> ProcessResult:
        """Get a path of the API server, which also proxies plaintext requests to pods and Services."""
        return self.run("get", f"--raw={path}")

    def execute(self, pod: Pod, container: str, *command: str) -> ProcessResult:
        """Run a program in a container of a pod."""
        words = ["exec", f"--namespace={pod.metadata.namespace}", pod.metadata.name, f"--container={container}"]
        return self.run(*words, "--", *command, seconds=EXEC_SECONDS)

    def create_dry_run(self, body: Mapping[str, object]) -> ProcessResult:
        """Let the API server admit a new object without creating it."""
        return self.run("create", "--dry-run=server", "--filename=-", "--output=json", stdin=json.dumps(body))

    def output(self, *arguments: str) -> str:
        """Return the output of a kubectl command.

        Raises:
            Inconclusive: it failed.
        """
        done = self.run(*arguments)
        if done.returncode:
            raise self.inconclusive(f"cannot {' '.join(_words(arguments))}", done.stderr)
        return done.stdout

    def run(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> ProcessResult:
        """Run kubectl and return how it ended, whatever its exit status.

        Raises:
            ClusterUnreachable: the cluster does not answer in time, or did not answer an earlier command.
            Inconclusive: the credentials have expired.
        """
        with self._slots:
            if _DOWN in self._cache:
                raise self._cache[_DOWN]
            return self._run(arguments, stdin, seconds)

    def _run(self, arguments: Sequence[str], stdin: str, seconds: float) -> ProcessResult:
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--request-timeout={seconds:.0f}s", *arguments]
        limit = seconds + GRACE_SECONDS
        try:
            done = process.run(command, stdin=stdin, environment=self.environment, timeout=limit)
        except process.ProgramTimeout:
            raise self._unreachable(f"no answer within {seconds:.0f} s") from None
        if done.returncode and re.search(_EXPIRED, done.stderr, re.IGNORECASE):
            raise self.inconclusive(f"cannot {' '.join(_words(arguments))}", done.stderr)
        return ProcessResult(done.args, done.returncode, done.stdout, done.stderr.strip())

    def inconclusive(self, what: str, error: str) -> Inconclusive:
        """Return the exception for a failed command.

        Args:
            what: what failed.
            error: what kubectl printed.
        """
        line = _last_line(error)
        if re.search(_UNREACHABLE, line, re.IGNORECASE) and not re.search(_EXPIRED, line, re.IGNORECASE):
            return self._unreachable(line)
        return Inconclusive(f"{self.name}: {what}: {line}", self._hint(line))

    def inconclusive_in(self, pod: Pod, what: str, error: str) -> Inconclusive:
        """Return the exception for a command that failed in a pod: whatever refused there, the cluster answers."""
        hint = f"kubectl -n {pod.metadata.namespace} describe pod {pod.metadata.name}; {REPAIRS}"
        return Inconclusive(f"{self.name}: {pod.title}: {what}: {_last_line(error)}", hint)

    def _unreachable(self, error: str) -> ClusterUnreachable:
        """Return the exception for a cluster that does not answer, and cache it: no check waits a second time."""
        self._cache[_DOWN] = ClusterUnreachable(
            f"{self.name} does not answer: {error}", f"{STARTS}; {self.name} must answer first"
        )
        unreachable: ClusterUnreachable = self._cache[_DOWN]
        return unreachable

    def _hint(self, error: str) -> str:
        if re.search(_EXPIRED, error, re.IGNORECASE):
            return f"log in again, or renew the credentials in the kubeconfig of {self.name}"
        if re.search(_FORBIDDEN, error, re.IGNORECASE):
            return f"use credentials for {self.name} that allow it, or leave the check out"
        return REPAIRS

    def _parsed(self, model: type[Part], value: object) -> Part:
        try:
            return model.model_validate(value)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            fix = "this release of Kubernetes or Istio has another format: please report it as a bug in mesh-federation"
            raise Inconclusive(f"{self.name}: a response cannot be read at {where}", fix) from None


def _type(item: Mapping[str, object]) -> tuple[str, str]:
    """Return API group (or version, where there is none) and kind of an object."""
    return str(item.get("apiVersion")).partition("/")[0], str(item.get("kind"))


def _last_line(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else "no reason given"


def _words(arguments: Iterable[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("--")]
