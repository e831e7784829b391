"""Objects are read by their names, all at once; what cannot exist is missing, and what cannot be read is no answer."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_federation.plan.objects import Body
from mesh_federation.process import ProcessResult
from mesh_federation.verify.kubectl import ANSWER_SECONDS
from mesh_federation.verify.live_objects import AT_ONCE, ObjectIdentity, live_objects
from mesh_federation.verify.verdict import Inconclusive
from tests.unit.verify.fake_clusters import FakeKubectl, context, fake

ROLE = ObjectIdentity("rbac.authorization.k8s.io/v1", "ClusterRole", "", "istiod")
POLICY = ObjectIdentity("security.istio.io/v1", "AuthorizationPolicy", "httpbin", "export")
GATEWAY = ObjectIdentity("networking.istio.io/v1", "Gateway", "httpbin", "export")
NO_POLICIES = 'no matches for kind "AuthorizationPolicy" in version "security.istio.io/v1"'


def listed(*found: ObjectIdentity) -> dict[str, object]:
    """What kubectl prints of several objects."""
    return {"apiVersion": "v1", "kind": "List", "items": [each.request for each in found]}


@pytest.mark.parametrize(
    ("printed", "found"),
    [("", []), (ROLE.request, [ROLE]), (listed(ROLE, POLICY), [ROLE, POLICY])],
    ids=["none", "one", "several"],
)
def test_objects_are_found_however_many_there_are(printed: Body | str, found: list[ObjectIdentity]) -> None:
    kubectl = fake(context().clusters["west"])
    kubectl.when("get", "--filename=-", "--ignore-not-found", out=printed)
    assert list(live_objects(kubectl, [ROLE, POLICY])) == found
    assert len(kubectl.questions) == 1


def test_an_object_of_a_cluster_has_no_namespace_and_others_have_theirs() -> None:
    assert ROLE.request["metadata"] == {"name": "istiod"}
    assert POLICY.request["metadata"] == {"name": "export", "namespace": "httpbin"}
    assert ObjectIdentity.of(POLICY.request) == POLICY


@dataclass(frozen=True)
class WithoutPolicies(FakeKubectl):
    """A kubectl of a cluster that serves no AuthorizationPolicies: it refuses every request for one as a whole."""

    def run(self, *arguments: str, stdin: str = "", seconds: float = ANSWER_SECONDS) -> ProcessResult:
        """Refuse, or return what was asked for."""
        if POLICY.kind in stdin:
            return ProcessResult([], 1, "", f"error: {NO_POLICIES}")
        return ProcessResult([], 0, stdin, "")


def test_objects_of_a_kind_that_is_not_served_are_missing_and_the_others_are_read() -> None:
    assert list(live_objects(WithoutPolicies("west", Path("west"), {}), [POLICY, ROLE])) == [ROLE]


def test_a_kind_that_nobody_asked_for_is_an_error_and_not_asked_for_again() -> None:
    kubectl = fake(context().clusters["west"])
    kubectl.when("get", "--filename=-", error=f"error: {NO_POLICIES}")
    with pytest.raises(Inconclusive, match="west: cannot read the objects of the stack"):
        live_objects(kubectl, [GATEWAY])
    assert len(kubectl.questions) == 1


def test_no_kubectl_reads_so_many_that_its_time_limit_is_too_short() -> None:
    kubectl = fake(context().clusters["west"])
    kubectl.when("get", "--filename=-")
    live_objects(kubectl, [ROLE._replace(name=str(number)) for number in range(AT_ONCE + 1)])
    assert len(kubectl.questions) == 2
