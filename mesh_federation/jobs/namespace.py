"""Makes a namespace, and removes it when nobody else has anything in it.

A namespace holds what others put into it, and deleting it deletes that. So the engine never does: it retains every
Namespace, and this job, whose resource is deleted after all that the stack has in there, looks at what is left. The
namespace itself records who made it, in the step that made it: a run may be killed at any moment.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

MADE_BY = "mesh-federation/made-by"
"""Annotation on a namespace that was not there before."""
ENGINE = "pulumi-kubernetes"
"""How the names begin under which the Kubernetes provider owns fields."""
TRANSIENT = frozenset(
    {
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "pods.metrics.k8s.io",
    }
)
"""Kinds of which nothing is lost: they are written about other objects, and anew."""
EVERYWHERE = frozenset(
    {
        ("ServiceAccount", "default"),
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "istio-ca-root-cert"),
        ("ConfigMap", "istio-ca-crl"),
    }
)
"""What Kubernetes and Istio put into every namespace."""
LEADER = "control-plane.alpha.kubernetes.io/leader"
TOKEN = "kubernetes.io/service-account-token"
SETTLING = 60
"""Seconds for which what belonged to a removed object may still be there; one or two are usual."""
REMOVAL = 300
"""Seconds; pods that end are waited for."""
SHOWN = 3
CREATE = ("create", "--validate=false")
"""To look at the fields kubectl has the API server write out its whole OpenAPI document; this program writes them."""


class NamespaceMetadata(TypedDict):
    """The part of an object's metadata that counts here."""

    name: str
    uid: str
    annotations: NotRequired[dict[str, str]]
    deletionTimestamp: NotRequired[str]
    managedFields: NotRequired[list[dict[str, str]]]
    ownerReferences: NotRequired[list[dict[str, str]]]


class Item(TypedDict):
    """An object as an API server gives it."""

    kind: str
    metadata: NamespaceMetadata
    type: NotRequired[str]


@dataclass(frozen=True)
class NamespaceSettings:
    """Which namespace.

    Attributes:
        cluster: where, by the logical name.
        namespace: its name.
        maker: the annotation by which its maker is known: the stack, or in a cluster that is not ours its owner ID.
        labels: of the namespace, by which its objects are known.
    """

    cluster: str
    namespace: str
    maker: str
    labels: Mapping[str, str]

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"namespace {self.namespace} of {self.cluster}"


def create(settings: NamespaceSettings, context: JobContext, timeout: float = REMOVAL) -> None:
    """Make the namespace, with the mark of its maker; one that is there is left as it is."""
    metadata = {
        "name": settings.namespace,
        "labels": settings.labels,
        "annotations": {MADE_BY: settings.maker},
    }
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _missing(settings, kubectl, body), timeout)


def _missing(settings: NamespaceSettings, kubectl: Kubectl, body: str) -> str:
    made = kubectl.run(*CREATE, "--filename=-", stdin=body)
    if made.returncode and "AlreadyExists" not in made.stderr:
        sys.exit(f"{settings} cannot be made:\n{made.stderr}")
    going = made.returncode and "deletionTimestamp" in (_read(settings, kubectl) or {"metadata": {}})["metadata"]
    return f"{settings} is being deleted, and does not come to an end" if going else ""


def delete(settings: NamespaceSettings, context: JobContext) -> None:
    """Remove the namespace if this stack made it and nothing is in it; else say why it stays."""
    with context.kubectl() as kubectl:
        found = _read(settings, kubectl)
        if found is None:
            return
        if reason := _reason_to_stay(settings, kubectl, found):
            print(f"{settings} stays{reason}", file=sys.stderr)
            return
        which = ("namespace", settings.namespace, "--ignore-not-found", f"--timeout={REMOVAL}s")
        removed = kubectl.run("delete", *which)
    if removed.returncode:
        sys.exit(f"{settings} cannot be removed:\n{removed.stderr}")


def _reason_to_stay(settings: NamespaceSettings, kubectl: Kubectl, found: Item) -> str:
    if found["metadata"].get("annotations", {}).get(MADE_BY) != settings.maker:
        _give_back(settings, kubectl, found)
        return ": it was there before, or somebody has made it anew since"
    try:
        kept = left(kubectl, settings.namespace)
    except NotReadable as error:
        return f": what is in it cannot be seen: {error}"
    more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
    return f", with what is in it: {', '.join(kept[:SHOWN])}{more}" if kept else ""


class NotReadable(Exception):
    """Not all that is in the namespace can be looked at."""


def left(kubectl: Kubectl, namespace: str, settling: float = SETTLING) -> list[str]:
    """Return what is in the namespace for anybody, once what belonged to removed objects had time to go.

    Args:
        kubectl: on its cluster.
        namespace: its name.
        settling: seconds which that may take.

    Raises:
        NotReadable: some of it cannot be looked at.
    """
    deadline = time.monotonic() + settling
    while True:
        items = [item for item in _items(kubectl, namespace) if not _is_transient(item)]
        known = {item["metadata"]["uid"] for item in items}
        kept = [item for item in items if not item["metadata"].get("ownerReferences")]
        orphans = [item for item in items if item not in kept and not known & _owners(item)]
        if kept or not orphans or time.monotonic() > deadline:
            return [f"{item['kind']} {item['metadata']['name']}" for item in [*kept, *orphans]]
        time.sleep(0.5)


def _items(kubectl: Kubectl, namespace: str) -> list[Item]:
    known = _output(kubectl, "api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    kinds = ",".join(kind for kind in known if kind not in TRANSIENT)
    listed = _output(kubectl, "get", kinds, f"--namespace={namespace}", "--output=json")
    items: list[Item] = json.loads(listed)["items"]
    return items


def _output(kubectl: Kubectl, *words: str) -> str:
    done = kubectl.run(*words)
    if done.returncode:
        raise NotReadable(done.stderr.strip())
    return done.stdout


def _is_transient(item: Item) -> bool:
    metadata = item["metadata"]
    return (
        (item["kind"], metadata["name"]) in EVERYWHERE
        or "deletionTimestamp" in metadata
        or LEADER in metadata.get("annotations", {})
        or item.get("type") == TOKEN
    )


def _owners(item: Item) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences", [])}


def _read(settings: NamespaceSettings, kubectl: Kubectl) -> Item | None:
    options = ("--ignore-not-found", "--show-managed-fields", "--output=json")
    done = kubectl.run("get", "namespace", settings.namespace, *options)
    if done.returncode:
        sys.exit(f"cannot look for {settings}:\n{done.stderr}")
    found: Item | None = json.loads(done.stdout) if done.stdout.strip() else None
    return found


def _give_back(settings: NamespaceSettings, kubectl: Kubectl, found: Item) -> None:
    """Take back the labels that the engine alone put on it: a manager who declares nothing any more owns nothing."""
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": settings.namespace}})
    managers = {fields["manager"] for fields in found["metadata"].get("managedFields", [])}
    for manager in sorted(each for each in managers if each.startswith(ENGINE)):
        done = kubectl.run("apply", "--server-side", f"--field-manager={manager}", "--filename=-", stdin=body)
        if done.returncode:
            print(f"{settings} keeps the labels that it was given: {done.stderr.strip()}", file=sys.stderr)


JOB = Job("namespace", NamespaceSettings, {"create": create, "delete": delete})
