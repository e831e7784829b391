"""Stands in for `helm template`: three small charts of our own, with the objects by which the program goes.

The program looks at kinds, at the names istiod and istio-eastwestgateway, and at what a running Service says. Helm's
own work, and all else that Istio's charts hold, is tested on the pinned charts: tests/engine/components.

usage: helm template RELEASE CHART --namespace=NAMESPACE --kube-version=VERSION --values=-
"""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False  # without the module typing, which takes longer to load than all else here
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Object = dict[str, Any]

NAMESPACE = "istio-system"


def render(chart: str, release: str, values: Object) -> Iterator[Object]:
    """Return the objects of a chart."""
    match chart:
        case "base":
            yield body("v1", "ServiceAccount", "istio-reader-service-account")
            if values["defaultRevision"]:
                yield validating("istiod-default-validator")
        case "istiod":
            yield from istiod(values)
        case _:
            yield from gateway(release, values)


def istiod(values: Object) -> Iterator[Object]:
    """Return the objects of a control plane."""
    mesh = values["meshConfig"]
    domains = json.dumps(mesh.get("caCertificates", []))
    yield body("v1", "ServiceAccount", "istiod")
    yield body("v1", "ConfigMap", "istio", data={"mesh": f"trustDomain: {mesh['trustDomain']}\naccepted: {domains}\n"})
    yield body("v1", "ConfigMap", "values", data={"values": json.dumps(values)})
    yield body("rbac.authorization.k8s.io/v1", "ClusterRole", "istiod-clusterrole-istio-system", namespace="")
    yield body("v1", "Service", "istiod", spec={"ports": [{"port": 15012}], "selector": {"app": "istiod"}})
    cluster = {"name": "CLUSTER_ID", "value": values["global"]["multiCluster"]["clusterName"]}
    flags = [{"name": name, "value": value} for name, value in values.get("env", {}).items()]
    yield deployment("istiod", {"app": "istiod"}, {}, [cluster, *flags])
    if values["global"]["configValidation"]:
        yield validating("istio-validator-istio-system")


def gateway(release: str, values: Object) -> Iterator[Object]:
    """Return the objects of a gateway."""
    service = dict(values["service"])
    labels, annotations = values["labels"], service.pop("annotations", {})
    yield body("v1", "ServiceAccount", release)
    yield body("v1", "Service", release, labels, annotations, spec={**service, "selector": {"app": release}})
    environment = [{"name": name, "value": value} for name, value in values.get("env", {}).items()]
    annotations = {"inject.istio.io/templates": "gateway", **values.get("podAnnotations", {})}
    made = deployment(release, labels, annotations, environment)
    [container] = made["spec"]["template"]["spec"]["containers"]
    container["resources"] = values.get("resources", {"requests": {}})
    if "replicaCount" in values:
        made["spec"]["replicas"] = values["replicaCount"]
    yield made


def body(
    version: str,
    kind: str,
    name: str,
    labels: Object | None = None,
    annotations: Object | None = None,
    namespace: str = NAMESPACE,
    **more: object,
) -> Object:
    """Return an object."""
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata |= {"labels": labels or {"app": name}, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def deployment(name: str, labels: Object, annotations: Object, environment: list[Object]) -> Object:
    """Return a Deployment with one container."""
    container = {"name": name, "image": "auto", "env": environment}
    pod = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": pod}
    return body("apps/v1", "Deployment", name, labels, spec=spec)


def validating(name: str) -> Object:
    """Return a webhook as a chart has it, before istiod changes it."""
    webhooks = [{"name": "validation.istio.io", "failurePolicy": "Ignore"}]
    made = body("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name, namespace="")
    return {**made, "webhooks": webhooks}


if __name__ == "__main__":
    for each in render(sys.argv[3].rpartition("/")[2], sys.argv[2], json.load(sys.stdin)):
        print("---")
        print(json.dumps(each))
