"""Applies custom resource definitions: one server-side apply, as a megabyte a cluster stays out of the state.

usage: python3 -m mesh_federation.jobs crds [look]

With `look` it changes nothing and ends with status 3 where they must be applied (again).

Environment:
    CLUSTER: the cluster's logical name.
    CRDS: file with the definitions; variables in it are expanded, and its other objects are left out.
    RELEASE: whose definitions they are, and what becomes of others', for people who read a preview.
    NEEDED: kinds that definitions of others must serve, as `group/version Kind, ...`; empty: all of the file.
Standard input: the cluster's kubeconfig.

What others installed is theirs: another release or channel has fields that their objects use, and they upgrade it. So
it is left alone where it serves what is needed, and else refused.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from mesh_federation.clusters import access, workdir

SEPARATOR = re.compile(r"^---.*$", re.MULTILINE)
DEFINITION = re.compile(r"^kind: *CustomResourceDefinition *$", re.MULTILINE)

MANAGER = "mesh-federation"
"""Under which name this program owns the fields of the definitions that it made."""
APPLY = ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--filename=-")
WAIT = ("wait", "--for=condition=Established", "--timeout=60s", "--filename=-")
"""It gives up at once on a definition that has no conditions yet, as on a busy API server, so it is asked again."""
GET = ("get", "--ignore-not-found", "--show-managed-fields", "--output=json", "--filename=-")
READ = ("create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-")
TIMEOUT = 60
"""Seconds; one or two are usual."""
BUNDLE, CHANNEL = "gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel"


class Fields(TypedDict):
    """What one manager owns of an object."""

    manager: str
    fieldsV1: NotRequired[dict[str, object]]


class Metadata(TypedDict):
    """The part of its metadata that counts here."""

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

    metadata: Metadata
    spec: Spec


Kind = tuple[str, str]
"""Name of a kind, and its group and version."""


def main() -> None:
    """Apply the definitions and wait until the API server serves them, unless others' are there."""
    file = os.path.expandvars(os.environ["CRDS"])
    wanted = _wanted(file)
    definitions = "---".join(wanted)
    with access.kubectl(sys.stdin.read()) as kubectl:
        there = _there(kubectl, definitions)
        others = [each for each in there if _is_of_others(each)]
        lacking = _lacking(there, _needed(kubectl, definitions)) if others else []
        if sys.argv[1:] == ["look"]:
            sys.exit(workdir.GONE if lacking or (not others and len(there) < len(wanted)) else 0)
        if others:
            _leave_alone(file, others, lacking)
            return
        if failure := _failure(kubectl, APPLY, file, definitions):
            sys.exit(failure)
        workdir.until_whole(lambda: _failure(kubectl, WAIT, file, definitions), TIMEOUT)


def _leave_alone(file: str, others: Sequence[Definition], lacking: Sequence[Kind]) -> None:
    """Tell that nothing is changed, or end with what others' definitions lack."""
    whose = f"{os.environ['CLUSTER']} has definitions that others made ({_described(others)})"
    if lacking:
        named = ", ".join(f"{kind} ({version})" for kind, version in lacking)
        sys.exit(
            f"{whose}, which this stack never changes; they do not serve what it needs: {named}\n"
            f"-> bring them to a release that has that with what installed them; {file} has it all"
        )
    print(f"{whose}: they serve what is needed, and are left alone", file=sys.stderr)


def _described(others: Sequence[Definition]) -> str:
    """Say which release they are, as far as they tell, or who applied them."""
    told = set()
    for each in others:
        annotations = each["metadata"].get("annotations", {})
        by = ", ".join(sorted(_managers(each) - {MANAGER}))
        bundle = f"Gateway API {annotations.get(BUNDLE)}, {annotations.get(CHANNEL, 'unknown channel')}"
        told.add(bundle if BUNDLE in annotations else f"by {by or 'an unknown client'}")
    return "; ".join(sorted(told))


def _is_of_others(definition: Definition) -> bool:
    return _managers(definition) != {MANAGER}


def _managers(definition: Definition) -> set[str]:
    """Return who owns a part of what it defines; the API server itself only writes its status."""
    managed = definition["metadata"].get("managedFields", [])
    return {fields["manager"] for fields in managed if "f:spec" in fields.get("fieldsV1", {})}


def _lacking(there: Sequence[Definition], needed: Sequence[Kind]) -> list[Kind]:
    served = {
        (each["spec"]["names"]["kind"], f"{each['spec']['group']}/{version['name']}")
        for each in there
        for version in each["spec"]["versions"]
        if version["served"]
    }
    return sorted(set(needed) - served)


def _needed(kubectl: list[str], definitions: str) -> list[Kind]:
    """Return what is asked for, else every kind of the file, each in the version that its programs read."""
    if asked := os.environ["NEEDED"]:
        return [(kind, version) for version, kind in (each.split() for each in asked.split(","))]
    done = workdir.ask([*kubectl, *READ], definitions)
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


def _there(kubectl: list[str], definitions: str) -> list[Definition]:
    done = workdir.ask([*kubectl, *GET], definitions)
    if done.returncode:
        sys.exit(f"cannot look for definitions in {os.environ['CLUSTER']}:\n{done.stderr}")
    return list(_documents(done.stdout))


def _failure(kubectl: list[str], step: tuple[str, ...], file: str, definitions: str) -> str:
    done = workdir.ask([*kubectl, *step], definitions)
    return f"{file}: kubectl {step[0]} failed\n{done.stderr}" if done.returncode else ""


def _wanted(file: str) -> list[str]:
    """Return the definitions of a file, each as text."""
    try:
        documents = SEPARATOR.split(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        sys.exit(f"{file} cannot be read: {error.strerror}")
    found = [document for document in documents if DEFINITION.search(document)]
    if not found:
        sys.exit(f"{file} holds no CustomResourceDefinition")
    return found
