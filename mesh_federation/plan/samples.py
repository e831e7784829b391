"""Samples: workloads to try a federation with. sleep calls, httpbin answers.

Source: the samples of Istio's releases (Service httpbin: port 8000 named http, container port 8080; sleep: port 80).
"""

from dataclasses import dataclass

from mesh_federation.plan.injection import pod_labels
from mesh_federation.plan.objects import Body, PlannedObject, restarted_by_trust
from mesh_federation.stack.config import Workload


@dataclass(frozen=True)
class SampleKind:
    """One kind of sample.

    Attributes:
        image: container image with tag.
        port: of the Service, named http.
        target: port of the container.
        command: replaces the image's own; empty keeps it.
        serves_on: seconds for which a pod that terminates still answers, until gateways and callers know that it does.
            Without them each restart cost a caller that does not pause 2 to 4 calls. A busy istiod takes seconds to
            tell them.
    """

    image: str
    port: int
    target: int
    command: tuple[str, ...] = ()
    serves_on: int = 0


SAMPLES = {
    "sleep": SampleKind("docker.io/curlimages/curl:8.16.0", 80, 80, ("/bin/sleep", "infinity")),
    "httpbin": SampleKind("docker.io/mccutchen/go-httpbin:v2.15.0", 8000, 8080, serves_on=10),
}


def labels(workload: Workload) -> dict[str, str]:
    """Labels of a sample's pods; its Service selects by the first."""
    return {"app": workload.reference.name, "version": "v1"}


@dataclass(frozen=True)
class SamplePlan:
    """A sample in a cluster.

    Attributes:
        workload: as declared, with the image that the stack file has for all samples of its kind.
        revision: of the istiod that gives its pods their sidecars; empty for the default one.
        is_joined: instances of other clusters join its Service, which the import creates once its host is free.
    """

    workload: Workload
    revision: str
    is_joined: bool

    @property
    def name(self) -> str:
        """Namespace and name of its objects, `namespace/name`."""
        return str(self.workload.reference)

    @property
    def objects(self) -> tuple[PlannedObject, PlannedObject, PlannedObject]:
        """ServiceAccount, Service and Deployment."""
        account = PlannedObject(self._body("v1", "ServiceAccount"))
        deployment = self._body("apps/v1", "Deployment", self._deployment())
        return account, self.service, restarted_by_trust(deployment, after=(account.name,))

    @property
    def service(self) -> PlannedObject:
        """Its Service."""
        kind = self._kind
        port = {"name": "http", "port": kind.port, "targetPort": kind.target, "protocol": "TCP"}
        return PlannedObject(self._body("v1", "Service", {"selector": self._selector, "ports": [port]}))

    @property
    def _kind(self) -> SampleKind:
        return SAMPLES[self.workload.sample]

    @property
    def _selector(self) -> dict[str, str]:
        return {"app": labels(self.workload)["app"]}

    def _body(self, api_version: str, kind: str, spec: Body | None = None) -> Body:
        own = self.workload.reference
        metadata = {"name": own.name, "namespace": own.namespace, "labels": self._selector}
        body: Body = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
        return {**body, "spec": spec} if spec else body

    def _deployment(self) -> Body:
        kind, own = self._kind, self.workload.reference
        container: Body = {
            "name": own.name,
            "image": self.workload.image or kind.image,
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": kind.target, "protocol": "TCP"}],
        }
        if kind.command:
            container["command"] = list(kind.command)
        if kind.serves_on:
            container["lifecycle"] = {"preStop": {"sleep": {"seconds": kind.serves_on}}}
        grace = kind.serves_on * 3 or 1
        pod = {"serviceAccountName": own.name, "terminationGracePeriodSeconds": grace, "containers": [container]}
        return {
            "replicas": self.workload.replicas,
            "selector": {"matchLabels": self._selector},
            "template": {
                "metadata": {"labels": {**labels(self.workload), **pod_labels(own.namespace, self.revision)}},
                "spec": pod,
            },
        }
