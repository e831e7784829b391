"""Checkouts side by side, and clusters that were there before."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import yaml

from mesh_federation import document
from mesh_federation.clusters.settings import ClusterSpec, ProviderSettings
from mesh_federation.jobs.job import ENTRY
from mesh_federation.stack.config import Cluster
from mesh_federation.toolchain.install import Toolchain
from tests.checkout import Checkout, checkout


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
    file = one.home / "kubeconfigs" / "simulated" / cluster
    return str(json.loads(file.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"])


@pytest.fixture
def theirs(second: Checkout) -> dict[str, Path]:
    """Two clusters that somebody else made, by name; each holds an object of theirs."""
    made = {}
    for name, service_subnet in (("east", "10.255.10.0/24"), ("west", "10.255.30.0/24")):
        spec = ClusterSpec(
            pod_subnet="10.10.0.0/16",
            service_subnet=service_subnet,
            nodes=1,
            kubernetes_version=Cluster().kubernetes_version,
        )
        settings = ProviderSettings(name, name, "theirs", label="", spec=spec)
        environment = second.environment() | {document.VARIABLE: document.write(settings)}
        script = f"{second.python} -m {ENTRY} kwok create </dev/null"
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


@contextmanager
def balanced(one: Checkout, theirs: dict[str, Path]) -> Iterator[None]:
    """Give the gateways their addresses meanwhile, once each."""
    over = Event()
    with ThreadPoolExecutor() as background:
        background.submit(assign_addresses, one, theirs, over)
        try:
            yield
        finally:
            over.set()


def test_the_address_that_their_load_balancer_gives_is_waited_for_and_stays_told(
    fresh: Checkout, theirs: dict[str, Path]
) -> None:
    federate(fresh, theirs, declared=False)
    with balanced(fresh, theirs):
        fresh.up()
    assert fresh.imported_addresses() == ["192.0.2.2"], "of both families, importers call IPv4"
    assert set(fresh.up("--refresh").changes()) == {"unchanged"}
    assert fresh.imported_addresses() == ["192.0.2.2"]


def assign_addresses(one: Checkout, theirs: dict[str, Path], over: Event) -> None:
    """Be the clusters' load balancer."""
    pending = dict(theirs)
    while pending and not over.wait(0.5):
        for number, (name, kubeconfig) in enumerate(theirs.items()):
            ingress = [{"ip": f"2001:db8::{number + 1}"}, {"ip": f"192.0.2.{number + 1}"}]
            status = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
            patch = ("patch", "service", "istio-eastwestgateway", "--namespace=istio-system", "--subresource=status")
            done = one.kubectl("", *patch, "--type=merge", f"--patch={status}", kubeconfig=kubeconfig)
            if done.code == 0:
                pending.pop(name, None)


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


KINDS = "namespaces,deployments,secrets,configmaps,serviceaccounts,services,clusterroles,mutatingwebhookconfigurations"


def uids(one: Checkout, kubeconfig: Path) -> dict[str, str]:
    """Every object of the stack in a cluster, and what tells it from one that was made anew."""
    select = ("--all-namespaces", "--selector=mesh-federation/stack=simulated", "--output=json")
    done = one.kubectl("", "get", KINDS, *select, kubeconfig=kubeconfig)
    assert done.code == 0, done.text
    items = json.loads(done.stdout)["items"]
    found = {f"{each['kind']} {each['metadata']['name']}": str(each["metadata"]["uid"]) for each in items}
    assert len(found) > 10
    return found


def redeclare(one: Checkout, name: str, **cluster: object) -> None:
    with one.edited() as federation:
        clusters = federation["clusters"]
        assert isinstance(clusters, dict)
        clusters[name] |= cluster


def moved(theirs: Path) -> Path:
    """The same kubeconfig under another path, with another context."""
    config = yaml.safe_load(theirs.read_text(encoding="utf-8"))
    config["contexts"][0]["name"] = config["current-context"] = "renamed"
    copy = theirs.with_name("config-2026")
    copy.write_text(yaml.safe_dump(config), encoding="utf-8")
    return copy


def test_a_cluster_is_the_same_under_another_path_and_context_and_refused_under_another_key(
    fresh: Checkout, theirs: dict[str, Path]
) -> None:
    federate(fresh, theirs)
    with balanced(fresh, theirs):
        fresh.up()
    before = {name: uids(fresh, kubeconfig) for name, kubeconfig in theirs.items()}
    redeclare(fresh, "east", kubeconfig=str(moved(theirs["east"])), context="renamed")
    changes = fresh.up().changes()
    assert set(changes) == {"updated", "unchanged"} and changes["updated"] == 1, changes
    redeclare(fresh, "west", kubeconfig=str(theirs["east"]))
    wrong = fresh.mesh("up", "--yes")
    assert wrong.code != 0 and "another-cluster" in wrong.text and "one-cluster-twice" in wrong.text, wrong.text
    redeclare(fresh, "west", kubeconfig=str(theirs["west"]))
    declared = fresh.declared()
    fresh.declare(json.loads(json.dumps(declared).replace('"east"', '"prod-east"')))
    renamed = fresh.mesh("up", "--yes")
    assert renamed.code != 0 and "write east again" in renamed.text, renamed.text
    assert {name: uids(fresh, kubeconfig) for name, kubeconfig in theirs.items()} == before
    fresh.declare(declared)
    assert set(fresh.up().changes()) == {"unchanged"}


def test_a_stack_of_the_same_name_in_another_checkout_is_another_stack(
    fresh: Checkout, second: Checkout, theirs: dict[str, Path]
) -> None:
    federate(fresh, theirs)
    federate(second, theirs)
    with balanced(fresh, theirs):
        fresh.up()
    before = {name: uids(fresh, kubeconfig) for name, kubeconfig in theirs.items()}
    root = fresh.get("east", "secret", "cacerts")["data"]
    done = second.mesh("up", "--yes")
    assert done.code != 0 and "with another state" in done.text, done.text
    assert "Traceback" not in done.text
    second.down()
    assert {name: uids(fresh, kubeconfig) for name, kubeconfig in theirs.items()} == before
    assert fresh.get("east", "secret", "cacerts")["data"] == root
    assert set(fresh.up().changes()) == {"unchanged"}


def with_a_token(one: Checkout, theirs: Path) -> Path:
    """A kubeconfig that reaches a cluster by a token of an account made for it; earlier ones end."""
    account = ("serviceaccount", "admin", "--namespace=default")
    one.kubectl("", "delete", *account, "--ignore-not-found", kubeconfig=theirs)
    assert one.kubectl("", "create", *account, kubeconfig=theirs).code == 0
    bind = ("create", "clusterrolebinding", "theirs", "--clusterrole=cluster-admin", "--serviceaccount=default:admin")
    one.kubectl("", *bind, kubeconfig=theirs)
    token = one.kubectl("", "create", "token", "admin", "--namespace=default", kubeconfig=theirs)
    assert token.code == 0, token.text
    config = yaml.safe_load(theirs.read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"tokenFile": "token"}
    file = theirs.with_name("with-a-token")
    file.with_name("token").write_text(token.stdout.strip(), encoding="utf-8")
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def test_renewed_credentials_are_no_change_and_reach_the_engine(fresh: Checkout, theirs: dict[str, Path]) -> None:
    reached = {name: with_a_token(fresh, kubeconfig) for name, kubeconfig in theirs.items()}
    federate(fresh, reached)
    with balanced(fresh, theirs):
        fresh.up()
    for kubeconfig in theirs.values():
        with_a_token(fresh, kubeconfig)
    assert set(fresh.up().changes()) == {"unchanged"}
    with fresh.edited() as federation:
        federation["exports"] = federation["imports"] = []
    assert fresh.up().changes()["deleted"]
    for kubeconfig in theirs.values():
        with_a_token(fresh, kubeconfig)
    fresh.down()
    assert not exists(fresh, theirs["west"], "deployment", "istiod", "--namespace=istio-system")


def test_adopted_objects_are_shown_named_and_left(fresh: Checkout, theirs: dict[str, Path]) -> None:
    federate(fresh, theirs)
    for what in (("namespace", "sleep"), ("serviceaccount", "sleep", "--namespace=sleep")):
        assert fresh.kubectl("", "create", *what, kubeconfig=theirs["east"]).code == 0
    redeclare(fresh, "east", adopt=True)
    shown = fresh.mesh("up", "--yes")
    assert shown.code != 0
    assert "ServiceAccount sleep/sleep would change:" in shown.text, shown.text
    assert ".metadata.labels" in shown.text and "clusters.east.adopted" in shown.text, shown.text
    redeclare(fresh, "east", adopted=["Namespace sleep", "ServiceAccount sleep/sleep"])
    with balanced(fresh, theirs):
        fresh.up()
    assert set(fresh.up().changes()) == {"unchanged"}
    fresh.down()
    assert exists(fresh, theirs["east"], "serviceaccount", "sleep", "--namespace=sleep")
    assert not exists(fresh, theirs["east"], "deployment", "sleep", "--namespace=sleep")
