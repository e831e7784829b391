"""Sample workloads to try a federation with: sleep calls, httpbin answers.

Source: the samples of Istio's releases (Service httpbin: port 8000 named http, container port 8080; sleep: port 80).
"""

from dataclasses import dataclass

from mesh_federation.plan.namespaces import asked_by_pods
from mesh_federation.stack.config import Workload

Body = dict[str, object]


@dataclass(frozen=True)
class Sample:
    """What one kind of sample is made of.

    Attributes:
        image: container image with tag.
        port: of the Service, named http.
        target: port of the container.
        command: replaces the image's own; empty keeps it.
        serves_on: seconds for which a pod that ends still answers, until gateways and callers know of its end. Without,
            each restart cost a caller that does not stop 2 to 4 calls.
    """

    image: str
    port: int
    target: int
    command: tuple[str, ...] = ()
    serves_on: int = 0


SAMPLES = {
    "sleep": Sample("docker.io/curlimages/curl:8.16.0", 80, 80, ("/bin/sleep", "infinity")),
    "httpbin": Sample("docker.io/mccutchen/go-httpbin:v2.15.0", 8000, 8080, serves_on=3),
}


def labels(workload: Workload) -> dict[str, str]:
    """Labels of a sample's pods; its Service selects by the first."""
    return {"app": workload.reference.name, "version": "v1"}


def bodies(workload: Workload, revision: str) -> list[Body]:
    """Bodies of one sample: ServiceAccount, Service and Deployment, in this order.

    Args:
        workload: which, where, and how many.
        revision: of the istiod that gives its pods their sidecars; empty for the default one.
    """
    sample, where = SAMPLES[workload.sample], workload.reference
    selected = {"app": labels(workload)["app"]}
    metadata = {"name": where.name, "namespace": where.namespace, "labels": selected}
    port = {"name": "http", "port": sample.port, "targetPort": sample.target, "protocol": "TCP"}
    container: Body = {
        "name": where.name,
        "image": workload.image or sample.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": sample.target, "protocol": "TCP"}],
    }
    if sample.command:
        container["command"] = list(sample.command)
    if sample.serves_on:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": sample.serves_on}}}
    grace = sample.serves_on * 3 or 1
    pod = {"serviceAccountName": where.name, "terminationGracePeriodSeconds": grace, "containers": [container]}
    deployment = {
        "replicas": workload.replicas,
        "selector": {"matchLabels": selected},
        "template": {
            "metadata": {"labels": {**labels(workload), **asked_by_pods(where.namespace, revision)}},
            "spec": pod,
        },
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selected, "ports": [port]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment},
    ]
