"""What istiod gets to sign with and to trust, checked with real keys and two X.509 implementations."""

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
    VerifiedClient,
)

from mesh_federation.stack.pem import certificates
from tests.unit.components.authorities import Issuer, authority, provided, workload
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, committed, three_clusters, with_trust
from tests.unit.components.recorder import Run


@dataclass(frozen=True)
class Cacerts:
    """The Secret `cacerts` of one cluster, decoded."""

    certificate: str
    key: str
    chain: str
    bundle: str

    @property
    def issuer(self) -> Issuer:
        """Who signs this cluster's workloads."""
        key = load_pem_private_key(self.key.encode(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        return Issuer(x509.load_pem_x509_certificate(self.certificate.encode()), key)

    @property
    def links(self) -> list[x509.Certificate]:
        """The certificates of the chain, in its order."""
        return x509.load_pem_x509_certificates(self.chain.encode())

    @property
    def roots(self) -> list[x509.Certificate]:
        """The trusted roots, in the bundle's order."""
        return x509.load_pem_x509_certificates(self.bundle.encode())


def cacerts(run: Run, cluster: str) -> Cacerts:
    data = run.one("Secret", f"{cluster}:istio-system/cacerts").body["data"]
    texts = {name: base64.b64decode(text).decode() for name, text in data.items()}
    return Cacerts(texts["ca-cert.pem"], texts["ca-key.pem"], texts["cert-chain.pem"], texts["root-cert.pem"])


def larger_keys() -> Tree:
    tree = with_trust("separate")
    return {**tree, "trust": {"model": "separate", "key": {"algorithm": "ECDSA", "curve": "P384"}}}


MODELS: dict[str, Tree] = {
    "common": committed("simulated"),
    "separate": committed("separate-roots"),
    "provided": provided(),
    "three": three_clusters(),
    "three-separate": {**three_clusters(), "trust": {"model": "separate"}},
    "P384": larger_keys(),
}
every_model = pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in MODELS.items()])


def verified(leaf: x509.Certificate, sent: list[x509.Certificate], roots: list[x509.Certificate]) -> VerifiedClient:
    """Validate a path as a TLS library does; raises VerificationError."""
    authorities = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    leaves = ExtensionPolicy.permit_all()
    policy = PolicyBuilder().store(Store(roots)).extension_policies(ca_policy=authorities, ee_policy=leaves)
    return policy.build_client_verifier().verify(leaf, sent)


def openssl_accepts(folder: Path, leaf: x509.Certificate, sent: str, bundle: str) -> bool:
    files = {"leaf.pem": leaf.public_bytes(Encoding.PEM).decode(), "sent.pem": sent, "bundle.pem": bundle}
    for name, text in files.items():
        (folder / name).write_text(text)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "bundle.pem", "-untrusted", "sent.pem", "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def spiffe(cluster: str) -> str:
    return f"spiffe://{cluster}.local/ns/httpbin/sa/httpbin"


def in_whole_mesh(tree: Tree) -> Tree:
    return {**tree, "trust": {**tree["trust"], "scope": "mesh"}}


def anchors(run: Run, kind: str, name: str) -> dict[str, list[x509.Certificate]]:
    """What a filter lets vouch for each trust domain, in the first of its patches."""
    patch = run.one(kind, name).body["spec"]["configPatches"][0]["patch"]["value"]["transport_socket"]
    context = patch["typed_config"]["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    domains = context["custom_validator_config"]["typed_config"]["trust_domains"]
    return {
        each["name"]: x509.load_pem_x509_certificates(each["trust_bundle"]["inline_string"].encode())
        for each in domains
    }


@every_model
def test_an_exported_workload_accepts_each_cluster_under_its_own_authority_alone(record: Record, tree: Tree) -> None:
    run = record(tree)
    for exporter in {export["cluster"] for export in tree["exports"]}:
        bound = anchors(run, "EnvoyFilter", f"{exporter}:httpbin/export-httpbin-httpbin")
        assert set(bound) == {f"{exporter}.local", "east.local"}
        for signing in tree["clusters"]:
            own = cacerts(run, signing)
            leaf = workload(spiffe(signing), own.issuer)
            for domain, vouching in bound.items():
                if domain == f"{signing}.local":
                    assert verified(leaf, own.links, vouching).subjects is not None
                else:
                    with pytest.raises(VerificationError):
                        verified(leaf, own.links, vouching)


@every_model
def test_callers_accept_an_exporter_under_its_own_authority_alone(record: Record, tree: Tree) -> None:
    run = record(tree)
    bound = anchors(run, "EnvoyFilter", "east:sleep/import-httpbin-httpbin")
    assert set(bound) == {f"{link['from']}.local" for link in tree["imports"]}
    for domain, vouching in bound.items():
        for signing in tree["clusters"]:
            own = cacerts(run, signing)
            leaf = workload(spiffe(signing), own.issuer)
            if domain == f"{signing}.local":
                assert verified(leaf, own.links, vouching).subjects is not None
            else:
                with pytest.raises(VerificationError):
                    verified(leaf, own.links, vouching)


@every_model
def test_with_trust_for_each_link_a_bundle_holds_the_own_root_alone(record: Record, tree: Tree) -> None:
    run = record(tree)
    for name in tree["clusters"]:
        own = cacerts(run, name)
        assert own.roots == [own.links[-1]]


@every_model
def test_workloads_of_every_cluster_are_trusted_in_every_cluster(record: Record, tree: Tree, tmp_path: Path) -> None:
    run = record(in_whole_mesh(tree))
    for signing in tree["clusters"]:
        own = cacerts(run, signing)
        leaf = workload(spiffe(signing), own.issuer)
        for trusting in tree["clusters"]:
            peer = cacerts(run, trusting)
            found = verified(leaf, own.links, peer.roots)
            assert found.subjects is not None
            assert openssl_accepts(tmp_path, leaf, own.chain, peer.bundle), f"{trusting} refuses {signing}"


def test_a_bundle_without_a_clusters_root_refuses_its_workloads(record: Record, tmp_path: Path) -> None:
    """The check above can fail: with the own root alone, the peer of the separate model is a stranger."""
    run = record(MODELS["separate"])
    east, west = cacerts(run, "east"), cacerts(run, "west")
    leaf = workload(spiffe("west"), west.issuer)
    own_root = certificates(east.chain)[-1]
    with pytest.raises(VerificationError):
        verified(leaf, west.links, x509.load_pem_x509_certificates(own_root.encode()))
    assert not openssl_accepts(tmp_path, leaf, west.chain, own_root)


@every_model
def test_every_cluster_has_the_same_bundle_byte_for_byte(record: Record, tree: Tree) -> None:
    run = record(in_whole_mesh(tree))
    bundles = {cacerts(run, name).bundle for name in tree["clusters"]}
    assert len(bundles) == 1
    bundle = bundles.pop()
    assert len(certificates(bundle)) == len(set(certificates(bundle)))
    assert "".join(certificates(bundle)) == bundle


@pytest.mark.parametrize(
    ("name", "roots"), [("common", 1), ("separate", 2), ("provided", 2), ("three", 1), ("three-separate", 3)]
)
def test_the_bundle_holds_the_roots_of_the_trust_model_and_nothing_else(record: Record, name: str, roots: int) -> None:
    bundle = cacerts(record(in_whole_mesh(MODELS[name])), "east").roots
    assert len(bundle) == roots
    assert all(certificate.subject == certificate.issuer for certificate in bundle)


@every_model
def test_chains_lead_from_the_intermediate_to_its_own_root(record: Record, tree: Tree) -> None:
    run = record(tree)
    for name in tree["clusters"]:
        own = cacerts(run, name)
        assert own.chain.startswith(own.certificate)
        for lower, upper in zip(own.links, own.links[1:], strict=False):
            lower.verify_directly_issued_by(upper)
        assert own.links[-1] in own.roots
        assert own.links[-1].subject == own.links[-1].issuer


@every_model
def test_the_key_belongs_to_the_intermediate_and_to_no_other(record: Record, tree: Tree) -> None:
    run = record(tree)
    keys = set()
    for name in tree["clusters"]:
        issuer = cacerts(run, name).issuer
        assert issuer.key.public_key() == issuer.certificate.public_key()
        keys.add(cacerts(run, name).key)
    assert len(keys) == len(tree["clusters"])


@every_model
def test_all_authorities_have_names_of_their_own(record: Record, tree: Tree) -> None:
    run = record(tree)
    authorities = {
        certificate.public_bytes(Encoding.PEM): certificate.subject.rfc4514_string()
        for name in tree["clusters"]
        for certificate in [*cacerts(run, name).links, *cacerts(run, name).roots]
    }
    assert len(set(authorities.values())) == len(authorities)


@every_model
def test_authorities_may_sign_and_are_found_by_key_identifier(record: Record, tree: Tree) -> None:
    run = record(tree)
    for name in tree["clusters"]:
        links = cacerts(run, name).links
        for certificate, issuer in zip(links, [*links[1:], links[-1]], strict=True):
            extensions = certificate.extensions
            assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            usage = extensions.get_extension_for_class(x509.KeyUsage).value
            assert usage.key_cert_sign and usage.crl_sign
            own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            above = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
            assert own
            assert above == issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


@every_model
def test_no_authority_is_limited_to_an_extended_use(record: Record, tree: Tree) -> None:
    """Istio refuses a CA that has one."""
    run = record(tree)
    for name in tree["clusters"]:
        for certificate in [*cacerts(run, name).links, *cacerts(run, name).roots]:
            with pytest.raises(x509.ExtensionNotFound):
                certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_lifetimes_are_the_declared_ones(record: Record) -> None:
    tree = committed("simulated")
    tree["trust"] |= {"rootDays": 100, "intermediateDays": 50}
    own = cacerts(record(tree), "east")
    lifetimes = [(link.not_valid_after_utc - link.not_valid_before_utc).days for link in own.links]
    assert lifetimes == [50, 100]


def test_provided_authorities_reach_istiod_in_one_form_whatever_they_were_written_as(record: Record) -> None:
    root = authority("Corp Root")
    east = authority("East Corp Mesh", root)
    sec1 = east.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    windows = root.pem.replace("\n", "\r\n")
    tree = with_trust("provided")
    tree["trust"]["provided"] = {
        "east": {"certificate": east.pem, "key": sec1, "chain": windows + east.pem, "root": windows},
        "west": {"certificate": root.pem, "key": root.key_pem, "root": f"Bag Attributes\n{root.pem}and so on"},
    }
    run = record(in_whole_mesh(tree))
    for name, issuer, chain in (("east", east, east.pem + root.pem), ("west", root, root.pem)):
        own = cacerts(run, name)
        assert (own.certificate, own.key) == (issuer.pem, issuer.key_pem)
        assert (own.chain, own.bundle) == (chain, root.pem)


def test_provided_authorities_reach_istiod_as_they_are(record: Record) -> None:
    tree = provided()
    run = record(tree)
    for name, given in tree["trust"]["provided"].items():
        own = cacerts(run, name)
        assert (own.certificate, own.key) == (given["certificate"], given["key"])
        assert own.chain == given["certificate"] + given.get("chain", "") + given["root"]
        assert given["root"] in own.bundle
    assert not [each for each in run.registered if each.type.startswith("tls:")]


def test_provided_authorities_may_be_files(record: Record, tmp_path: Path) -> None:
    """A stack file may name PEM files instead of holding their text."""
    texts = provided()
    files: Tree = {}
    for name, given in texts["trust"]["provided"].items():
        files[name] = {}
        for key, text in given.items():
            (tmp_path / f"{name}-{key}.pem").write_text(text)
            files[name][key] = str(tmp_path / f"{name}-{key}.pem")
    run = record({**texts, "trust": {"model": "provided", "provided": files}})
    for name in ("east", "west"):
        assert cacerts(run, name) == cacerts(record(texts), name)


def test_istiod_starts_anew_when_what_it_signs_with_changes(record: Record) -> None:
    def checksum(tree: Tree) -> object:
        istiod = record(tree).one("Deployment", "east:istio-system/istiod").body
        return istiod["spec"]["template"]["metadata"]["annotations"]["mesh-federation/trust"]

    tree = in_whole_mesh(provided())
    swapped = {**tree["trust"]["provided"], "west": tree["trust"]["provided"]["east"]}
    other = {**tree, "trust": {**tree["trust"], "provided": swapped}}
    assert checksum(tree) != checksum(other), "west's root is gone from the bundle of east"
    renamed = {**tree, "lab": {"network": "another"}}
    assert checksum(tree) == checksum(renamed)
