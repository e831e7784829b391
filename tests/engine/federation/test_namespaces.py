"""Namespaces are removed only where nothing of other people goes with them, and definitions come back."""

import json
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.engine.federation.test_neighbours import exists, federate, second, theirs

__all__ = ["second", "theirs"]


@pytest.fixture
def offered(running: Checkout) -> Checkout:
    """West exports services of three namespaces that no sample is in."""
    with running.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        exports += [{**exports[0], "service": f"{namespace}/web"} for namespace in ("default", "empty", "shop")]
    running.up()
    return running


def namespaces(one: Checkout) -> set[str]:
    done = one.kubectl("west", "get", "namespaces", "--output=name")
    return {line.removeprefix("namespace/") for line in done.stdout.splitlines()}


def withdraw(one: Checkout) -> None:
    with one.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        federation["exports"] = exports[:1]


def test_an_export_goes_without_what_others_have_in_its_namespace(offered: Checkout) -> None:
    labels = offered.get("west", "namespace", "default")["metadata"]
    assert isinstance(labels, dict)
    assert set(labels["labels"]) == {"kubernetes.io/metadata.name"}
    for namespace in ("default", "shop"):
        made = offered.kubectl("west", "create", "configmap", "precious", f"--namespace={namespace}")
        assert made.code == 0, made.text
    withdraw(offered)
    done = offered.up()
    assert "namespace shop of west stays, with what is in it: ConfigMap precious" in done.text
    assert {"default", "shop"} <= namespaces(offered)
    assert "empty" not in namespaces(offered)
    for namespace in ("default", "shop"):
        assert offered.get("west", "configmap", "precious", namespace)
    assert set(offered.up().changes()) == {"unchanged"}


def test_a_namespace_stays_the_same_while_an_export_makes_room_for_a_sample(offered: Checkout) -> None:
    before = offered.get("west", "namespace", "shop")["metadata"]
    withdraw(offered)
    with offered.edited() as federation:
        workloads = federation["workloads"]
        assert isinstance(workloads, list)
        workloads.append({"cluster": "west", "sample": "sleep", "namespace": "shop"})
    offered.up()
    after = offered.get("west", "namespace", "shop")["metadata"]
    assert isinstance(before, dict) and isinstance(after, dict)
    assert after["uid"] == before["uid"]


def test_definitions_that_somebody_deleted_come_back_with_all_objects(running: Checkout) -> None:
    gone = ("gateways.networking.istio.io", "authorizationpolicies.security.istio.io")
    assert running.kubectl("west", "delete", "customresourcedefinitions", *gone).code == 0
    done = running.up("--refresh")
    assert "west lacks custom resource definitions of Istio" in done.text
    assert running.get("west", gone[0], "export-httpbin-httpbin")
    assert running.get("west", gone[1], "export-httpbin-httpbin", "httpbin")
    assert set(running.up("--refresh").changes()) == {"unchanged"}


def test_what_others_put_into_a_namespace_of_the_stack_outlives_it(fresh: Checkout, theirs: dict[str, Path]) -> None:
    federate(fresh, theirs)
    fresh.up()
    west = theirs["west"]
    precious = ("create", "configmap", "precious", "--namespace=istio-system")
    assert fresh.kubectl("", *precious, kubeconfig=west).code == 0
    done = fresh.down()
    assert "namespace istio-system of west stays, with what is in it: ConfigMap precious" in done.text
    assert exists(fresh, west, "configmap", "precious", "--namespace=istio-system")
    assert not exists(fresh, west, "deployment", "istiod", "--namespace=istio-system")
    assert not exists(fresh, west, "namespace", "httpbin")
    assert not exists(fresh, theirs["east"], "namespace", "istio-system")


def test_a_namespace_that_is_missing_is_told_before_anything_is_made(fresh: Checkout, theirs: dict[str, Path]) -> None:
    federate(fresh, theirs)
    with fresh.edited() as federation:
        exports = federation["exports"]
        assert isinstance(exports, list)
        exports.append({**exports[0], "service": "payments/web"})
    done = fresh.mesh("up", "--yes")
    assert done.code != 0
    assert "exports[1]: there is no namespace payments" in done.text, done.text
    assert "Traceback" not in done.text, done.text
    assert not exists(fresh, theirs["west"], "namespace", "istio-system")
    found = fresh.kubectl("", "get", "customresourcedefinitions", "--output=json", kubeconfig=theirs["west"])
    assert json.loads(found.stdout)["items"] == []
    fresh.down()
