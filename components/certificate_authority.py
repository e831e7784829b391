"""The component CertificateAuthority, and the certificates that each cluster's istiod gets from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import pulumi
import pulumi_tls as tls

from mesh_federation.plan import expiry, trust
from mesh_federation.plan.expiry import Ending
from mesh_federation.plan.istio_install import CERTIFICATE_FILES
from mesh_federation.plan.root_identity import VERSION, serialize
from mesh_federation.plan.trust import Anchors, Intermediate, Root, TrustPlan
from mesh_federation.stack import pem
from mesh_federation.stack.config import ISTIO_NAMESPACE, Key, ProvidedAuthority
from mesh_federation.stack.pem import Fingerprints
from mesh_federation.stack.twin import twin

Record = Mapping[str, object]
"""Signing and trusted certificates of one cluster, as a stack's outputs have them."""

HOURS = 24
RENEW = "an intermediate is renewed by another name under clusters.<name>.intermediate, a root by trust.rotation"


@dataclass(frozen=True)
class Material:
    """Certificates that one cluster's istiod signs with and trusts.

    Attributes:
        certificate: PEM of the intermediate.
        key: PEM of its private key; secret.
        chain: PEM from the intermediate to its own root.
        bundle: PEM of every root that the cluster trusts: its own, or in trust scope `mesh` all, as the same text.
        anchors: PEM of what vouches for its identities at other clusters; empty in trust scope `mesh`.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    chain: pulumi.Output[str]
    bundle: pulumi.Output[str]
    anchors: pulumi.Output[str]

    @property
    def files(self) -> Mapping[str, pulumi.Output[str]]:
        """PEM of the files of the Secret `cacerts`, by name; secret."""
        texts = (self.certificate, self.key, self.chain, self.bundle)
        return {name: pulumi.Output.secret(text) for name, text in zip(CERTIFICATE_FILES, texts, strict=True)}

    def checksum(self) -> pulumi.Output[str]:
        """Hash of all certificates: istiod refuses most changes of its roots while it runs, so it is restarted."""
        return _hash(self.certificate, self.chain, self.bundle)

    def bundle_hash(self) -> pulumi.Output[str]:
        """Hash of the trusted roots, as istiod distributes them to every namespace."""
        return _hash(self.bundle)

    def roots_hash(self) -> pulumi.Output[str]:
        """Hash of the trusted roots and of the own one: proxies get them with their certificate, which lives a day.

        Another intermediate under the same root changes nothing for a running workload.
        """
        return _hash(self.bundle, self.chain.apply(pem.last))

    def fingerprints(self) -> pulumi.Output[Fingerprints]:
        """Fingerprints of all certificates, with which a verification compares those in the cluster."""
        known = pulumi.Output.all(self.chain, self.bundle, self.anchors)
        return known.apply(lambda texts: pem.fingerprints(*texts))

    def first_to_end(self) -> pulumi.Output[Ending]:
        """The end of the certificate that ends first."""
        return pulumi.Output.all(self.chain, self.bundle).apply(expiry.first)


class CertificateAuthority(pulumi.ComponentResource):
    """**mesh-federation:index:CertificateAuthority** - the authorities of a federation, in any trust model.

    Resources, unless the user provides the authorities: for every root a PrivateKey and a SelfSignedCert, and for every
    cluster a PrivateKey, a CertRequest and a LocallySignedCert. During a rotation, the roots of both its ends.

    Attributes:
        material: certificates and key of each cluster whose Istio this stack installs.
        anchors: PEM of what vouches for each cluster at others; nothing in trust scope `mesh`.
        bundle: PEM of all roots.
        record: by cluster, its signing and trusted certificates, and which of them ends first: a verification, and the
            next step of a rotation, compare with it.
    """

    material: Mapping[str, Material]
    anchors: Mapping[str, pulumi.Output[str]]
    bundle: pulumi.Output[str]
    record: Mapping[str, pulumi.Output[Record]]

    def __init__(self, name: str, args: TrustPlan, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the authorities.

        Args:
            name: of the component.
            args: the authorities.
            opts: resource options.
        """
        super().__init__("mesh-federation:index:CertificateAuthority", name, None, opts)
        roots = {root.name: self._root(root) for root in args.roots}
        signed = (*args.intermediates, *args.kept)
        made = {each.name: self._intermediate(each, roots[each.root.name]) for each in signed}
        signing = {
            **{each.cluster: made[each.name] for each in args.intermediates},
            **{cluster: _provided(given) for cluster, given in args.provided.items()},
        }
        self.bundle = _bundle(args.given, args.roots, roots)
        self.anchors = {cluster: _anchors(each, roots, made) for cluster, each in args.anchors.items()}
        self.material = {
            cluster: Material(
                certificate=each.certificate,
                key=each.key,
                chain=each.chain,
                bundle=_bundle(args.bundles[cluster].given, args.bundles[cluster].roots, roots),
                anchors=self.anchors.get(cluster, pulumi.Output.from_input("")),
            )
            for cluster, each in signing.items()
        }
        self.record = {cluster: _record(args, cluster, each) for cluster, each in self.material.items()}
        self.register_outputs({"bundle": self.bundle, "anchors": dict(self.anchors)})

    def _key(self, name: str, key: Key) -> tls.PrivateKey:
        ecdsa = key.algorithm == "ECDSA"
        return tls.PrivateKey(
            name,
            algorithm=key.algorithm,
            ecdsa_curve=key.curve if ecdsa else None,
            rsa_bits=None if ecdsa else key.bits,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _root(self, root: Root) -> "_MadeRoot":
        key = self._key(f"{root.name}-key", root.key)
        certificate = tls.SelfSignedCert(
            root.name,
            private_key_pem=key.private_key_pem,
            subject={"common_name": root.common_name, "organization": root.organization},
            is_ca_certificate=True,
            allowed_uses=list(trust.CA_USES),
            validity_period_hours=root.days * HOURS,
            set_subject_key_id=True,
            set_authority_key_id=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return _MadeRoot(key, certificate)

    def _intermediate(self, signed: Intermediate, root: "_MadeRoot") -> "_Signing":
        key = self._key(f"{signed.name}-key", signed.root.key)
        request = tls.CertRequest(
            f"{signed.name}-request",
            private_key_pem=key.private_key_pem,
            subject={
                "common_name": signed.common_name,
                "organization": signed.root.organization,
                "locality": signed.cluster,
            },
            dns_names=[f"istiod.{ISTIO_NAMESPACE}.svc"],  # as in Istio's samples, wherever istiod is: nothing reads it
            opts=pulumi.ResourceOptions(parent=self),
        )
        certificate = tls.LocallySignedCert(
            signed.name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=root.key.private_key_pem,
            ca_cert_pem=root.certificate.cert_pem,
            is_ca_certificate=True,
            allowed_uses=list(trust.CA_USES),
            validity_period_hours=signed.days * HOURS,
            set_subject_key_id=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        chain = pulumi.Output.all(certificate.cert_pem, root.certificate.cert_pem).apply(_chained)
        return _Signing(certificate.cert_pem, pulumi.Output.secret(key.private_key_pem_pkcs8), chain)


@dataclass(frozen=True)
class _MadeRoot:
    """A root with its key."""

    key: tls.PrivateKey
    certificate: tls.SelfSignedCert


@dataclass(frozen=True)
class _Signing:
    """An intermediate with its key and its chain."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    chain: pulumi.Output[str]


def _provided(given: ProvidedAuthority) -> _Signing:
    links = dict.fromkeys((given.certificate, given.chain, given.root))  # a root may sign workloads itself
    return _Signing(
        certificate=pulumi.Output.from_input(given.certificate),
        key=pulumi.Output.secret(given.key.get_secret_value()),
        chain=pulumi.Output.from_input(pem.chain(*links)),
    )


def _bundle(given: Sequence[str], roots: Sequence[Root], made: Mapping[str, _MadeRoot]) -> pulumi.Output[str]:
    return pulumi.Output.all(*given, *(made[root.name].certificate.cert_pem for root in roots)).apply(pem.bundle)


def _anchors(
    plan: Anchors, roots: Mapping[str, _MadeRoot], intermediates: Mapping[str, _Signing]
) -> pulumi.Output[str]:
    """Return what vouches for a cluster; a twin is made with a key, but is no secret."""
    signing = [*(intermediates[each.name] for each in plan.intermediates), *map(_provided, plan.provided)]
    twins = (pulumi.Output.unsecret(pulumi.Output.all(each.certificate, each.key).apply(_twin)) for each in signing)
    made = (roots[root.name].certificate.cert_pem for root in plan.roots)
    return pulumi.Output.all(*plan.given, *made, *twins).apply(pem.bundle)


def _twin(known: Sequence[str]) -> str:
    return twin(*known)


def _record(plan: TrustPlan, cluster: str, material: Material) -> pulumi.Output[Record]:
    def recorded(known: Sequence[object]) -> Record:
        prints, ending = known
        assert isinstance(prints, dict)
        assert isinstance(ending, Ending)
        if ending.days_left < plan.warn_days:
            pulumi.warn(f"{cluster}: {ending.name} ends on {ending.date}: {RENEW}")
        roots = {
            "issuer": serialize(plan.issuers[cluster]),
            "accepted": [serialize(each) for each in plan.bundles[cluster].identities],
            "signers": sorted(plan.signers[cluster]),
            "vouching": list(plan.vouching(cluster)),
        }
        return {"version": VERSION, **prints, **roots, "ends": ending.date, "endsFirst": ending.name}

    return pulumi.Output.all(material.fingerprints(), material.first_to_end()).apply(recorded)


def fingerprint(anchors: pulumi.Output[str] | None) -> pulumi.Output[str]:
    """Hash of the roots of a mesh that belongs to others, with which its workloads of this stack restart."""
    return _hash(pulumi.Output.from_input("") if anchors is None else anchors)


def _hash(*texts: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(*texts).apply(lambda known: sha256("".join(known).encode()).hexdigest())


def _chained(links: Sequence[str]) -> str:
    return pem.chain(*links)
