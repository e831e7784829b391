import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.lab import walkthrough
from benchmarks.lab.crossing import crossing
from benchmarks.scratch import CHECKOUT, BenchError
from mesh_federation import loader
from mesh_federation.clusters.kind import Kind
from mesh_federation.plan.federation import plan
from mesh_federation.plan.istio_values import ADDRESS_ANNOTATION
from mesh_federation.stack.config import Federation
from mesh_federation.toolchain.install import Toolchain

CLUSTERS = ("east", "west")
PROGRAMS = ("docker", "kind", "kubectl", "helm", "openssl")
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >>"$RECORD"
case "$*" in *"$REFUSED"*) echo "refused by the test" >&2; exit 1 ;; esac
while [ $# -gt 0 ]; do
    [ "$1" != -out ] || : >"$2"
    shift
done
"""
"""Stands in for each program: notes how it was called, makes what openssl is asked for, and fails on request."""
METALLB = """
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: metallb-system}
spec: {template: {spec: {containers: [{image: quay.io/metallb/controller:v0.13.12}]}}}
"""


def federation(**changes: object) -> Federation:
    tree = loader.declared(CHECKOUT / "Pulumi.east-west.yaml").tree
    assert isinstance(tree, dict)
    return loader.parse({**tree, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The script's inputs, and stand-ins for what it runs."""
    (tmp_path / "metallb.yaml").write_text(METALLB, encoding="utf-8")
    inputs, programs = tmp_path / "inputs", tmp_path / "bin"
    for made in (inputs, programs):
        made.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(RECORDER, encoding="utf-8")
        (programs / name).chmod(0o755)
    declared = federation(images={"metallb": "mirror.example/metallb"})
    walkthrough.write(plan(declared, "east-west"), inputs, toolchain(tmp_path))
    return inputs


def toolchain(folder: Path) -> Toolchain:
    return Toolchain(bin=folder / "bin", charts=folder / "charts", manifests=folder)


def run(folder: Path, refused: str = "nothing") -> tuple["subprocess.CompletedProcess[str]", list[str]]:
    record = folder.parent / "record"
    settings = {"RECORD": str(record), "REFUSED": refused, "CHARTS": "/charts"}
    settings |= {"NETWORK": "a-network", "SUBNET": "172.25.0.0/16", "NODE_RANGE": "172.25.0.0/17"}
    path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(walkthrough.SCRIPT), *CLUSTERS], cwd=folder, env={"PATH": path, **settings}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return done, record.read_text(encoding="utf-8").splitlines()


def test_the_script_goes_one_step_after_the_other_and_one_cluster_after_the_other(folder: Path) -> None:
    done, calls = run(folder)
    assert done.returncode == 0, done.stderr
    marks = [
        "docker network create --subnet 172.25.0.0/16 --ip-range 172.25.0.0/17 a-network",
        "kind create cluster --name east-", "kind create cluster --name west-",
        "kubectl apply --filename east/metallb.json", "kubectl apply --filename east/pool.json",
        "kubectl apply --filename west/pool.json", "openssl req -x509", "kubectl create secret generic cacerts",
        "helm install istio-base /charts/base", "helm install istiod /charts/istiod",
        "helm install istio-eastwestgateway /charts/gateway", "kubectl apply --filename west/export.",
        "kubectl apply --filename east/workload.", "kubectl rollout status --namespace httpbin deployment/httpbin",
        "kubectl apply --filename east/import.",
    ]  # fmt: skip
    positions = [next(at for at, call in enumerate(calls) if call.startswith(mark)) for mark in marks]
    assert positions == sorted(positions)
    assert positions[-1] == len(calls) - 1


def test_the_script_times_all_its_steps(folder: Path) -> None:
    run(folder)
    steps = walkthrough.durations((folder / "steps").read_text(encoding="utf-8").splitlines())
    assert list(steps) == ["clusters", "MetalLB", "trust", "Istio", "gateways", "links", "workloads"]
    assert all(seconds >= 0 for seconds in steps.values())


@pytest.mark.parametrize("step", ["kind create cluster --name west", "helm install istiod", "rollout status"])
def test_the_script_ends_where_a_step_fails(folder: Path, step: str) -> None:
    done, calls = run(folder, refused=step.partition(" ")[2])
    assert done.returncode != 0
    assert step.partition(" ")[2] in calls[-1]


def test_the_script_is_given_what_the_product_uses(folder: Path) -> None:
    planned = plan(federation(), "east-west")
    west = planned.clusters["west"]
    written = json.loads((folder / "west" / "kind.json").read_text(encoding="utf-8"))
    assert written == Kind().labelled(west.provision.settings)
    assert (folder / "west" / "name").read_text(encoding="utf-8") == west.provision.name
    gateway = json.loads((folder / "west" / "gateway.json").read_text(encoding="utf-8"))
    assert gateway["service"]["annotations"][ADDRESS_ANNOTATION] == west.addresses[0]
    assert "mirror.example/metallb/controller:v0.13.12" in (folder / "west" / "metallb.json").read_text(
        encoding="utf-8"
    )
    [entry] = json.loads((folder / "east" / "import.import-httpbin-httpbin.json").read_text(encoding="utf-8"))["items"]
    assert [endpoint["address"] for endpoint in entry["spec"]["endpoints"]] == list(west.addresses)


def test_stacks_that_the_script_does_not_build_are_refused() -> None:
    walkthrough.suits(federation())
    with pytest.raises(BenchError, match="common root"):
        walkthrough.suits(federation(trust={"model": "separate"}))
    with pytest.raises(BenchError, match="kind clusters"):
        walkthrough.suits(loader.read(CHECKOUT / "Pulumi.simulated.yaml"))


def test_the_call_goes_through_the_exporters_gateway_under_istios_name_of_the_service() -> None:
    declared = federation()
    planned = plan(declared, "east-west")
    chosen = crossing(declared, planned)
    assert (chosen.call.cluster, chosen.call.source) == ("east", "west")
    assert chosen.gateway == (planned.clusters["west"].addresses[0], 15443)
    assert chosen.sni == "outbound_.8000_._.httpbin.httpbin.svc.cluster.local"


def test_without_a_caller_nothing_can_be_measured() -> None:
    declared = federation(workloads=[{"cluster": "west", "sample": "httpbin"}])
    with pytest.raises(BenchError, match="nothing can be called"):
        crossing(declared, plan(declared, "east-west"))
