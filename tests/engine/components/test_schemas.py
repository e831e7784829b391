"""Every object of Istio and of the Gateway API is what the pinned definitions allow; unknown fields are refused too."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.components.conftest import Record
from tests.unit.components.federations import STACKS, Tree, as_global, as_local, committed, not_ours, three_clusters
from tests.unit.components.recorder import Run

Schemas = Mapping[tuple[str, str, str], dict[str, Any]]


def closed(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Refuse unknown fields, which the API server would drop without a word."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and "type" in schema and not is_open:
        result["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result


@pytest.fixture(scope="session")
def schemas(tools: dict[str, str]) -> Schemas:
    """Schema of each group, version and kind in the base chart and in the Gateway API."""
    files = (
        Path(tools["MESH_CHARTS"]) / "base" / "files" / "crd-all.gen.yaml",
        Path(tools["MESH_MANIFESTS"]) / "gateway-api.yaml",
    )
    documents = (each for file in files for each in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader))
    found = {}
    for crd in documents:
        if crd["kind"] != "CustomResourceDefinition":
            continue
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {name: {"type": "string"} for name in ("apiVersion", "kind")}
            schema["properties"]["metadata"] = {"type": "object"}
            found[spec["group"], version["name"], spec["names"]["kind"]] = schema
    return found


def istio_objects(run: Run) -> list[dict[str, Any]]:
    return [
        each.body for each in run.objects if any(group in each.type for group in (".istio.io/", ".k8s.io/v1:Gateway"))
    ]


def problems(body: Mapping[str, Any], schemas: Schemas) -> list[str]:
    group, version = body["apiVersion"].split("/")
    validator = jsonschema.Draft202012Validator(schemas[group, version, body["kind"]])
    name = f"{body['kind']} {body['metadata']['name']}"
    return [f"{name} {error.json_path}: {error.message}" for error in validator.iter_errors(body)]


def failing_over() -> Tree:
    """Every setting of failover and of the connection pool; several ports, and a consumer without accounts."""
    tree = three_clusters()
    ports = [{"name": "http", "number": 8000, "protocol": "HTTP"}, {"name": "grpc", "number": 9000, "protocol": "GRPC"}]
    for export in tree["exports"]:
        export |= {"ports": ports, "to": [{"cluster": "east"}]}
    for link in tree["imports"]:
        link |= {
            "locality": "eu/a/1",
            "failover": {"to": "north", "consecutiveErrors": 5, "intervalSeconds": 10, "baseEjectionSeconds": 30},
            "connectionPool": {"maxConnections": 5, "connectTimeoutSeconds": 3, "maxRequestsPerConnection": 1},
        }
    tree["workloads"] = []
    return tree


def weighted() -> Tree:
    """Weights and a connection pool; weights and failover exclude each other."""
    tree = three_clusters()
    for link, weight in zip(tree["imports"], (70, 30), strict=True):
        del link["failover"]
        link["weight"] = weight
    return tree


def at_host_names() -> Tree:
    tree = not_ours()
    tree["clusters"]["west"]["gateway"] = {"addresses": ["west.example.com"]}
    return tree


FEDERATIONS: dict[str, Tree] = {
    **{stack: committed(stack) for stack in STACKS if stack != "as-local"},
    "three": three_clusters(),
    "failing-over": failing_over(),
    "weighted": weighted(),
    "not-ours": not_ours(),
    "host-names": at_host_names(),
}
GLOBAL: dict[str, Tree] = {
    "global": as_global(),
    "global-gateway": as_global(api="gateway"),
    "remote-gateway": as_global(api="gateway", **{"as": "remote"}),
    "global-weighted": as_global(weight=100, connectionPool={"maxConnections": 5}),
    "global-host-names": {**as_global(api="gateway"), "clusters": at_host_names()["clusters"]},
}
LOCAL: dict[str, Tree] = {
    "as-local": committed("as-local"),
    "local": as_local(),
    "local-weighted": as_local(weight=30, connectionPool={"maxRequestsPerConnection": 1}),
    "local-failing-over": as_local(failover={"to": "west"}),
}


@pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in FEDERATIONS.items()])
def test_istio_objects_satisfy_the_definitions_of_the_pinned_charts(
    record: Record, schemas: Schemas, tree: Tree
) -> None:
    bodies = istio_objects(record(tree))
    assert {"ServiceEntry", "Gateway", "AuthorizationPolicy", "PeerAuthentication"} <= {b["kind"] for b in bodies}
    assert not [problem for body in bodies for problem in problems(body, schemas)]


@pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in LOCAL.items()])
def test_imports_as_local_satisfy_the_definitions_too(record: Record, schemas: Schemas, tree: Tree) -> None:
    bodies = istio_objects(record(tree))
    assert {"WorkloadEntry", "DestinationRule"} <= {body["kind"] for body in bodies}
    assert not [problem for body in bodies for problem in problems(body, schemas)]


@pytest.mark.parametrize("tree", [pytest.param(tree, id=name) for name, tree in GLOBAL.items()])
def test_global_hosts_and_the_gateway_api_satisfy_the_definitions_too(
    record: Record, schemas: Schemas, tree: Tree
) -> None:
    bodies = istio_objects(record(tree))
    assert {"ServiceEntry", "Gateway"} <= {body["kind"] for body in bodies}
    assert not [problem for body in bodies for problem in problems(body, schemas)]


def test_the_federations_above_render_every_kind_of_policy(record: Record) -> None:
    rules = [body for body in istio_objects(record(failing_over())) if body["kind"] == "DestinationRule"]
    [policy] = [rule["spec"]["trafficPolicy"] for rule in rules]
    assert set(policy) == {"connectionPool", "outlierDetection", "loadBalancer"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "listeners", 0, "protocol"), 443),
        (("spec", "listeners", 0, "tls", "mode"), "AUTO_PASSTHROUGH"),
        (("spec", "addresses"), [{"type": "IPAddress", "adress": "203.0.113.1"}]),
        (("spec", "selector"), {"istio": "eastwestgateway"}),
    ],
)
def test_mistakes_in_the_gateway_api_are_found(
    record: Record, schemas: Schemas, path: tuple[str | int, ...], value: object
) -> None:
    bodies = istio_objects(record(as_global(api="gateway")))
    wrong: Any = copy.deepcopy(next(body for body in bodies if "k8s.io" in body["apiVersion"]))
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert problems(wrong, schemas)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "endpoints", 0, "wieght"), 1),
        (("spec", "resolution"), "MAGIC"),
        (("spec", "hosts"), "httpbin"),
        (("specs",), {}),
    ],
)
def test_mistakes_are_found(record: Record, schemas: Schemas, path: tuple[str | int, ...], value: object) -> None:
    [body] = [b for b in istio_objects(record(committed("simulated"))) if b["kind"] == "ServiceEntry"]
    wrong: Any = copy.deepcopy(body)
    place = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert problems(wrong, schemas)
