"""The check of the signing key: whoever can read it can impersonate every workload of all meshes that trust its root.

API servers review what an account may do (SubjectAccessReview). That stores nothing, and covers the bindings of all
owners, for example of other charts. Simulated clusters review in the same way.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product

from pydantic import ValidationError

from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.objects import KubernetesPart, Namespace
from mesh_federation.verify.parallel import map_parallel
from mesh_federation.verify.verdict import Inconclusive, Verdict, failed, passed

SECRET = "cacerts"
VERBS = ("get", "list", "watch")
"""Verbs that reveal the contents of a Secret."""
AT_ONCE = 60
"""Reviews in one kubectl command: a few seconds of a slow API server."""


class ResourceAttributes(KubernetesPart):
    """The reviewed action."""

    verb: str


class ReviewSpec(KubernetesPart):
    """The request of a review."""

    user: str
    resource_attributes: ResourceAttributes


class ReviewStatus(KubernetesPart):
    """The result of a review, with its reason."""

    allowed: bool
    reason: str = ""


class SubjectAccessReview(KubernetesPart):
    """A SubjectAccessReview."""

    spec: ReviewSpec
    status: ReviewStatus


def checks(context: Context) -> Iterator[Check]:
    """Return the check of every cluster."""
    for cluster in context.signing:
        description = f"{cluster.name}: no workload or gateway may read the signing key of istiod"
        yield Check("trust.key", (cluster.path,), description, partial(key, context, cluster))


def key(context: Context, cluster: ClusterUnderTest) -> Verdict:
    """Let the API server review whether an account of the mesh may read the Secret."""
    reviewed, secret = accounts(context, cluster), NamespacedName(cluster.plan.declared.istio_namespace, SECRET)
    allowed = _allowed(cluster.kubectl, secret, reviewed)
    if allowed:
        hint = (
            f"remove the binding, or take secrets out of its role: kubectl --context {cluster.name} --namespace"
            f" {secret.namespace} get rolebindings,clusterrolebindings; then renew the authority, as its key may have"
            " been read"
        )
        return failed("; ".join(allowed), hint)
    names = ", ".join(map(str, reviewed))
    return passed(f"none of {len(reviewed)} accounts may read {secret}", accounts=names)


def accounts(context: Context, cluster: ClusterUnderTest) -> list[NamespacedName]:
    """Return the accounts of workloads in the mesh, declared or running, and of gateways; of istiod's own none.

    `default` of each namespace is included, as pods without an account use it. Simulated pods have no proxy, so
    all pods of injected namespaces count.
    """
    exports = context.federation.exports
    found = {export.identity for export in exports if export.cluster == cluster.name}
    found |= {sample.workload.reference for sample in cluster.plan.samples}
    consumers = (consumer for export in exports for consumer in export.to if consumer.cluster == cluster.name)
    found |= {account for consumer in consumers for account in consumer.service_accounts or ()}
    meshed = {each.metadata.name for each in cluster.kubectl.listed(Namespace, "namespaces") if each.is_injected}
    in_mesh = [pod for pod in cluster.kubectl.pods() if pod.has_proxy or pod.metadata.namespace in meshed]
    found |= {pod.account for pod in in_mesh}
    found |= {NamespacedName(namespace, "default") for namespace in meshed | {each.namespace for each in found}}
    own = cluster.plan.declared.istio_namespace
    gateways = {release.reference for release in cluster.plan.releases if release.chart == "gateway"}
    return sorted({each for each in found if each.namespace != own} | gateways)


def _allowed(kubectl: CachedKubectl, secret: NamespacedName, reviewed: Sequence[NamespacedName]) -> list[str]:
    """Describe the accounts that may read the Secret, one line for each reason."""
    reviews = [_review(account, secret, verb) for account, verb in product(reviewed, VERBS)]
    parts = [reviews[start : start + AT_ONCE] for start in range(0, len(reviews), AT_ONCE)]
    results = [each for _, completed in map_parallel(partial(_completed, kubectl, secret), parts) for each in completed]
    granted: dict[str, list[SubjectAccessReview]] = defaultdict(list)
    for result in results:
        if result.status.allowed:
            granted[result.spec.user].append(result)
    alike: dict[str, list[str]] = defaultdict(list)
    for account in reviewed:
        if given := granted[_user(account)]:
            verbs = ", ".join(each.spec.resource_attributes.verb for each in given)
            reasons = "; ".join(sorted({each.status.reason for each in given} - {""})) or "no reason given"
            alike[f"may {verbs} {secret} ({reasons})"].append(str(account))
    return [f"{', '.join(names)} {what}" for what, names in alike.items()]


def _completed(
    kubectl: CachedKubectl, secret: NamespacedName, reviews: Sequence[Mapping[str, object]]
) -> list[SubjectAccessReview]:
    """Create several reviews with one command."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    done = kubectl.run("create", "--filename=-", "--validate=false", "--output=json", stdin=body)
    if done.returncode:
        raise kubectl.inconclusive(f"cannot review who may read {secret}", done.stderr)
    results = list(_parsed(kubectl, done.stdout))
    if len(results) != len(reviews):
        message = f"{kubectl.name}: the API server completed {len(results)} of {len(reviews)} reviews"
        raise Inconclusive(message, "try again; if it persists, please report it as a bug in mesh-federation")
    return results


def _parsed(kubectl: CachedKubectl, text: str) -> Iterator[SubjectAccessReview]:
    """Parse the objects that kubectl prints one after the other."""
    reader, rest = json.JSONDecoder(), text.strip()
    while rest:
        try:
            value, end = reader.raw_decode(rest)
            yield SubjectAccessReview.model_validate(value)
        except (ValueError, ValidationError):
            fix = "this release of Kubernetes has another format: please report it as a bug in mesh-federation"
            raise Inconclusive(f"{kubectl.name}: a review cannot be read", fix) from None
        rest = rest[end:].lstrip()


def _review(account: NamespacedName, secret: NamespacedName, verb: str) -> dict[str, object]:
    """Return the review of an action of a pod that runs as an account on a Secret.

    Every verb names the Secret, which covers roles for all Secrets and roles for this one.
    """
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated"]
    wanted = {"group": "", "resource": "secrets", "namespace": secret.namespace, "name": secret.name, "verb": verb}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": _user(account), "groups": groups, "resourceAttributes": wanted},
    }


def _user(account: NamespacedName) -> str:
    return f"system:serviceaccount:{account.namespace}:{account.name}"
