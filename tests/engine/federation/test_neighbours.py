"""Checkouts side by side, and clusters that were there before."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.config import Cluster
from tests.checkout import Checkout, checkout
from toolchain.install import Toolchain


@pytest.fixture
def second(toolchain: Toolchain) -> Iterator[Checkout]:
    """Another checkout on the same machine."""
    with checkout(toolchain) as made:
        yield made


def test_a_second_checkout_runs_beside_the_first(fresh: Checkout, second: Checkout) -> None:
    both = (fresh, second)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: one.up(), both))
    for one in both:
        assert one.imported_addresses() == [one.gateway_address("west")]
        assert set(one.up().changes()) == {"unchanged"}
    servers = {server(one, cluster) for one in both for cluster in ("east", "west")}
    assert len(servers) == 4
    fresh.down()
    assert fresh.control_planes() == []
    assert set(second.up().changes()) == {"unchanged"}


def server(one: Checkout, cluster: str) -> str:
    file = one.home / "kubeconfigs" / "embedded" / cluster
    return str(json.loads(file.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"])


@pytest.fixture
def theirs(second: Checkout) -> dict[str, Path]:
    """Two clusters that somebody else made, by name; each holds an object of theirs."""
    made = {}
    for name, service_subnet in (("east", "10.255.10.0/24"), ("west", "10.255.30.0/24")):
        default = Cluster()
        config = {
            "kubernetesVersion": default.kubernetes_version,
            "nodes": 1,
            "podSubnet": "10.10.0.0/16",
            "serviceSubnet": service_subnet,
        }
        stdin = second.folder / f"{name}.json"
        stdin.write_text(json.dumps(config), encoding="utf-8")
        environment = second.environment() | {"CLUSTER": name}
        script = f"{second.python} -m components.provisioners.kwok create < {stdin}"
        done = second.run(["sh", "-c", script], environment)
        assert done.code == 0, done.text
        made[name] = second.home / "clusters" / name / "kubeconfig"
        foreign = ("create", "configmap", "theirs", "--namespace=default", "--from-literal=kept=yes")
        assert second.kubectl(name, *foreign, kubeconfig=made[name]).code == 0
    return made


def federate(one: Checkout, theirs: dict[str, Path], *, declared: bool = True) -> None:
    with one.edited() as federation:
        # Their nodes are simulated, so no istiod would answer its webhooks.
        federation["istio"] = {"values": {"global": {"operatorManageWebhooks": True, "configValidation": False}}}
        clusters = federation["clusters"]
        assert isinstance(clusters, dict)
        for number, (name, kubeconfig) in enumerate(theirs.items()):
            clusters[name] |= {
                "provisioner": "existing",
                "kubeconfig": str(kubeconfig),
                **({"gateway": {"addresses": [f"192.0.2.{number + 1}"]}} if declared else {}),
            }


def exists(one: Checkout, kubeconfig: Path, *what: str) -> bool:
    return one.kubectl("", "get", *what, kubeconfig=kubeconfig).code == 0


def test_existing_clusters_are_federated_and_left_as_they_were(fresh: Checkout, theirs: dict[str, Path]) -> None:
    federate(fresh, theirs)
    fresh.up()
    assert fresh.imported_addresses() == ["192.0.2.2"], "their Services stay pending, and the declared addresses stand"
    assert exists(fresh, theirs["west"], "deployment", "istiod", "--namespace=istio-system")
    fresh.down()
    for kubeconfig in theirs.values():
        assert exists(fresh, kubeconfig, "configmap", "theirs", "--namespace=default")
        assert not exists(fresh, kubeconfig, "deployment", "istiod", "--namespace=istio-system")
        assert not exists(fresh, kubeconfig, "clusterrole", "istiod-clusterrole-istio-system")


def test_the_address_that_their_load_balancer_gives_is_waited_for_and_stays_told(
    fresh: Checkout, theirs: dict[str, Path]
) -> None:
    federate(fresh, theirs, declared=False)
    with ThreadPoolExecutor() as pool:
        pool.submit(assign_addresses, fresh, theirs)
        fresh.up()
    assert fresh.imported_addresses() == ["192.0.2.2"], "of both families, importers call IPv4"
    assert set(fresh.up("--refresh").changes()) == {"unchanged"}
    assert fresh.imported_addresses() == ["192.0.2.2"]


def assign_addresses(one: Checkout, theirs: dict[str, Path]) -> None:
    """Be the clusters' load balancer."""
    pending = dict(theirs)
    deadline = time.monotonic() + 120
    while pending and time.monotonic() < deadline:
        for number, (name, kubeconfig) in enumerate(theirs.items()):
            ingress = [{"ip": f"2001:db8::{number + 1}"}, {"ip": f"192.0.2.{number + 1}"}]
            status = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
            patch = ("patch", "service", "istio-eastwestgateway", "--namespace=istio-system", "--subresource=status")
            done = one.kubectl("", *patch, "--type=merge", f"--patch={status}", kubeconfig=kubeconfig)
            if done.code == 0:
                pending.pop(name, None)
        time.sleep(0.5)


def test_an_object_that_others_made_is_not_taken_over(fresh: Checkout, theirs: dict[str, Path]) -> None:
    federate(fresh, theirs)
    namespace = ("create", "namespace", "istio-system")
    account = ("create", "serviceaccount", "istiod", "--namespace=istio-system")
    for arguments in (namespace, account):
        assert fresh.kubectl("", *arguments, kubeconfig=theirs["west"]).code == 0
    done = fresh.mesh("up", "--yes")
    assert done.code != 0
    assert "Traceback" not in done.text, done.text
    assert "istiod" in done.text and "adopt" in done.text, done.text
    fresh.down()
    assert exists(fresh, theirs["west"], "serviceaccount", "istiod", "--namespace=istio-system")
