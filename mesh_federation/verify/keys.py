"""The check of the signing key: whoever reads it can be any workload of every mesh that trusts its root.

API servers are asked what they would let an account do (SubjectAccessReview), which stores nothing and holds for what
was bound by anybody, also by a chart of somebody else's. It is asked of simulated clusters too: they decide the same.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product

from pydantic import ValidationError

from mesh_federation.plan.istio_values import NAMESPACE
from mesh_federation.stack.config import NamespacedName
from mesh_federation.verify.check import Check
from mesh_federation.verify.cluster import Cluster
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.objects import Namespace, Seen
from mesh_federation.verify.parallel import together
from mesh_federation.verify.verdict import Inconclusive, Verdict, failed, not_applicable, passed

SECRET = "cacerts"
VERBS = ("get", "list", "watch")
"""Each tells what is in a Secret."""
AT_ONCE = 60
"""Questions that one call of kubectl carries: a few seconds of a slow API server."""


class Attributes(Seen):
    """What somebody would do."""

    verb: str


class Asked(Seen):
    """A question to an API server."""

    user: str
    resource_attributes: Attributes


class Answer(Seen):
    """Whether it would let them, and by what."""

    allowed: bool
    reason: str = ""


class Review(Seen):
    """A SubjectAccessReview."""

    spec: Asked
    status: Answer


def checks(scene: Context) -> Iterator[Check]:
    """Plan the check of every cluster."""
    for site in scene.sites.values():
        proves = f"{site.name}: no workload may read the key that istiod signs with"
        yield Check("trust.key", (site.path,), proves, partial(key, scene, site))


def key(scene: Context, site: ClusterUnderTest) -> Verdict:
    """Ask the API server whether it would let an account of the mesh read the Secret."""
    asked = accounts(scene, site)
    if not asked:
        return not_applicable("no workload is in the mesh, and none is declared")
    told = _allowed(site.cluster, asked)
    if told:
        hint = (
            f"remove the binding, or take secrets out of its role: kubectl --context {site.name}"
            f" --namespace {NAMESPACE} get rolebindings,clusterrolebindings; then renew the authority, as its key may"
            " have been read"
        )
        return failed("; ".join(told), hint)
    names = ", ".join(map(str, asked))
    return passed(f"none of {len(asked)} accounts may read {NAMESPACE}/{SECRET}", accounts=names)


def accounts(scene: Context, site: ClusterUnderTest) -> list[NamespacedName]:
    """Return the accounts of workloads in the mesh: declared ones, and those of pods that run; none of Istio's own.

    Of each namespace `default` is one: pods that name none have it. Pods on paper have no proxy, so that all count that
    are in a namespace of the mesh.
    """
    exports = scene.federation.exports
    found = {export.identity for export in exports if export.cluster == site.name}
    found |= {workload.reference for workload in site.plan.workloads}
    consumers = (consumer for export in exports for consumer in export.to if consumer.cluster == site.name)
    found |= {account for consumer in consumers for account in consumer.service_accounts or ()}
    meshed = {each.metadata.name for each in site.cluster.listed(Namespace, "namespaces") if each.is_injected}
    in_mesh = [pod for pod in site.cluster.pods() if pod.has_proxy or pod.metadata.namespace in meshed]
    found |= {pod.account for pod in in_mesh}
    found |= {NamespacedName(namespace, "default") for namespace in meshed | {each.namespace for each in found}}
    return sorted(each for each in found if each.namespace != NAMESPACE)


def _allowed(cluster: Cluster, asked: Sequence[NamespacedName]) -> list[str]:
    """Say which accounts may read the Secret, and by what; those that may by the same in one line."""
    questions = [_question(account, verb) for account, verb in product(asked, VERBS)]
    parts = [questions[start : start + AT_ONCE] for start in range(0, len(questions), AT_ONCE)]
    answers = [each for _, answered in together(partial(_asked, cluster), parts) for each in answered]
    granted: dict[str, list[Review]] = defaultdict(list)
    for answer in answers:
        if answer.status.allowed:
            granted[answer.spec.user].append(answer)
    alike: dict[str, list[str]] = defaultdict(list)
    for account in asked:
        if given := granted[_user(account)]:
            verbs = ", ".join(each.spec.resource_attributes.verb for each in given)
            reasons = "; ".join(sorted({each.status.reason for each in given} - {""})) or "no reason given"
            alike[f"may {verbs} {NAMESPACE}/{SECRET} ({reasons})"].append(str(account))
    return [f"{', '.join(names)} {what}" for what, names in alike.items()]


def _asked(cluster: Cluster, questions: Sequence[Mapping[str, object]]) -> list[Review]:
    """Ask several questions in one go."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": questions})
    done = cluster.asked("create", "--filename=-", "--validate=false", "--output=json", stdin=body)
    if done.code:
        raise cluster.unseen(f"cannot ask who may read {NAMESPACE}/{SECRET}", done.error)
    answers = list(_reviews(cluster, done.out))
    if len(answers) != len(questions):
        found = f"{cluster.name}: {len(answers)} of {len(questions)} questions who may read the key were answered"
        raise Inconclusive(found, "try again; where it stays so, say so to the makers of this program")
    return answers


def _reviews(cluster: Cluster, text: str) -> Iterator[Review]:
    """Read the objects that kubectl prints, one after the other."""
    reader, rest = json.JSONDecoder(), text.strip()
    while rest:
        try:
            value, end = reader.raw_decode(rest)
            yield Review.model_validate(value)
        except (ValueError, ValidationError):
            fix = "this release of Kubernetes answers in another form: say so to the makers of this program"
            raise Inconclusive(f"{cluster.name}: the answer who may read the key cannot be read", fix) from None
        rest = rest[end:].lstrip()


def _question(account: NamespacedName, verb: str) -> dict[str, object]:
    """Ask as the API server would see a pod that runs as this account.

    The Secret is named for every verb: that holds for roles of all Secrets, and for those of this one alone.
    """
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated"]
    wanted = {"group": "", "resource": "secrets", "namespace": NAMESPACE, "name": SECRET, "verb": verb}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": _user(account), "groups": groups, "resourceAttributes": wanted},
    }


def _user(account: NamespacedName) -> str:
    return f"system:serviceaccount:{account.namespace}:{account.name}"
