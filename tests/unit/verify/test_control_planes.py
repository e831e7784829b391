"""A control plane is what it answers, not what its objects say."""

from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.verify import control_planes
from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.verdict import NotApplicable
from tests.unit.verify.fake_clusters import UID, FakeKubectl, context, fake, pod

VERSION = "/api/v1/namespaces/istio-system/services/http:istiod:15014/proxy/version"
DENIED = 'Error from server: admission webhook "validation.istio.io" denied the request: unsupported protocol'


@pytest.fixture
def east() -> ClusterUnderTest:
    return context().clusters["east"]


def test_an_api_server_that_does_not_answer_has_failed(east: ClusterUnderTest) -> None:
    fake(east).when("/readyz", error="The connection to the server 127.0.0.1:6443 was refused")
    verdict = control_planes.api(east)
    assert (verdict.status, "east does not answer" in verdict.message) == ("failed", True)


def test_an_api_server_whose_etcd_is_gone_has_failed_and_only_that_is_told(east: ClusterUnderTest) -> None:
    parts = "[+]ping ok\\n[-]etcd failed: reason withheld\\n[+]log ok\\n[-]etcd-readiness failed: reason withheld"
    error = f'Error from server (InternalError): an error on the server ("{parts}") has prevented the request'
    fake(east).when("/readyz", error=error)
    verdict = control_planes.api(east)
    assert (verdict.status, verdict.message) == ("failed", "it answers but is not ready: etcd, etcd-readiness failed")
    assert verdict.hint.startswith("./mesh up starts stopped clusters")


@pytest.mark.parametrize(
    ("namespace", "status"),
    [(UID, "passed"), ("another", "failed"), ("", "failed")],
)
def test_a_kubeconfig_must_lead_to_the_cluster_that_the_stack_made(
    east: ClusterUnderTest, namespace: str, status: str
) -> None:
    fake(east).when(
        "get", "namespace", "istio-system",
        out={"metadata": {"name": "istio-system", "uid": namespace}} if namespace else "",
    )  # fmt: skip
    verdict = control_planes.identity(east)
    assert verdict.status == status
    assert status == "passed" or "kubeconfigs/east-west/east leads to another cluster" in verdict.message


def test_every_way_to_a_cluster_must_lead_to_it(east: ClusterUnderTest) -> None:
    fake(east).when("get", "namespace", "istio-system", out={"metadata": {"name": "istio-system", "uid": UID}})
    other = FakeKubectl("east", Path("clusters/east-0/kubeconfig"), {})
    other.when("get", "namespace", "istio-system", out={"metadata": {"name": "istio-system", "uid": "another"}})
    verdict = control_planes.identity(replace(east, connections=(east.kubectl, other)))
    assert (verdict.status, "clusters/east-0/kubeconfig leads to another cluster" in verdict.message) == (
        "failed",
        True,
    )


def test_a_state_that_has_nothing_to_know_a_cluster_by_is_not_taken_for_a_proof(east: ClusterUnderTest) -> None:
    with pytest.raises(NotApplicable):
        control_planes.identity(replace(east, uid=""))


def test_kinds_must_be_served_and_not_only_defined(east: ClusterUnderTest) -> None:
    kinds = {
        "networking.istio.io/v1": ["ServiceEntry", "DestinationRule", "Gateway", "WorkloadEntry"],
        "networking.istio.io/v1alpha3": ["EnvoyFilter"],
        "security.istio.io/v1": ["PeerAuthentication", "AuthorizationPolicy"],
        "metallb.io/v1beta1": ["IPAddressPool", "L2Advertisement"],
    }
    for version, names in kinds.items():
        fake(east).when(f"--raw=/apis/{version}", out={"resources": [{"kind": name} for name in names]})
    assert control_planes.definitions(east).status == "passed"
    fake(east).when("/apis/security.istio.io/v1", error="Error from server (NotFound): the server could not find it")
    verdict = control_planes.definitions(east)
    lacking = "AuthorizationPolicy (security.istio.io/v1), PeerAuthentication (security.istio.io/v1)"
    assert verdict.message == f"it does not serve {lacking}"
    assert verdict.hint == "./mesh up --refresh applies the definitions again"


@pytest.mark.parametrize(
    ("available", "release", "status", "found"),
    [
        (1, "1.31.0-deadbeef-Clean", "passed", "release 1.31.0-deadbeef"),
        (0, "1.31.0", "failed", "no pod of istiod is available"),
        (1, "1.30.2", "failed", "istiod has release 1.30.2, the stack file declares 1.31.0"),
    ],
)
def test_istiod_must_be_available_in_the_declared_release(
    east: ClusterUnderTest, available: int, release: str, status: str, found: str
) -> None:
    fake(east).lists("deployments", {"metadata": {"name": "istiod"}, "status": {"availableReplicas": available}})
    fake(east).when(VERSION, out=release)
    verdict = control_planes.istiod(east)
    assert (verdict.status, found in verdict.message) == (status, True), verdict.message


@pytest.mark.parametrize(
    ("proxy", "status"),
    [("1.31.0", "passed"), ("1.30.4", "passed"), ("1.29.0", "failed"), ("1.32.0", "failed"), ("", "failed")],
)
def test_a_proxy_may_be_one_release_behind_and_none_ahead(east: ClusterUnderTest, proxy: str, status: str) -> None:
    fake(east).when(VERSION, out="1.31.0")
    fake(east).lists("pods", pod("sleep", "sleep"))
    fake(east).when("exec", "server_info", out={"node": {"metadata": {"ISTIO_VERSION": proxy}}})
    assert control_planes.versions(east).status == status


INJECTED = {"metadata": {"name": "sleep", "labels": {"istio-injection": "enabled"}}}


@pytest.mark.parametrize(
    ("wrong", "namespaces", "made", "found"),
    [
        (DENIED, [INJECTED], '{"name": "istio-proxy"}', "a pod in sleep gets its proxy"),
        (DENIED, [], "", "no namespace is in the mesh"),
        (DENIED, [INJECTED], "{}", "a pod in sleep would get no proxy"),
        ("", [INJECTED], "{}", "an invalid object would be accepted"),
        ("Error: failed calling webhook: no endpoints available", [INJECTED], "{}", "istiod does not validate"),
    ],
)
def test_webhooks_must_refuse_what_is_wrong_and_add_the_proxy(
    east: ClusterUnderTest, wrong: str, namespaces: list[object], made: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(east).when("create", "--dry-run=server", error=wrong)
    fake(east).lists("namespaces", *namespaces)
    kubectl = type(east.kubectl)
    real = kubectl.create_dry_run

    def create_dry_run(self: object, body: dict[str, object]) -> object:
        if body["kind"] == "Pod":
            fake(east).when("create", "--dry-run=server", out=made)
        return real(east.kubectl, body)

    monkeypatch.setattr(kubectl, "create_dry_run", create_dry_run)
    assert found in control_planes.webhooks(east).message
