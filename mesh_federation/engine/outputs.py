"""The outputs of a stack: what its last `up` tells about its clusters. The program writes them in `__main__.py`."""

from pydantic import BaseModel, ConfigDict, Field

from mesh_federation.stack.config import ISTIO_NAMESPACE


class TrustOutput(BaseModel):
    """What a cluster signs with and trusts, as the last `up` made it; SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    authority: str
    root: str
    trusted: tuple[str, ...]
    anchors: tuple[str, ...] = ()


class ClusterOutput(BaseModel):
    """How a cluster is reached, as the last `up` made it."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    name: str
    kubeconfig: str
    gateway: tuple[str, ...]
    trust_domain: str = Field(alias="trustDomain")
    istio_namespace: str = Field(default=ISTIO_NAMESPACE, alias="istioNamespace")


class StackOutputs(BaseModel):
    """Outputs of a stack that is up, by cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    clusters: dict[str, ClusterOutput]
    trust: dict[str, TrustOutput]
