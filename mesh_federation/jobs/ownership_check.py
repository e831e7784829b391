"""Refuses to take over objects of an existing cluster that this stack did not make.

Standard input is a JSON list of the objects that the stack is about to make: apiVersion, kind, namespace, name; with
`body`, the whole object, where changes in it are to be shown; with `example`, the object as it could be, where the
API server is to be asked whether it would admit it.

The Kubernetes provider applies objects, so that a repeated run converges; without this check it would also take over,
and one day delete, whatever had the same name before.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from mesh_federation.clusters import kubectl as access
from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.jobs.job import Job, JobContext

OWNER = "mesh-federation/stack"
"""Label on every object of a stack."""
OWNER_ID = "mesh-federation/owner"
"""Label on every object in a cluster that is not ours: a value that the stack's state alone has, for this cluster."""
CLUSTER = "mesh-federation/cluster"
"""Label beside it: what the stack calls the cluster."""
WAS_THERE = "mesh-federation/adopted"
"""Annotation on objects that were there before the stack, which never deletes them."""

USUAL = "istio-system"
"""Namespace of most installations."""
AUTHORITY = ("Secret", "cacerts")
"""By which a stack is known to install Istio."""
AUTHORITIES = {
    "cacerts": "its certificate authority",
    "istio-ca-secret": "the certificate authority that it made itself",
}
"""Secrets by which an Istio is known; its other objects are known by their labels."""
ISTIOD = ("get", "deployments", "--all-namespaces", "--selector=app=istiod", "--output=json")
INJECTORS = ("get", "mutatingwebhookconfigurations", "--selector=app=sidecar-injector", "--output=json")
APPLY = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "--field-manager=mesh-federation")
ABSENT_NAMESPACE = re.compile(r"namespaces? \"[^\"]+\" not found")
"""What the API server says where a namespace is missing, which another job explains."""
SERVER_SET = {"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"}
"""Metadata that the API server keeps."""

Found = Mapping[str, Any]
"""An object as an API server gives it."""


class Foreign(NamedTuple):
    """An object that this stack is about to make and did not make.

    Attributes:
        found: as it is.
        body: as the stack wants it; None where it was not asked for.
    """

    found: Found
    body: Found | None


@dataclass(frozen=True)
class OwnershipCheckSettings:
    """Whose objects are whose.

    Attributes:
        cluster: where, by the logical name.
        stack: name of the Pulumi stack.
        owner_id: the label of this stack's objects in this cluster.
        kubeconfig: of the cluster, as `clusters.kubectl` takes it.
        adopted: objects of others that are taken over, as `named` writes them.
    """

    cluster: str
    stack: str
    owner_id: str
    kubeconfig: str
    adopted: tuple[str, ...]


def is_ours(found: Found, stack: str, owner_id: str) -> bool:
    """Say whether this stack made an object.

    Args:
        found: the object.
        stack: name of the stack.
        owner_id: the label of its objects, in a cluster that is not ours; else empty.
    """
    labels = _labels(found)
    return bool(labels.get(OWNER_ID) == owner_id if owner_id else labels.get(OWNER) == stack)


def run(settings: OwnershipCheckSettings, context: JobContext) -> None:
    """Look every object up and end with a message that names all that are somebody else's."""
    wanted = sorted(json.loads(context.stdin), key=_kind)
    with access.connected(settings.kubeconfig, context.workdir) as kubectl:
        if own := [each["namespace"] for each in wanted if (each["kind"], each["name"]) == AUTHORITY]:
            _refuse_another_istio(settings, kubectl, sorted({*own, USUAL}))
        foreign = [each for _, group in groupby(wanted, key=_kind) for each in _foreign(settings, list(group), kubectl)]
        refused = [each for each in foreign if not _is_adopted(settings, each.found)]
        for each in refused or foreign:
            if each.body is not None and _is_adoptable(each.found):
                print(_changes(each, kubectl), file=sys.stderr)
        unadmitted = [] if refused else list(_unadmitted(wanted, kubectl))
    if refused:
        sys.exit(_refusal(settings, refused))
    if unadmitted:
        sys.exit(_not_admitted(settings, unadmitted))
    print(settings.owner_id)


def _unadmitted(wanted: Iterable[Mapping[str, Any]], kubectl: Kubectl) -> Iterator[str]:
    """Ask the API server which objects it would admit, without making any; yields what it says of the others."""
    asked = [each for each in wanted if "example" in each]
    if not asked or not _tried([each["example"] for each in asked], kubectl):
        return
    for each in asked:
        answer = _tried([each["example"]], kubectl)
        if answer and not ABSENT_NAMESPACE.search(answer):
            yield f"{each['kind']} {each['namespace']}/{each['name']}: {answer}"


def _tried(bodies: Sequence[object], kubectl: Kubectl) -> str:
    """Return what an API server has against objects; empty if it would admit all of them."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    done = kubectl.run(*APPLY, "--filename=-", stdin=text)
    return done.stderr.strip() if done.returncode else ""


def _not_admitted(settings: OwnershipCheckSettings, refusals: Sequence[str]) -> str:
    listed = "\n".join(f"  {each}" for each in refusals)
    return (
        f"{settings.cluster} does not admit what stack {settings.stack} would make in it:\n{listed}\nNothing was"
        " changed.\n-> let its owner admit these objects (admission policies, webhooks and quotas refuse them; rights"
        f" too: ./mesh observe --stack {settings.stack} --rbac)"
    )


def named(found: Found) -> str:
    """Return an object as people write it: Kind namespace/name, or Kind name."""
    metadata = found["metadata"]
    return f"{found['kind']} {metadata.get('namespace') or ''}/{metadata['name']}".replace(" /", " ")


def _labels(found: Found) -> Mapping[str, str]:
    labels: Mapping[str, str] = found["metadata"].get("labels") or {}
    return labels


def _is_adopted(settings: OwnershipCheckSettings, found: Found) -> bool:
    return _is_adoptable(found) and named(found) in settings.adopted


def _is_adoptable(found: Found) -> bool:
    """What another stack made is that stack's; what it only adopted is not."""
    left = found["kind"] == "Namespace" or WAS_THERE in (found["metadata"].get("annotations") or {})
    return left or OWNER not in _labels(found)


def _refusal(settings: OwnershipCheckSettings, foreign: Sequence[Foreign]) -> str:
    cluster, stack = settings.cluster, settings.stack
    listed = "\n".join(f"  {named(each.found)}{_maker(settings, each.found)}" for each in foreign)
    what = f"{cluster} already has objects that stack {stack} did not make:\n{listed}\n"
    free = [each for each in foreign if _is_adoptable(each.found)]
    if len(free) < len(foreign):
        return (
            f"{what}Nothing was changed.\n-> take the other stack down where its state is, or federate another cluster"
        )
    if any(each.body is None for each in free):
        return f"{what}-> remove or rename them, or set clusters.{cluster}.adopt: true to see what would change in them"
    names = json.dumps([named(each.found) for each in free])
    return (
        f"{what}What would change in them is above; nothing was changed.\n-> to take them over, write"
        f" clusters.{cluster}.adopted: {names}; `down` leaves them in the cluster, as they are then"
    )


def _maker(settings: OwnershipCheckSettings, found: Found) -> str:
    """Say which stack made an object, where one did."""
    stack, cluster = _labels(found).get(OWNER), _labels(found).get(CLUSTER)
    if not stack:
        return ""
    if stack != settings.stack:
        return f": of stack {stack}"
    if cluster and cluster != settings.cluster:
        return f": of stack {stack} too, which calls this cluster {cluster}; was it renamed, write {cluster} again"
    return f": of a stack {stack} too, but with another state"


def _refuse_another_istio(settings: OwnershipCheckSettings, kubectl: Kubectl, namespaces: Iterable[str]) -> None:
    """An Istio that somebody else installed has a certificate authority and callers that this one would cut off."""
    found = [f"{named(each)}, its control plane" for each in _listed(settings, kubectl, ISTIOD)]
    found += [f"{named(each)}, its sidecar injector" for each in _listed(settings, kubectl, INJECTORS)]
    for namespace in namespaces:
        which = ("secrets", *AUTHORITIES, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
        secrets = _listed(settings, kubectl, ("get", *which))
        found += [f"{named(each)}, {AUTHORITIES[each['metadata']['name']]}" for each in secrets]
    if found:
        cluster, listed = settings.cluster, "\n".join(f"  {each}" for each in found)
        sys.exit(
            f"{cluster} has an Istio that stack {settings.stack} did not install:\n{listed}\n"
            "Its mesh would get another certificate authority and other settings, and calls in it would fail, so"
            " nothing was changed.\n-> take that Istio out of the cluster first, or federate another cluster"
        )


def _listed(settings: OwnershipCheckSettings, kubectl: Kubectl, get: Sequence[str]) -> list[Found]:
    """Return the objects of an answer that no stack made."""
    answer = _kubectl(settings, kubectl, *get)
    found = json.loads(answer) if answer.strip() else {"items": []}
    return [each for each in found.get("items", [found]) if OWNER not in _labels(each)]


def _kind(identity: Mapping[str, Any]) -> tuple[str, str]:
    return identity["apiVersion"], identity["kind"]


def _foreign(settings: OwnershipCheckSettings, wanted: list[Mapping[str, Any]], kubectl: Kubectl) -> Iterator[Foreign]:
    """Return those of one kind that exist and carry another owner's label, or none."""
    manifests = [
        {
            "apiVersion": each["apiVersion"],
            "kind": each["kind"],
            "metadata": {"name": each["name"], "namespace": each["namespace"]},
        }
        for each in wanted
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    options = ("--ignore-not-found", "--output=json", "--filename=-")
    answer = _kubectl(settings, kubectl, "get", *options, stdin=text)
    found = json.loads(answer) if answer.strip() else {}
    bodies = {(each["namespace"], each["name"]): each.get("body") for each in wanted}
    for item in found.get("items", [found] if found else []):
        if not is_ours(item, settings.stack, settings.owner_id):
            metadata = item["metadata"]
            yield Foreign(item, bodies.get((metadata.get("namespace", ""), metadata["name"])))


def _kubectl(settings: OwnershipCheckSettings, kubectl: Kubectl, *words: str, stdin: str = "") -> str:
    done = kubectl.run(*words, stdin=stdin)
    if "no matches for kind" in done.stderr:  # its definition is not there yet, so no object is
        return ""
    if done.returncode:
        sys.exit(f"cannot look for objects in {settings.cluster}:\n{done.stderr}")
    return done.stdout


def _changes(foreign: Foreign, kubectl: Kubectl) -> str:
    """List every field of an object that the stack would change, before and after."""
    done = kubectl.run(*APPLY, "--output=json", "--filename=-", stdin=json.dumps(foreign.body))
    if done.returncode:
        return f"{named(foreign.found)} cannot become what the stack file declares:\n  {done.stderr.strip()}"
    hidden = foreign.found["kind"] == "Secret"
    lines = [
        f"  {path}: {_shown(path, before, hidden)} -> {_shown(path, after, hidden)}"
        for path, before, after in _differences("", foreign.found, json.loads(done.stdout))
    ]
    return "\n".join([f"{named(foreign.found)} would change:", *(lines or ["  nothing but its owner"])])


_ABSENT = object()


def _differences(path: str, before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """Yield the leaves that differ, with their paths."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(
            {*before, *after} - (SERVER_SET if path == ".metadata" else {"status"} if not path else set())
        ):
            yield from _differences(f"{path}.{key}", before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{path}[{index}]", old, new)
    elif before != after:
        yield path, before, after


def _shown(path: str, value: object, hidden: bool) -> str:
    if value is _ABSENT:
        return "nothing"
    return "(not shown)" if hidden and path.startswith((".data", ".stringData")) else json.dumps(value, sort_keys=True)


JOB = Job("ownership-check", OwnershipCheckSettings, {"": run})
