"""The certificate authorities of a federation, and what each cluster's istiod gets of them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import pulumi
import pulumi_tls as tls

from components.objects import Body
from model import trust
from model.mesh import NAMESPACE, certificates
from model.trust import Intermediate, Root, TrustPlan

HOURS = 24
CHECKSUM = "mesh-federation/trust"
"""Annotation on pods: another value restarts them."""


@dataclass(frozen=True)
class Material:
    """What one cluster's istiod signs with and trusts.

    Attributes:
        certificate: PEM of the intermediate.
        key: PEM of its private key; secret.
        chain: PEM from the intermediate to its own root.
        bundle: PEM of every trusted root; the same text in all clusters.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    chain: pulumi.Output[str]
    bundle: pulumi.Output[str]

    def secret(self) -> Body:
        """Body of the Secret `cacerts`."""
        files = {
            "ca-cert.pem": self.certificate,
            "ca-key.pem": self.key,
            "cert-chain.pem": self.chain,
            "root-cert.pem": self.bundle,
        }
        data: dict[str, pulumi.Output[str]] = {
            name: pulumi.Output.secret(text.apply(_encoded)) for name, text in files.items()
        }
        return certificates(data)

    def checksum(self) -> pulumi.Output[str]:
        """Hash of all that is public: istiod refuses most changes of its roots while it runs, so it is restarted."""
        return _hash(self.certificate, self.chain, self.bundle)

    def roots(self) -> pulumi.Output[str]:
        """Hash of the trusted roots: proxies learn them with their certificate, and that lives for a day.

        Another intermediate under the same root changes nothing for a running workload.
        """
        return _hash(self.bundle)

    def fingerprints(self) -> pulumi.Output[Mapping[str, object]]:
        """Fingerprints of all that is public, by which a verification knows what must be in the cluster."""
        known = pulumi.Output.all(self.chain, self.bundle)
        return known.apply(lambda texts: trust.fingerprints(*texts))


class CertificateAuthority(pulumi.ComponentResource):
    """**mesh-federation:index:CertificateAuthority** - the authorities of a federation, in any trust model.

    Produces, unless they are provided, for every root a PrivateKey and a SelfSignedCert, and for every cluster a
    PrivateKey, a CertRequest and a LocallySignedCert.

    Attributes:
        material: by cluster.
        bundle: PEM of all roots.
    """

    material: Mapping[str, Material]
    bundle: pulumi.Output[str]

    def __init__(self, name: str, args: TrustPlan, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the authorities.

        Args:
            name: of the component.
            args: which authorities there are.
            opts: options of the component.
        """
        super().__init__("mesh-federation:index:CertificateAuthority", name, None, opts)
        self._plan = args
        if args.provided:
            self.bundle, self.material = self._provided()
        else:
            self.bundle, self.material = self._made()
        self.register_outputs({"bundle": self.bundle})

    def _provided(self) -> tuple[pulumi.Output[str], Mapping[str, Material]]:
        given = sorted(self._plan.provided.items())
        bundle = pulumi.Output.from_input(trust.bundle(authority.root for _, authority in given))
        return bundle, {
            cluster: Material(
                certificate=pulumi.Output.from_input(trust.chain(authority.certificate)),
                key=pulumi.Output.secret(authority.key.get_secret_value()),
                chain=pulumi.Output.from_input(trust.chain(authority.certificate, authority.chain, authority.root)),
                bundle=bundle,
            )
            for cluster, authority in given
        }

    def _made(self) -> tuple[pulumi.Output[str], Mapping[str, Material]]:
        keys = {root.name: self._key(f"{_label(root)}-key") for root in self._plan.roots}
        roots = {root.name: self._root(root, keys[root.name]) for root in self._plan.roots}
        certificates = pulumi.Output.all(*(root.cert_pem for root in roots.values()))
        bundle = certificates.apply(trust.bundle)
        return bundle, {
            signed.cluster: self._intermediate(signed, roots[signed.root], keys[signed.root], bundle)
            for signed in self._plan.intermediates
        }

    def _key(self, name: str) -> tls.PrivateKey:
        key = self._plan.key
        ecdsa = key.algorithm == "ECDSA"
        return tls.PrivateKey(
            name,
            algorithm=key.algorithm,
            ecdsa_curve=key.curve if ecdsa else None,
            rsa_bits=None if ecdsa else key.bits,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _root(self, root: Root, key: tls.PrivateKey) -> tls.SelfSignedCert:
        return tls.SelfSignedCert(
            _label(root),
            private_key_pem=key.private_key_pem,
            subject={"common_name": root.common_name, "organization": self._plan.organization},
            is_ca_certificate=True,
            allowed_uses=list(trust.CA_USES),
            validity_period_hours=root.days * HOURS,
            set_subject_key_id=True,
            set_authority_key_id=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _intermediate(
        self, signed: Intermediate, root: tls.SelfSignedCert, root_key: tls.PrivateKey, bundle: pulumi.Output[str]
    ) -> Material:
        name = f"{signed.cluster}-intermediate"
        key = self._key(f"{name}-key")
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject={
                "common_name": signed.common_name,
                "organization": self._plan.organization,
                "locality": signed.cluster,
            },
            dns_names=[f"istiod.{NAMESPACE}.svc"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        certificate = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=root_key.private_key_pem,
            ca_cert_pem=root.cert_pem,
            is_ca_certificate=True,
            allowed_uses=list(trust.CA_USES),
            validity_period_hours=signed.days * HOURS,
            set_subject_key_id=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        chain = pulumi.Output.all(certificate.cert_pem, root.cert_pem).apply(_chained)
        return Material(certificate.cert_pem, pulumi.Output.secret(key.private_key_pem_pkcs8), chain, bundle)


def restarted_by(checksum: pulumi.Output[str], workload: Body) -> Body:
    """Put a hash on a workload's pods, so that they start anew, one after the other, when it changes."""
    spec = _mapping(workload["spec"])
    template = _mapping(spec["template"])
    metadata = _mapping(template["metadata"])
    annotations = {**_mapping(metadata.get("annotations") or {}), CHECKSUM: checksum}
    stamped = {**spec, "template": {**template, "metadata": {**metadata, "annotations": annotations}}}
    return {**workload, "spec": stamped}


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def _hash(*texts: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(*texts).apply(lambda known: sha256("".join(known).encode()).hexdigest())


def _label(root: Root) -> str:
    return "root" if root.name == "root" else f"{root.name}-root"


def _chained(links: Sequence[str]) -> str:
    return trust.chain(*links)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
