"""Keys of a cluster that only some provisioners act on: silently ignored keys would promise what does not happen."""

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from model.config import Federation, LoadBalancer, Provisioner
from model.finding import Finding

_MADE = {Provisioner.KWOK, Provisioner.KIND, Provisioner.K3D}

_ACTS_ON = {
    "kubeconfig": {Provisioner.EXISTING},
    "context": {Provisioner.EXISTING},
    "adopt": {Provisioner.EXISTING},
    "api_server": {Provisioner.EXISTING},
    "image": {Provisioner.KIND, Provisioner.K3D},
    "nodes": _MADE,
    "ports": {Provisioner.KIND},
    "ready_within_seconds": {Provisioner.KIND, Provisioner.K3D},
}

_SUITS = {
    LoadBalancer.SIMULATED: {Provisioner.KWOK},
    LoadBalancer.SERVICELB: {Provisioner.K3D},
    LoadBalancer.CLOUD_PROVIDER_KIND: {Provisioner.KIND, Provisioner.K3D},
    LoadBalancer.METALLB: {Provisioner.KIND, Provisioner.K3D, Provisioner.EXISTING},
    LoadBalancer.NONE: set(Provisioner),
}

_WHY_NOT = {
    LoadBalancer.SIMULATED: "only simulated clusters write addresses into Services by themselves",
    LoadBalancer.SERVICELB: "it is part of k3s",
    LoadBalancer.CLOUD_PROVIDER_KIND: "it finds the nodes of such clusters among Docker's containers",
    LoadBalancer.METALLB: "simulated nodes run no MetalLB",
    LoadBalancer.NONE: "",
}


def _names(provisioners: set[Provisioner]) -> str:
    return " or ".join(sorted(provisioner.value for provisioner in provisioners))


def keys_act(federation: Federation) -> Iterator[Finding]:
    """A key that the provisioner does not act on is refused."""
    for cluster in federation.clusters.values():
        for key, provisioners in _ACTS_ON.items():
            value = getattr(cluster, key)
            unset = value == type(cluster).model_fields[key].default
            if unset or cluster.provisioner in provisioners:
                continue
            shown, written = str(value).lower() if isinstance(value, bool) else value, to_camel(key)
            yield Finding(
                f"{cluster.path}.{written}",
                "key-without-effect",
                f"{shown} has no effect: {cluster.name} has provisioner {cluster.provisioner.value}, and `{written}` is"
                f" for {_names(provisioners)}",
                f"remove `{written}`, or choose provisioner {_names(provisioners)}",
            )


def existing_clusters_have_a_kubeconfig(federation: Federation) -> Iterator[Finding]:
    """Which cluster is meant must be said in the stack file, not by the shell that happens to run it."""
    for cluster in federation.clusters.values():
        if cluster.provisioner is Provisioner.EXISTING and not cluster.kubeconfig:
            yield Finding(
                f"{cluster.path}.kubeconfig",
                "missing-kubeconfig",
                f"{cluster.name} is an existing cluster, but no kubeconfig says how to reach it; whatever KUBECONFIG"
                " holds on some machine could be the wrong cluster",
                f"add kubeconfig: path/to/{cluster.name}.kubeconfig, and context if the file has several",
            )


def load_balancers_suit(federation: Federation) -> Iterator[Finding]:
    """Each load balancer works with some provisioners only."""
    for cluster in federation.clusters.values():
        suits = _SUITS[cluster.load_balancer]
        if cluster.provisioner not in suits:
            yield Finding(
                f"{cluster.path}.loadBalancer",
                "load-balancer-mismatch",
                f"{cluster.load_balancer.value} does not work on {cluster.name}, which has provisioner"
                f" {cluster.provisioner.value}: {_WHY_NOT[cluster.load_balancer]}, so the gateway would get no address",
                f"leave loadBalancer out to take what suits {cluster.provisioner.value}",
            )


RULES = (keys_act, existing_clusters_have_a_kubeconfig, load_balancers_suit)
