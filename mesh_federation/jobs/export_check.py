"""Refuses an export that differs from the Service and its pods: its policy would cover other pods, or other ports.

It runs before the policy and the gateway are touched. A Service that is not there yet cannot be compared, and the
gateway could not lead to it: every later `./mesh up`, and `mesh verify`, look at it.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.jobs.job import Job, JobContext


@dataclass(frozen=True)
class DeclaredExport:
    """What an export declares about a Service and its pods.

    Attributes:
        service: namespace/name.
        labels: by which the policy selects pods.
        account: ServiceAccount that callers pin.
        ports: of the pods, by port of the Service.
        by_service: the gateway leads to what the Service selects; else a global host selects pods by the labels.
    """

    service: str
    labels: Mapping[str, str]
    account: str
    ports: Mapping[str, int]
    by_service: bool


@dataclass(frozen=True)
class ExportCheckSettings:
    """Which export.

    Attributes:
        cluster: the exporting cluster, by the logical name.
        export: what is declared.
    """

    cluster: str
    export: DeclaredExport


class BodyMetadata(TypedDict):
    """What names an object."""

    name: str
    labels: NotRequired[dict[str, str]]
    deletionTimestamp: NotRequired[str]


class ContainerPort(TypedDict):
    """A port of a container."""

    containerPort: int
    name: NotRequired[str]


class Container(TypedDict):
    """A container of a pod."""

    ports: NotRequired[list[ContainerPort]]


class PodSpecBody(TypedDict):
    """What a pod is to be."""

    containers: list[Container]
    initContainers: NotRequired[list[Container]]
    serviceAccountName: NotRequired[str]


class PodStatusBody(TypedDict):
    """What a pod is."""

    phase: NotRequired[str]


class PodBody(TypedDict):
    """A pod, as an API server gives it."""

    metadata: BodyMetadata
    spec: PodSpecBody
    status: NotRequired[PodStatusBody]


class ServicePortBody(TypedDict):
    """A port of a Service."""

    port: int
    protocol: NotRequired[str]
    targetPort: NotRequired[int | str]


class ServiceSpecBody(TypedDict):
    """What a Service is to be."""

    selector: NotRequired[dict[str, str]]
    ports: NotRequired[list[ServicePortBody]]


class ServiceBody(TypedDict):
    """A Service, as an API server gives it."""

    spec: ServiceSpecBody


Difference = tuple[str, str]
"""What is not as the export says, and what to do."""

DIFFERENT = 4
"""Exit status by which the job says that something differs; with any other it could not look."""
ENDED = ("Succeeded", "Failed")


def run(settings: ExportCheckSettings, context: JobContext) -> None:
    """Compare, and end with everything that differs."""
    cluster, declared = settings.cluster, settings.export
    with context.kubectl() as kubectl:
        namespace, _, name = declared.service.partition("/")
        answer = _get(cluster, kubectl, "service", name, f"--namespace={namespace}", "--ignore-not-found")
        if not answer.strip():
            print(f"there is no Service {declared.service} yet")
            return
        service: ServiceBody = json.loads(answer)
        which = selector(declared, service)
        pods = json.loads(_get(cluster, kubectl, "pods", f"--namespace={namespace}", which))["items"] if which else []
    if different := list(differences(declared, service, pods)):
        listed = "\n".join(f"  {problem}\n  -> {fix}" for problem, fix in different)
        print(
            f"{cluster} exports {declared.service}, which is not as the export says; its policy and its gateway are"
            f" left as they were:\n{listed}",
            file=sys.stderr,
        )
        sys.exit(DIFFERENT)


def selector(declared: DeclaredExport, service: ServiceBody) -> str:
    """Return the option by which kubectl lists the pods that answer; empty where nothing tells which they are."""
    labels = service["spec"].get("selector", {}) if declared.by_service else declared.labels
    return f"--selector={_selector(labels)}" if labels else ""


def differences(declared: DeclaredExport, service: ServiceBody, pods: Sequence[PodBody]) -> Iterator[Difference]:
    """Say what is not as the export says.

    Args:
        declared: the export.
        service: as it is.
        pods: that answer; none where none is there yet.
    """
    there = [each for each in pods if _stays(each)]
    if declared.by_service:
        yield from _uncovered(declared.labels, service["spec"].get("selector", {}), there)
        yield from _other_ports(declared.ports, service["spec"].get("ports", []), there)
    accounts = sorted({each["spec"].get("serviceAccountName", "default") for each in there})
    if accounts and accounts != [declared.account]:
        fix = f"write serviceAccount: {accounts[0]} in the export" if len(accounts) == 1 else "let all run as one"
        yield (
            f"its pods run as {' and '.join(accounts)}, and callers would expect {declared.account} and refuse them",
            fix,
        )


def _stays(pod: PodBody) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("phase") not in ENDED


def _uncovered(labels: Mapping[str, str], selected: Mapping[str, str], pods: Sequence[PodBody]) -> Iterator[Difference]:
    """Every pod that the Service selects must have the policy's labels, or the policy does not protect it."""
    if not selected:
        yield (
            "the Service has no selector, so nothing tells which pods the policy must cover",
            "give the Service a selector, or export one that has it",
        )
        return
    if labels.items() <= selected.items():
        return
    bare = [
        each["metadata"]["name"] for each in pods if not labels.items() <= each["metadata"].get("labels", {}).items()
    ]
    if bare or not pods:
        who = f"the policy would not cover {', '.join(sorted(bare)) or 'any pod of it'}"
        yield (
            f"the Service selects {_selector(selected)}, and the export {_selector(labels)}: {who}",
            f"write selector: {json.dumps(selected)} in the export",
        )


def _other_ports(
    ports: Mapping[str, int], served: Sequence[ServicePortBody], pods: Sequence[PodBody]
) -> Iterator[Difference]:
    """The policy opens ports of pods: those to which the exported ports of the Service lead."""
    known = {each["port"]: each for each in served if each.get("protocol", "TCP") == "TCP"}
    for number, declared in ((int(number), declared) for number, declared in ports.items()):
        if number not in known:
            yield (
                f"the Service has no port {number}, but {', '.join(map(str, sorted(known))) or 'none at all'}",
                "export a port that it has",
            )
            continue
        leads = _targets(known[number], pods)
        if leads and leads != {declared}:
            to = " and ".join(map(str, sorted(leads)))
            fix = f"write targetPort: {to} for it in the export" if len(leads) == 1 else "let all pods have it alike"
            yield f"port {number} of the Service leads to port {to} of its pods, and the policy opens {declared}", fix


def _targets(port: ServicePortBody, pods: Sequence[PodBody]) -> set[int]:
    """Return to which ports of pods a port of a Service leads; a name may mean another one in each pod."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return {target}
    ports = (port for pod in pods for container in _containers(pod) for port in container.get("ports", []))
    return {each["containerPort"] for each in ports if each.get("name") == target}


def _containers(pod: PodBody) -> Iterator[Container]:
    """Return all that may serve; a sidecar is an init container that goes on."""
    yield from pod["spec"]["containers"]
    yield from pod["spec"].get("initContainers", [])


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _get(cluster: str, kubectl: Kubectl, *words: str) -> str:
    done = kubectl.run("get", *words, "--output=json", "--request-timeout=30s")
    if done.returncode:
        sys.exit(f"cannot look at what {cluster} exports:\n{done.stderr}")
    return done.stdout


JOB = Job("export-check", ExportCheckSettings, {"": run})
