"""The sequential script and its inputs: the very values and bodies that the product uses, as files."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.scratch import CHECKOUT, BenchError, run
from components.provisioners.kwok import BINARIES, LOAD_BALANCER
from model import routing, samples
from model.config import Federation, Provisioner
from model.plan import ClusterPlan, Plan
from toolchain.install import Toolchain

SCRIPT = CHECKOUT / "bench" / "sequential.sh"
CA_CONFIG = """[req]
distinguished_name = subject
prompt = no
[subject]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, nonRepudiation, keyEncipherment, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


def suits(federation: Federation) -> None:
    """Refuse stacks that the script does not build.

    Raises:
        BenchError: says what it builds.
    """
    simulated = all(cluster.provisioner is Provisioner.KWOK for cluster in federation.clusters.values())
    trust = federation.trust
    if not simulated or trust.model != "common" or (trust.key.algorithm, trust.key.curve) != ("ECDSA", "P256"):
        raise BenchError("the script builds simulated clusters with one common root of ECDSA P-256 keys, nothing else")
    if federation.istio.charts != "official":
        raise BenchError("the script installs the toolchain's charts")


def write(plan: Plan, folder: Path, toolchain: Toolchain) -> None:
    """Write what the script reads."""
    (folder / "ca.conf").write_text(CA_CONFIG, encoding="utf-8")
    for cluster in plan.clusters.values():
        _write_cluster(plan, cluster, folder / cluster.name, toolchain)


def execute(plan: Plan, folder: Path, toolchain: Toolchain, environment: Mapping[str, str]) -> float:
    """Run the script in the folder that was written; returns seconds."""
    settings = {**environment, **toolchain.environment(), "KWOK_WORKDIR": str(folder / "kwok")}
    settings |= {"HELM_CACHE_HOME": str(folder / "helm"), "HELM_CONFIG_HOME": str(folder / "helm")}
    begun = time.monotonic()
    run(["sh", str(SCRIPT), str(toolchain.charts), *plan.clusters], folder, settings)
    return time.monotonic() - begun


def _write_cluster(plan: Plan, cluster: ClusterPlan, folder: Path, toolchain: Toolchain) -> None:
    folder.mkdir()
    balancer = folder / "load-balancer.json"
    charts = {"base": cluster.base_values, "istiod": cluster.istiod_values, "gateway": cluster.gateway_values}
    documents: dict[str, object] = {
        **charts,
        "load-balancer": LOAD_BALANCER,
        "control-plane": _control_plane(json.loads(cluster.provision.config), balancer, toolchain),
        "mutual-tls": routing.strict_mtls(),
    }
    for offer in cluster.exports:
        documents[f"export.{offer.name}"] = _list([routing.authorization(offer), routing.gateway(offer)])
    for link in cluster.imports:
        addresses = [plan.clusters[source.cluster].addresses for source in link.sources]
        rule = routing.destination_rule(link)
        documents[f"import.{link.name}"] = _list([routing.service_entry(link, addresses), *([rule] if rule else [])])
    for namespace in cluster.namespaces:
        documents[f"namespace.{len(documents)}"] = namespace
    for workload in cluster.workloads:
        documents[f"workload.{workload.reference.namespace}.{workload.reference.name}"] = _list(
            samples.bodies(workload)
        )
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    started = "".join(f"{w.reference.namespace} {w.reference.name}\n" for w in cluster.workloads)
    (folder / "deployments").write_text(started, encoding="utf-8")
    (folder / "nodes").write_text(str(cluster.declared.nodes), encoding="utf-8")
    (folder / "network").write_text(cluster.declared.network, encoding="utf-8")


def _control_plane(config: Mapping[str, object], balancer: Path, toolchain: Toolchain) -> dict[str, object]:
    """Return kwokctl's configuration; it chooses the ports, which only races when clusters are made side by side."""
    services = {"key": "service-cluster-ip-range", "value": config["serviceSubnet"]}
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": "127.0.0.1",
            "kubeVersion": f"v{config['kubernetesVersion']}",
            **{option: str(toolchain.bin / program) for option, program in BINARIES.items()},
        },
        "componentsPatches": [
            {"name": "kube-apiserver", "extraArgs": [services]},
            {"name": "kwok-controller", "extraArgs": [{"key": "config", "value": str(balancer)}]},
        ],
    }


def _list(items: Sequence[object]) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}
