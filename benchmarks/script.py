"""The sequential script of simulated clusters, and what only it reads."""

import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks import inputs
from benchmarks.scratch import CHECKOUT, BenchError, run
from mesh_federation.clusters.kwok import BINARIES, LOAD_BALANCER
from mesh_federation.clusters.settings import ClusterSpec
from mesh_federation.plan.federation import Plan
from mesh_federation.stack.config import Federation
from mesh_federation.toolchain.install import Toolchain

SCRIPT = CHECKOUT / "benchmarks" / "sequential.sh"


def suits(federation: Federation) -> None:
    """Refuse stacks that the script does not build.

    Raises:
        BenchError: says what it builds.
    """
    if any(cluster.provider.name != "kwok" for cluster in federation.clusters.values()):
        raise BenchError("the script builds simulated clusters, nothing else")
    if federation.istio.charts != "official":
        raise BenchError("the script installs the toolchain's charts")
    inputs.suits(federation)


def write(plan: Plan, folder: Path, toolchain: Toolchain) -> None:
    """Write what the script reads."""
    for cluster in plan.clusters.values():
        balancer = folder / cluster.name / "load-balancer.json"
        control_plane = _control_plane(cluster.provision.settings.spec, balancer, toolchain)
        further = {"load-balancer": LOAD_BALANCER, "control-plane": control_plane}
        inputs.write(plan, cluster, folder / cluster.name, further)
        (folder / cluster.name / "nodes").write_text(str(cluster.declared.nodes), encoding="utf-8")


def execute(plan: Plan, folder: Path, toolchain: Toolchain, environment: Mapping[str, str]) -> float:
    """Run the script in the folder that was written; returns seconds."""
    settings = {**environment, **toolchain.environment(), "KWOK_WORKDIR": str(folder / "kwok")}
    settings |= {"HELM_CACHE_HOME": str(folder / "helm"), "HELM_CONFIG_HOME": str(folder / "helm")}
    begun = time.monotonic()
    run(["sh", str(SCRIPT), str(toolchain.charts), *plan.clusters], folder, settings)
    return time.monotonic() - begun


def _control_plane(spec: ClusterSpec, balancer: Path, toolchain: Toolchain) -> dict[str, object]:
    """Return kwokctl's configuration; it chooses the ports, which only races when clusters are made side by side."""
    services = {"key": "service-cluster-ip-range", "value": spec.service_subnet}
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "kubeVersion": f"v{spec.kubernetes_version}",
            **{option: str(toolchain.bin / program) for option, program in BINARIES.items()},
        },
        "componentsPatches": [
            {"name": "kube-apiserver", "extraArgs": [services]},
            {"name": "kwok-controller", "extraArgs": [{"key": "config", "value": str(balancer)}]},
        ],
    }
