"""Applies custom resource definitions: one server-side apply, as a megabyte per cluster stays out of the state.

With the action `look` the job changes nothing and ends with status 3 if they must be applied (again).

What others installed is theirs: another release or channel has fields that their objects use, and they upgrade it. So
it is left alone if it serves what is needed, and else refused.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

SEPARATOR = re.compile(r"^---.*$", re.MULTILINE)
DEFINITION = re.compile(r"^kind: *CustomResourceDefinition *$", re.MULTILINE)

MANAGER = "mesh-federation"
"""Under which name this program owns the fields of the definitions that it made."""
APPLY = (
    "apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--validate=false", "--output=name",
    "--filename=-",
)  # fmt: skip
"""Without validation by kubectl, for which the API server writes out its whole OpenAPI document: the file is pinned."""
GET = ("get", "--ignore-not-found", "--show-managed-fields", "--output=json", "--filename=-")
SERVED = ("api-resources", "--output=name")
"""Discovery is one question for all that is served. `kubectl wait` asks for one definition after the other, and `get`
for all of their schemas, which takes seconds."""
READ = ("create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-")
TIMEOUT = 60
"""Seconds; one or two are usual."""
BUNDLE, CHANNEL = "gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel"


class Fields(TypedDict):
    """What one manager owns of an object."""

    manager: str
    fieldsV1: NotRequired[dict[str, object]]


class DefinitionMetadata(TypedDict):
    """The part of its metadata that counts here."""

    name: str
    annotations: NotRequired[dict[str, str]]
    managedFields: NotRequired[list[Fields]]


class Version(TypedDict):
    """One version of a kind."""

    name: str
    served: bool
    storage: bool


class Spec(TypedDict):
    """What a definition defines."""

    group: str
    names: dict[str, str]
    versions: list[Version]


class Definition(TypedDict):
    """A definition as an API server gives it."""

    metadata: DefinitionMetadata
    spec: Spec


Kind = tuple[str, str]
"""Name of a kind, and its group and version."""


@dataclass(frozen=True)
class CrdsSettings:
    """Which definitions.

    Attributes:
        cluster: where, by the logical name.
        folder: variable that names the toolchain's folder with the file; empty if the file needs none.
        file: with the definitions, below that folder; its other objects are left out.
        release: which release they are, as people call it.
        note: how others' definitions are treated, for people who read a preview.
        needed: kinds that definitions of others must serve, as `group/version Kind`; empty: all of the file.
    """

    cluster: str
    folder: str
    file: str
    release: str
    note: str
    needed: tuple[str, ...]


@dataclass(frozen=True)
class _Definitions:
    """The definitions of a file, and those of a cluster."""

    file: Path
    wanted: list[str]
    present: list[Definition]
    others: list[Definition]
    lacking: list[Kind]

    @property
    def text(self) -> str:
        return "---".join(self.wanted)


def apply(settings: CrdsSettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Apply the definitions and wait until the API server serves them, unless others' are there."""
    with context.kubectl() as kubectl:
        known = _compared(settings, context, kubectl)
        if known.others:
            _leave_alone(settings.cluster, known)
            return
        applied = kubectl.run(*APPLY, stdin=known.text)
        if applied.returncode:
            sys.exit(f"{known.file}: kubectl apply failed\n{applied.stderr}")
        wait_until_complete(lambda: _unserved(kubectl, applied.stdout.split()), timeout)


def look(settings: CrdsSettings, context: JobContext) -> None:
    """Exit with status GONE if the definitions must be applied (again)."""
    with context.kubectl() as kubectl:
        known = _compared(settings, context, kubectl)
    if known.lacking or (not known.others and len(known.present) < len(known.wanted)):
        sys.exit(GONE)


def _compared(settings: CrdsSettings, context: JobContext, kubectl: Kubectl) -> _Definitions:
    file = Path(context.folders[settings.folder] if settings.folder else "") / settings.file
    wanted = _wanted(file)
    text = "---".join(wanted)
    present = _present(settings.cluster, kubectl, text)
    others = [each for each in present if _is_of_others(each)]
    lacking = _lacking(present, _needed(settings, kubectl, text)) if others else []
    return _Definitions(file, wanted, present, others, lacking)


def _leave_alone(cluster: str, known: _Definitions) -> None:
    """Say that nothing is changed, or end with what others' definitions lack."""
    others, lacking = known.others, known.lacking
    whose = f"{cluster} has definitions that others made ({_described(others)})"
    if lacking:
        named = ", ".join(f"{kind} ({version})" for kind, version in lacking)
        sys.exit(
            f"{whose}, which this stack never changes; they do not serve what it needs: {named}\n"
            f"-> bring them to a release that has that with what installed them; {known.file} has it all"
        )
    print(f"{whose}: they serve what is needed, and are left alone", file=sys.stderr)


def _described(others: Sequence[Definition]) -> str:
    """Say which release they are, as far as they carry that, or who applied them."""
    makers = set()
    for each in others:
        annotations = each["metadata"].get("annotations", {})
        by = ", ".join(sorted(_managers(each) - {MANAGER}))
        bundle = f"Gateway API {annotations.get(BUNDLE)}, {annotations.get(CHANNEL, 'unknown channel')}"
        makers.add(bundle if BUNDLE in annotations else f"by {by or 'an unknown client'}")
    return "; ".join(sorted(makers))


def _is_of_others(definition: Definition) -> bool:
    return _managers(definition) != {MANAGER}


def _managers(definition: Definition) -> set[str]:
    """Return who owns a part of what it defines; the API server itself only writes its status."""
    managed = definition["metadata"].get("managedFields", [])
    return {fields["manager"] for fields in managed if "f:spec" in fields.get("fieldsV1", {})}


def _lacking(present: Sequence[Definition], needed: Sequence[Kind]) -> list[Kind]:
    served = {
        (each["spec"]["names"]["kind"], f"{each['spec']['group']}/{version['name']}")
        for each in present
        for version in each["spec"]["versions"]
        if version["served"]
    }
    return sorted(set(needed) - served)


def _needed(settings: CrdsSettings, kubectl: Kubectl, definitions: str) -> list[Kind]:
    """Return what is declared as needed, else every kind of the file, each in the version that its programs read."""
    if settings.needed:
        return [(kind, version) for version, kind in (each.split() for each in settings.needed)]
    done = kubectl.run(*READ, stdin=definitions)
    if done.returncode:
        sys.exit(f"kubectl cannot read the definitions:\n{done.stderr}")
    return [
        (each["spec"]["names"]["kind"], f"{each['spec']['group']}/{_read(each['spec']['versions'])}")
        for each in _documents(done.stdout)
    ]


def _read(versions: Sequence[Version]) -> str:
    """Return `v1` where there is one, else the version that is stored."""
    names = [version["name"] for version in versions if version["served"]]
    return "v1" if "v1" in names else next(version["name"] for version in versions if version["storage"])


def _documents(text: str) -> Iterator[Definition]:
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        found, end = decoder.raw_decode(text, start)
        yield from found.get("items", [found])
        start = text.find("{", end)


def _present(cluster: str, kubectl: Kubectl, definitions: str) -> list[Definition]:
    done = kubectl.run(*GET, stdin=definitions)
    if done.returncode:
        sys.exit(f"cannot look for definitions in {cluster}:\n{done.stderr}")
    return list(_documents(done.stdout))


def _unserved(kubectl: Kubectl, applied: Sequence[str]) -> str:
    """Say which definitions the API server does not serve yet; empty if it serves all."""
    done = kubectl.run(*SERVED)  # which fails where an extension server is down, and lists the others
    waiting = sorted({name.rpartition("/")[2] for name in applied} - set(done.stdout.split()))
    return f"the API server does not serve these definitions: {', '.join(waiting)}\n{done.stderr}" if waiting else ""


def _wanted(file: Path) -> list[str]:
    """Return the definitions of a file, each as text."""
    try:
        documents = SEPARATOR.split(file.read_text(encoding="utf-8"))
    except OSError as error:
        sys.exit(f"{file} cannot be read: {error.strerror}")
    found = [document for document in documents if DEFINITION.search(document)]
    if not found:
        sys.exit(f"{file} holds no CustomResourceDefinition")
    return found


JOB = Job("crds", CrdsSettings, {"": apply, "look": look})
