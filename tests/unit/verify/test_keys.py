"""No workload may read the key that istiod signs with: API servers are asked, and say by which binding one may."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from mesh_federation.process import ProcessResult
from mesh_federation.verify import keys
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.kubectl import ANSWER_SECONDS
from mesh_federation.verify.runner import run_one
from mesh_federation.verify.verdict import Status, Verdict
from tests.unit.verify.fake_clusters import FakeKubectl, context, fake, pod

GROUP = 'RBAC: allowed by RoleBinding "anybody/istio-system" of ClusterRole "edit" to Group "system:serviceaccounts"'
BOUND = 'RBAC: allowed by ClusterRoleBinding "tool" of ClusterRole "tool" to ServiceAccount "tool/shop"'
READ = ("get", "list", "watch")


@dataclass(frozen=True)
class Guarded(FakeKubectl):
    """A cluster that decides who may read the Secret.

    Attributes:
        allows: by user or group and verb, the reason.
        reviewed: what it was asked.
    """

    allows: Mapping[tuple[str, str], str] = field(default_factory=dict)
    reviewed: list[dict[str, object]] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> ProcessResult:
        """Decide, and answer as kubectl prints it: one object after the other."""
        if arguments[0] != "create" or any("create" in words for words, _ in self.answers):
            return super().run(*arguments, stdin=stdin, seconds=seconds)
        questions = json.loads(stdin)["items"]
        self.reviewed.extend(questions)
        printed = "".join(json.dumps(self._decided(each), indent=4) + "\n" for each in questions)
        return ProcessResult([], 0, printed, "")

    def _decided(self, question: dict[str, dict[str, object]]) -> dict[str, object]:
        spec = question["spec"]
        wanted = spec["resourceAttributes"]
        assert isinstance(wanted, dict) and isinstance(spec["groups"], list)
        assert (wanted["resource"], wanted["namespace"], wanted["name"]) == ("secrets", "istio-system", "cacerts")
        known = (self.allows.get((who, wanted["verb"])) for who in (str(spec["user"]), *map(str, spec["groups"])))
        reason = next(filter(None, known), None)
        return {**question, "status": {"allowed": bool(reason), **({"reason": reason} if reason else {})}}


def place(
    whole: Context, name: str, *pods: object, allows: Mapping[tuple[str, str], str] | None = None
) -> ClusterUnderTest:
    """A cluster with pods, which decides."""
    cluster = whole.clusters[name]
    kubectl = Guarded(name, cluster.kubectl.kubeconfig, {}, allows=allows or {})
    labels = {"istio-injection": "enabled"}
    named = [{"metadata": {"name": each, "labels": labels}} for each in ("httpbin", "sleep", "shop")]
    kubectl.lists("namespaces", *named, *({"metadata": {"name": each}} for each in ("istio-system", "kube-system")))
    kubectl.lists("pods", *pods)
    return replace(cluster, kubectl=kubectl)


def judged(*pods: object, allows: Mapping[tuple[str, str], str] | None = None) -> Verdict:
    whole = context()
    return keys.key(whole, place(whole, "west", *pods, allows=allows))


def user(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def test_where_no_account_may_read_the_key_all_that_were_asked_about_are_told() -> None:
    verdict = judged(pod("cart", "shop", account="cart"))
    assert (verdict.status, verdict.message) == (Status.PASSED, "none of 6 accounts may read istio-system/cacerts")
    assert verdict.evidence["accounts"] == (
        "httpbin/default, httpbin/httpbin, istio-system/istio-eastwestgateway, shop/cart, shop/default, sleep/default"
    )


def test_accounts_are_those_that_are_declared_and_those_of_pods_in_the_mesh() -> None:
    whole = context()
    names = {str(each) for each in keys.accounts(whole, place(whole, "east"))}
    assert {"sleep/sleep", "sleep/default"} <= names, "east calls as sleep, which west's export names"
    pods = [
        pod("istiod", "istio-system"),
        pod("istio-eastwestgateway", "istio-system"),
        pod("coredns", "kube-system", proxy=False),
        pod("tool", "tools", account="tool"),
        pod("plain", "shop", account="plain", proxy=False),
    ]
    named = {str(each) for each in keys.accounts(whole, place(whole, "east", *pods))}
    assert named - names == {"tools/tool", "tools/default", "shop/plain"}


@pytest.mark.parametrize("verb", READ)
def test_one_way_to_read_it_is_enough_and_is_told_with_its_binding(verb: str) -> None:
    verdict = judged(pod("tool", "shop", account="tool"), allows={(user("shop", "tool"), verb): BOUND})
    assert verdict.status is Status.FAILED
    assert verdict.message == f"shop/tool may {verb} istio-system/cacerts ({BOUND})"
    assert "rolebindings,clusterrolebindings" in verdict.hint and "--context west" in verdict.hint


@pytest.mark.parametrize("group", ["system:serviceaccounts", "system:authenticated"])
def test_what_a_group_may_all_its_accounts_may_in_one_line(group: str) -> None:
    allows = {(group, verb): GROUP for verb in READ} | {(user("shop", "tool"), "get"): BOUND}
    verdict = judged(pod("tool", "shop", account="tool"), allows=allows)
    may = f"may get, list, watch istio-system/cacerts ({GROUP})"
    names = "httpbin/default, httpbin/httpbin, istio-system/istio-eastwestgateway, shop/default, sleep/default"
    assert verdict.message.split("; ")[0] == f"{names} {may}"
    assert verdict.message.count("shop/tool") == 1


def test_the_accounts_of_one_namespace_are_a_group_too() -> None:
    verdict = judged(allows={("system:serviceaccounts:shop", "get"): GROUP})
    assert verdict.message.startswith("shop/default may get ")


def test_many_accounts_are_asked_about_in_few_calls() -> None:
    whole = context()
    cluster = place(whole, "west", *(pod(f"pod-{number}", "shop") for number in range(50)))
    assert keys.key(whole, cluster).status is Status.PASSED
    kubectl = fake(cluster)
    assert isinstance(kubectl, Guarded)
    assert len(kubectl.reviewed) == 3 * (50 + 5)
    assert len(kubectl.questions) <= 2, "of the objects, each once"


@pytest.mark.parametrize(
    ("out", "error", "found", "hint"),
    [
        ("", "Error from server (Forbidden): subjectaccessreviews is forbidden", "cannot review who",
         "use credentials for west that allow it"),
        ("", "", "0 of 15 reviews", "try again"),
        ("nonsense", "", "a review cannot be read", "another format"),
        ('{"kind": "SubjectAccessReview"}', "", "a review cannot be read", "another format"),
    ],
)  # fmt: skip
def test_who_cannot_ask_does_not_know(out: str, error: str, found: str, hint: str) -> None:
    whole = context()
    cluster = place(whole, "west")
    fake(cluster).when("create", out=out, error=error)
    [check] = keys.checks(Context(whole.federation, {"west": cluster}))
    verdict = run_one(check).verdict
    assert verdict.status is Status.COULD_NOT_RUN
    assert found in verdict.message and hint in verdict.hint


def test_simulated_clusters_are_asked_too_as_they_decide_the_same() -> None:
    whole = context("simulated")
    cluster = place(
        whole, "west", pod("httpbin", "httpbin", proxy=False), allows={("system:serviceaccounts", "get"): GROUP}
    )
    [check] = keys.checks(Context(whole.federation, {"west": cluster}))
    assert check.run().message.startswith("httpbin/default, httpbin/httpbin, ")


def test_gateways_are_asked_about_because_other_meshes_reach_them() -> None:
    whole = context()
    cluster = place(whole, "west")
    bare = Context(whole.federation.model_copy(update={"exports": ()}), {"west": cluster})
    fake(cluster).lists("namespaces")
    empty = replace(cluster, plan=replace(cluster.plan, samples=()))
    assert [str(each) for each in keys.accounts(bare, empty)] == ["istio-system/istio-eastwestgateway"]
