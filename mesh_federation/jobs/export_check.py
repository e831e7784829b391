"""Refuses an export that is not as the Service and its pods are: its policy would cover other pods, or other ports.

usage: python3 -m mesh_federation.jobs export-check

Environment:
    CLUSTER: the exporting cluster's logical name. EXPORT: what is declared, as JSON (`Declared`).
Standard input: the cluster's kubeconfig.

It runs before the policy and the gateway are touched. A Service that is not there yet is nothing to compare with, and
nothing that the gateway could lead to: it is looked at by every later `./mesh up`, and by `mesh verify`.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from mesh_federation.clusters import access, workdir


class Declared(TypedDict):
    """What an export says of a Service and its pods.

    Attributes:
        service: namespace/name.
        labels: by which the policy selects pods.
        account: ServiceAccount that callers pin.
        ports: of the pods, by port of the Service.
        byService: the gateway leads to what the Service selects; else a global host selects pods by the labels.
    """

    service: str
    labels: dict[str, str]
    account: str
    ports: dict[str, int]
    byService: bool


class Metadata(TypedDict):
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


class PodSpec(TypedDict):
    """What a pod is to be."""

    containers: list[Container]
    initContainers: NotRequired[list[Container]]
    serviceAccountName: NotRequired[str]


class PodStatus(TypedDict):
    """What a pod is."""

    phase: NotRequired[str]


class Pod(TypedDict):
    """A pod, as an API server gives it."""

    metadata: Metadata
    spec: PodSpec
    status: NotRequired[PodStatus]


class ServicePort(TypedDict):
    """A port of a Service."""

    port: int
    protocol: NotRequired[str]
    targetPort: NotRequired[int | str]


class ServiceSpec(TypedDict):
    """What a Service is to be."""

    selector: NotRequired[dict[str, str]]
    ports: NotRequired[list[ServicePort]]


class Service(TypedDict):
    """A Service, as an API server gives it."""

    spec: ServiceSpec


Difference = tuple[str, str]
"""What is not as the export says, and what to do."""

DIFFERENT = 4
"""Exit status by which the script says that something differs; with any other it could not look."""
ENDED = ("Succeeded", "Failed")


def main() -> None:
    """Compare, and end with everything that differs."""
    declared: Declared = json.loads(os.environ["EXPORT"])
    with access.kubectl(sys.stdin.read()) as kubectl:
        namespace, _, name = declared["service"].partition("/")
        told = _ask(kubectl, "service", name, f"--namespace={namespace}", "--ignore-not-found")
        if not told.strip():
            print(f"there is no Service {declared['service']} yet")
            return
        service: Service = json.loads(told)
        which = selector(declared, service)
        pods = json.loads(_ask(kubectl, "pods", f"--namespace={namespace}", which))["items"] if which else []
    if different := list(differences(declared, service, pods)):
        listed = "\n".join(f"  {problem}\n  -> {fix}" for problem, fix in different)
        print(
            f"{os.environ['CLUSTER']} exports {declared['service']}, which is not as the export says; its policy and"
            f" its gateway are left as they were:\n{listed}",
            file=sys.stderr,
        )
        sys.exit(DIFFERENT)


def selector(declared: Declared, service: Service) -> str:
    """Return the option by which kubectl lists the pods that answer; empty where nothing tells which they are."""
    labels = service["spec"].get("selector", {}) if declared["byService"] else declared["labels"]
    return f"--selector={_told(labels)}" if labels else ""


def differences(declared: Declared, service: Service, pods: Sequence[Pod]) -> Iterator[Difference]:
    """Say what is not as the export says.

    Args:
        declared: the export.
        service: as it is.
        pods: that answer; none where none is there yet.
    """
    there = [each for each in pods if _stays(each)]
    if declared["byService"]:
        yield from _uncovered(declared["labels"], service["spec"].get("selector", {}), there)
        yield from _other_ports(declared["ports"], service["spec"].get("ports", []), there)
    accounts = sorted({each["spec"].get("serviceAccountName", "default") for each in there})
    if accounts and accounts != [declared["account"]]:
        fix = f"write serviceAccount: {accounts[0]} in the export" if len(accounts) == 1 else "let all run as one"
        yield (
            f"its pods run as {' and '.join(accounts)}, and callers would expect {declared['account']} and refuse them",
            fix,
        )


def _stays(pod: Pod) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("phase") not in ENDED


def _uncovered(labels: Mapping[str, str], selected: Mapping[str, str], pods: Sequence[Pod]) -> Iterator[Difference]:
    """Every pod that the Service selects must have the policy's labels, or the policy stands beside it."""
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
            f"the Service selects {_told(selected)}, and the export {_told(labels)}: {who}",
            f"write selector: {json.dumps(selected)} in the export",
        )


def _other_ports(ports: Mapping[str, int], served: Sequence[ServicePort], pods: Sequence[Pod]) -> Iterator[Difference]:
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
            told = " and ".join(map(str, sorted(leads)))
            fix = f"write targetPort: {told} for it in the export" if len(leads) == 1 else "let all pods have it alike"
            yield f"port {number} of the Service leads to port {told} of its pods, and the policy opens {declared}", fix


def _targets(port: ServicePort, pods: Sequence[Pod]) -> set[int]:
    """Return to which ports of pods a port of a Service leads; a name may mean another one in each pod."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return {target}
    ports = (port for pod in pods for container in _containers(pod) for port in container.get("ports", []))
    return {each["containerPort"] for each in ports if each.get("name") == target}


def _containers(pod: Pod) -> Iterator[Container]:
    """Return all that may serve; a sidecar is an init container that goes on."""
    yield from pod["spec"]["containers"]
    yield from pod["spec"].get("initContainers", [])


def _told(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _ask(kubectl: list[str], *words: str) -> str:
    done = workdir.ask([*kubectl, "get", *words, "--output=json", "--request-timeout=30s"])
    if done.returncode:
        sys.exit(f"cannot look at what {os.environ['CLUSTER']} exports:\n{done.stderr}")
    return done.stdout
