"""What follows from a stack file for native clusters, and what their provider hands on of a node's word."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_federation.clusters import native
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.native import Native
from mesh_federation.clusters.settings import ClusterSpec, LabNetwork, ProviderSettings
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.native.machine import COREFILE, dns_settings
from mesh_federation.native.network import bridge_address
from mesh_federation.native.sandbox import environment

LAB = "172.30.0.0/16"


def spec(pool: str = "172.30.128.0/22", subnet: str = LAB) -> ClusterSpec:
    return ClusterSpec(
        pod_subnet="10.10.0.0/16", service_subnet="10.255.10.0/24", kubernetes_version="1.34.4",
        network=LabNetwork("native", subnet), pool=pool,
    )  # fmt: skip


@given(generation=st.text("0123456789abcdef", min_size=6, max_size=6))
def test_a_node_has_an_address_of_the_lower_half_that_is_not_the_bridges(generation: str) -> None:
    address = native.node_address(spec(), f"east-{generation}")
    assert address in IPv4Network("172.30.0.0/22") and address != bridge_address(LAB)


def test_a_node_whose_address_would_be_the_bridges_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "gateway_address", lambda lower, generation: bridge_address(LAB))
    assert native.node_address(spec(), "east-abcdef") == IPv4Address("172.30.0.2")


def test_two_generations_of_a_cluster_have_different_addresses() -> None:
    assert native.node_address(spec(), "east-aaaaaa") != native.node_address(spec(), "east-bbbbbb")


def test_another_pool_is_another_cluster() -> None:
    identity = Native().identity
    assert identity(spec()) != identity(spec(pool="172.30.132.0/22"))
    assert identity(spec()) == identity(spec(subnet="172.30.0.0/17"))


@pytest.mark.parametrize(("declared", "used"), [("", "cluster.local"), ("in.munich", "in.munich")])
def test_a_node_knows_the_domain_of_services(tmp_path: Path, declared: str, used: str) -> None:
    given = replace(spec(), cluster_domain=declared)
    made = native.node_settings(
        LocalCluster(ProviderSettings("east-aaaaaa", "east", "dev", "label", given), Workdir(tmp_path, tmp_path))
    )
    assert made.cluster_domain == used
    assert f"kubernetes {used} in-addr.arpa" in COREFILE.format(**dns_settings(made))


def test_the_agent_alone_gives_services_their_addresses(tmp_path: Path) -> None:
    """The controller of kwok would give addresses outside of the pool too, and the agent would take them back."""
    settings = ProviderSettings("east-aaaaaa", "east", "dev", "label", spec())
    made = native.node_settings(LocalCluster(settings, Workdir(tmp_path, tmp_path)))
    patches = {each["name"]: each for each in json.loads(made.configuration)["componentsPatches"]}
    assert "config" not in {each["key"] for each in patches["kwok-controller"]["extraArgs"]}


def kubeconfig() -> dict[str, object]:
    """Return what kwokctl writes, with additions of a node that lies."""
    return {
        "current-context": "evil",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1", "certificate-authority-data": "Q0E=",
                                               "proxy-url": "http://evil"}}],
        "users": [{"name": "u", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ",
                                         "exec": {"command": "/bin/evil"}}}],
    }  # fmt: skip


def test_a_node_cannot_have_this_machine_run_programs_by_its_kubeconfig() -> None:
    written = native.through(json.dumps(kubeconfig()), "https://127.0.0.1:20000")
    assert "evil" not in written
    config = json.loads(written)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:20000", "certificate-authority-data": "Q0E=",
    }  # fmt: skip
    assert config["users"][0]["user"] == {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}


def test_a_sandbox_gets_no_secret_of_the_engines_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "secret")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "PULUMI_ACCESS_TOKEN" not in environment()
    assert environment()["PATH"] == f"{tmp_path}:/usr/sbin:/sbin"
