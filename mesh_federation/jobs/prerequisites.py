"""Checks for what others must have made in an existing cluster, before this stack makes anything."""

import json
import sys
from dataclasses import dataclass

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.jobs.job import Job, JobContext


@dataclass(frozen=True)
class Prerequisite:
    """An object that others make.

    Attributes:
        kind: Namespace or Service.
        namespace: of the object; empty if it has none.
        name: of the object.
        path: in the stack file, where it is needed.
    """

    kind: str
    namespace: str
    name: str
    path: str


@dataclass(frozen=True)
class PrerequisitesSettings:
    """What must be there.

    Attributes:
        cluster: where, by the logical name.
        needed: the objects.
    """

    cluster: str
    needed: tuple[Prerequisite, ...]


def run(settings: PrerequisitesSettings, context: JobContext) -> None:
    """Look everything up at once and end with a message that names all that is missing."""
    with context.kubectl() as kubectl:
        present = _present(settings, kubectl)
    if missing := [each for each in settings.needed if (each.kind, each.namespace, each.name) not in present]:
        lines = [f"  {each.path}: {_problem(each)}\n    -> {_fix(settings.cluster, each)}" for each in missing]
        sys.exit(
            f"{settings.cluster} lacks objects that this stack needs and does not make there: nothing was changed\n"
            + "\n".join(lines)
        )


def _present(settings: PrerequisitesSettings, kubectl: Kubectl) -> set[tuple[str, str, str]]:
    items = [
        {"apiVersion": "v1", "kind": each.kind, "metadata": {"name": each.name, "namespace": each.namespace}}
        for each in settings.needed
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    done = kubectl.run("get", "--ignore-not-found", "--output=json", "--filename=-", stdin=text)
    if done.returncode:
        sys.exit(f"cannot look for what must be in {settings.cluster}:\n{done.stderr}")
    answer = json.loads(done.stdout) if done.stdout.strip() else {}
    listed = answer.get("items", [answer]) if answer else []
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in listed}


def _problem(missing: Prerequisite) -> str:
    if missing.kind == "Namespace":
        return f"there is no namespace {missing.name}"
    return f"there is no Service {missing.namespace}/{missing.name}, so callers could not look its name up"


def _fix(cluster: str, missing: Prerequisite) -> str:
    if missing.kind == "Namespace":
        return f"kubectl --context {cluster} create namespace {missing.name}"
    return "deploy that Service (it needs no pods), or write `as: remote`"


JOB = Job("prerequisites", PrerequisitesSettings, {"": run})
