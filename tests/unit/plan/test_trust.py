"""Which authorities there are, and how their certificates are joined."""

from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.loader import parse
from mesh_federation.plan import trust
from mesh_federation.stack import pem
from mesh_federation.verify import certificates
from tests.unit.plan.model import tree
from tests.unit.verify.fake_clusters import intermediate, root

CERTIFICATES = st.text("ABCDEFabcdef0123456789+/", min_size=4, max_size=40).map(
    lambda body: f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
)


def planned(model: str) -> trust.TrustPlan:
    return trust.plan(parse(tree(trust={"model": model})))


@given(st.lists(CERTIFICATES, max_size=8), st.randoms())
def test_a_bundle_is_sorted_and_free_of_repetition_in_whatever_order_roots_come(
    roots: list[str], random: Random
) -> None:
    shuffled = [*roots, *roots]
    random.shuffle(shuffled)
    bundle = pem.bundle(roots)
    assert pem.bundle(shuffled) == bundle
    assert pem.certificates(bundle) == sorted(set(roots))


@given(st.lists(CERTIFICATES, max_size=8))
def test_a_chain_keeps_the_order_of_its_links(links: list[str]) -> None:
    assert pem.certificates(pem.chain(*links)) == links
    assert pem.chain("".join(links)) == pem.chain(*links)


@given(CERTIFICATES)
def test_text_around_certificates_and_missing_line_ends_do_not_matter(certificate: str) -> None:
    wrapped = f"Subject: CN=x\n{certificate.strip()}"
    assert pem.certificates(wrapped + "\n\n# end") == [certificate]
    assert pem.bundle([wrapped, certificate]) == certificate


def test_clusters_with_a_common_root_have_an_intermediate_each() -> None:
    plan = planned("common")
    assert [root.name for root in plan.roots] == ["root"]
    assert [(signed.cluster, signed.root.name) for signed in plan.intermediates] == [("east", "root"), ("west", "root")]


def test_separate_roots_sign_only_their_own_clusters() -> None:
    plan = planned("separate")
    assert [root.name for root in plan.roots] == ["east-root", "west-root"]
    assert [(signed.cluster, signed.root.name) for signed in plan.intermediates] == [
        ("east", "east-root"),
        ("west", "west-root"),
    ]


def test_no_two_authorities_share_a_name() -> None:
    for model in ("common", "separate"):
        plan = planned(model)
        names = [*(root.common_name for root in plan.roots), *(signed.common_name for signed in plan.intermediates)]
        assert len(set(names)) == len(names)


def test_authorities_may_sign_certificates() -> None:
    assert {"cert_signing", "crl_signing"} <= set(trust.CA_USES)


def test_certificates_are_told_apart_by_the_fingerprints_that_other_programs_print() -> None:
    chain = certificates.pem(*intermediate("east").chain).decode()
    bundle = certificates.pem(*root().chain).decode()
    [authority, own] = intermediate("east").chain
    assert pem.fingerprints(chain, bundle, bundle) == {
        "authority": printed(authority), "root": printed(own), "trusted": [printed(own)], "anchors": [printed(own)],
    }  # fmt: skip


def printed(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
