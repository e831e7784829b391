"""What istiod signs with is compared with what the stack made, piece by piece."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mesh_federation.stack.config import Rotation, Trust
from mesh_federation.verify import trust
from mesh_federation.verify.cacerts import ca_certs
from mesh_federation.verify.certificates import fingerprint, key_pem, pem
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.runner import run_one
from mesh_federation.verify.verdict import Status
from tests.authorities import authority, cacerts, encoded
from tests.unit.verify.fake_clusters import context, fake, intermediate, pod, root, secret
from tests.unit.verify.fake_clusters import workload_certificate as issued


@pytest.fixture
def east() -> ClusterUnderTest:
    return context().clusters["east"]


def holds(cluster: ClusterUnderTest, **changed: bytes) -> None:
    """Change files of the Secret."""
    files = {name.replace("_", "-") + ".pem": encoded(content) for name, content in changed.items()}
    fake(cluster).when(
        "get", "secret", "cacerts", out=secret({**cacerts(intermediate(cluster.name), root().chain), **files})
    )


def test_what_the_stack_made_passes_and_is_shown_by_its_fingerprints(east: ClusterUnderTest) -> None:
    verdict = trust.cacerts(east)
    assert verdict.status is Status.PASSED
    assert verdict.evidence["authority"] == east.trust.authority


OTHER = authority("another root CA")
CHANGES: list[tuple[str, Callable[[], dict[str, bytes]]]] = [
    ("ca-cert.pem is another root CA", lambda: {"ca_cert": pem(*OTHER.chain)}),
    ("cert-chain.pem does not begin with ca-cert.pem", lambda: {"cert_chain": pem(*root().chain)}),
    ("is signed by none of the roots", lambda: {"root_cert": pem(*OTHER.chain)}),
    ("root-cert.pem holds", lambda: {"root_cert": pem(*root().chain, *OTHER.chain)}),
    ("cacerts does not hold PEM", lambda: {"ca_key": b"nothing"}),
    ("cacerts does not hold PEM", lambda: {"ca_cert": b""}),
]  # fmt: skip


@pytest.mark.parametrize(("found", "changed"), CHANGES)
def test_each_file_that_differs_is_told(
    east: ClusterUnderTest, found: str, changed: Callable[[], dict[str, bytes]]
) -> None:
    holds(east, **changed())
    verdict = trust.cacerts(east)
    assert (verdict.status, found in verdict.message) == (Status.FAILED, True), verdict.message


def test_a_key_of_another_certificate_is_told_and_never_shown(east: ClusterUnderTest) -> None:
    holds(east, ca_key=key_pem(OTHER.key))
    verdict = trust.cacerts(east)
    assert verdict.message == "ca-key.pem belongs to another certificate"
    assert "PRIVATE" not in repr((verdict, ca_certs(east)))


def test_without_the_secret_istiod_signs_itself_a_root_and_that_is_told(east: ClusterUnderTest) -> None:
    fake(east).when("get", "secret", "cacerts", out="")
    assert "a self-made root" in trust.cacerts(east).message


@pytest.mark.parametrize(("warning", "status"), [(1800, Status.PASSED), (1830, Status.FAILED)])
def test_an_authority_that_ends_soon_is_complained_of(east: ClusterUnderTest, warning: int, status: Status) -> None:
    verdict = trust.expiry(east, timedelta(days=warning))
    assert verdict.status is status
    assert verdict.message.startswith("east intermediate CA expires first")


def test_an_authority_that_has_ended_fails(east: ClusterUnderTest) -> None:
    ended = authority("east intermediate CA", root(), days=0)
    holds(east, ca_cert=pem(ended.chain[0]), cert_chain=pem(*ended.chain))
    for verdict in (trust.cacerts(east), trust.expiry(east, timedelta(days=30))):
        assert (verdict.status, "east intermediate CA expired on" in verdict.message) == (Status.FAILED, True)
        assert verdict.hint.startswith("renew ") and "clusters.east.intermediate" in verdict.hint


def test_clusters_that_trust_different_roots_are_named() -> None:
    for scope, found in (("mesh", "west trusts other roots than east"), ("link", "west also trusts another root CA")):
        both, wider = in_scope(scope), in_scope(scope)
        assert trust.roots(both).status is Status.PASSED
        holds(wider.clusters["west"], root_cert=pem(*root().chain, *OTHER.chain))
        assert trust.roots(wider).message.startswith(found)


def test_two_roots_of_one_name_are_told() -> None:
    namesake = authority("root CA")
    both = in_scope("mesh")
    for cluster in both.clusters.values():
        holds(cluster, root_cert=pem(*root().chain, *namesake.chain))
    assert "have the same name: CN=root CA" in trust.roots(both).message


def test_one_root_twice_is_not_two_of_one_name() -> None:
    both = context()
    for cluster in both.clusters.values():
        holds(cluster, root_cert=pem(*root().chain, *root().chain))
    assert "both called" not in trust.roots(both).message


def secrets(own: bytes, trusted: bytes) -> dict[str, object]:
    """What a proxy says of its certificates."""
    return {
        "configs": [
            {"name": "default", "secret": {"tls_certificate": {"certificate_chain": {"inline_bytes": encoded(own)}}}},
            {"name": "ROOTCA", "secret": {"validation_context": {"trusted_ca": {"inline_bytes": encoded(trusted)}}}},
        ]
    }


SLEEP = "spiffe://east.local/ns/sleep/sa/sleep"


@pytest.mark.parametrize(
    ("own", "trusted", "found"),
    [
        (lambda: issued(intermediate("east"), SLEEP), lambda: pem(*root().chain), "1 certificates under root CA"),
        (
            lambda: issued(intermediate("east"), SLEEP) + pem(*OTHER.chain, *root().chain),
            lambda: pem(*root().chain),
            "under root CA",
        ),
        (lambda: issued(OTHER, SLEEP), lambda: pem(*root().chain), "is signed by none of the roots"),
        (lambda: issued(intermediate("east"), "spiffe://x/y"), lambda: pem(*root().chain), "is spiffe://x/y, not"),
        (lambda: issued(intermediate("east"), SLEEP), lambda: pem(*OTHER.chain), "does not trust the roots"),
        (lambda: b"", lambda: b"", "has no certificate"),
    ],
)
def test_what_proxies_really_got_is_followed_to_the_clusters_root(
    east: ClusterUnderTest, own: Callable[[], bytes], trusted: Callable[[], bytes], found: str
) -> None:
    fake(east).lists("pods", pod("sleep", "sleep"), pod("plain", "sleep", proxy=False))
    fake(east).when("exec", "dynamic_active_secrets", out=secrets(own(), trusted()))
    assert found in trust.workloads(scene_of(east), east).message


@pytest.mark.parametrize(("phase", "status"), [(None, Status.FAILED), ("switch", Status.PASSED)])
def test_while_roots_change_a_workload_may_lead_to_either_and_is_told_with_its_own(
    east: ClusterUnderTest, phase: str | None, status: Status
) -> None:
    both = (*root().chain, *OTHER.chain)
    holds(east, root_cert=pem(*both))
    east = replace(east, trust=east.trust.model_copy(update={"trusted": tuple(map(fingerprint, both))}))
    fake(east).lists("pods", pod("sleep", "sleep"))
    fake(east).when("exec", "dynamic_active_secrets", out=secrets(issued(OTHER, SLEEP), pem(*both)))
    model = Trust(rotation=Rotation(phase="switch", root="r2")) if phase else Trust()
    federation = context().federation
    moving = federation.model_copy(update={"trust": model})
    verdict = trust.workloads(Context(moving, {"east": east}), east)
    assert verdict.status is status, verdict.message
    if phase:
        assert "1 certificates under another root CA" in verdict.message
        assert verdict.evidence == {"sleep/sleep-0": f"{SLEEP} of another root CA"}


@pytest.mark.parametrize(("scope", "status"), [("link", Status.FAILED), ("mesh", Status.PASSED)])
def test_a_workload_that_still_trusts_the_roots_of_others_is_named(
    east: ClusterUnderTest, scope: str, status: Status
) -> None:
    fake(east).lists("pods", pod("sleep", "sleep"))
    held = secrets(issued(intermediate("east"), SLEEP), pem(*root().chain, *OTHER.chain))
    fake(east).when("exec", "dynamic_active_secrets", out=held)
    verdict = trust.workloads(Context(in_scope(scope).federation, {"east": east}), east)
    assert verdict.status is status
    if status is Status.FAILED:
        assert "sleep/sleep-0 still trusts another root CA" in verdict.message
        assert "rollout restart" in verdict.hint


def test_a_proxy_that_does_not_answer_is_no_failure_of_trust(east: ClusterUnderTest) -> None:
    fake(east).lists("pods", pod("sleep", "sleep"))
    fake(east).when("exec", error="Error: dial tcp 127.0.0.1:15000: connect: connection refused")
    [check] = [each for each in trust.checks(scene_of(east), timedelta(0)) if each.id == "trust.workloads"]
    verdict = run_one(check).verdict
    assert verdict.status is Status.COULD_NOT_RUN
    assert "sleep/sleep-0: its proxy does not answer" in verdict.message
    assert trust.cacerts(east).status is Status.PASSED, "the cluster itself answers"


def in_scope(scope: str) -> Context:
    """The stack with trust for each link, or for the whole mesh."""
    whole = context()
    trusting = whole.federation.trust.model_copy(update={"scope": scope})
    return replace(whole, federation=whole.federation.model_copy(update={"trust": trusting}))


def scene_of(cluster: ClusterUnderTest) -> Context:
    """A context of one cluster."""
    return Context(context().federation, {cluster.name: cluster})
