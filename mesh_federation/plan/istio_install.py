"""Istio's control plane in a cluster: the objects that no chart brings."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from mesh_federation.plan import exports
from mesh_federation.plan.exports import ExportPlan
from mesh_federation.plan.istio_api import SECURITY, manifest
from mesh_federation.plan.istio_values import NETWORK_LABEL
from mesh_federation.plan.objects import Body, Fill, PlannedObject

CERTIFICATE_FILES = ("ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem")
"""Files of the Secret cacerts, which are also the values that it needs: PEM of each."""


@dataclass(frozen=True)
class IstioInstallPlan:
    """The control plane of one cluster.

    Attributes:
        release: of Istio.
        istio_namespace: of istiod.
        network: Istio network of the cluster.
        trust_domain: of the cluster.
        exports: of the cluster.
    """

    release: str
    istio_namespace: str
    network: str
    trust_domain: str
    exports: Sequence[ExportPlan]

    @property
    def namespace(self) -> PlannedObject:
        """Istio's namespace; endpoints without a network label of their own take its (pitfall 11)."""
        metadata = {"name": self.istio_namespace, "labels": {NETWORK_LABEL: self.network}}
        return PlannedObject({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    @property
    def certificates(self) -> PlannedObject:
        """The Secret that istiod signs with. Without it, it creates a root of its own without a word (pitfall 7)."""
        metadata = {"name": "cacerts", "namespace": self.istio_namespace}
        body: Body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {}}
        return PlannedObject(body, tuple(Fill(("data", file), (file,), _encoded) for file in CERTIFICATE_FILES))

    @property
    def strict_mtls(self) -> PlannedObject:
        """The mesh-wide policy that refuses plaintext."""
        spec = {"mtls": {"mode": "STRICT"}}
        return PlannedObject(manifest(SECURITY, "PeerAuthentication", "default", self.istio_namespace, spec))

    @property
    def foreign_callers(self) -> PlannedObject:
        """The policy that applies to every pod of the mesh, exported or not."""
        return PlannedObject(exports.foreign_callers(self.istio_namespace, self.trust_domain, self.exports))

    @property
    def objects(self) -> tuple[PlannedObject, ...]:
        """Everything but the objects of the charts."""
        return self.namespace, self.certificates, self.strict_mtls, self.foreign_callers

    @property
    def probe(self) -> Body:
        """Body of an object that istiod's webhook admits."""
        spec = {"mtls": {"mode": "STRICT"}}
        return manifest(SECURITY, "PeerAuthentication", "mesh-federation-probe", self.istio_namespace, spec)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
