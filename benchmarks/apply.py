"""The least that the same objects can cost: one bare `kubectl apply` a cluster, all clusters side by side."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.product import Body
from benchmarks.scratch import CHECKOUT, run
from mesh_federation import document
from mesh_federation.jobs.job import ENTRY
from mesh_federation.plan.federation import Plan
from mesh_federation.toolchain.install import Toolchain


def execute(
    plan: Plan,
    objects: Mapping[str, Sequence[Body]],
    folder: Path,
    toolchain: Toolchain,
    environment: Mapping[str, str],
) -> float:
    """Make empty clusters as the product does, then apply the objects and wait until all are ready.

    Returns:
        Seconds from the first apply to the last readiness; the making of the clusters does not count.
    """
    settings = {**environment, **toolchain.environment(), "MESH_HOME": str(folder)}
    crds = toolchain.charts / "base" / "files" / "crd-all.gen.yaml"

    def make(cluster: str) -> None:
        provision = plan.clusters[cluster].provision
        job = [sys.executable, "-m", ENTRY, provision.provider.name, "create"]
        run(job, CHECKOUT, {**settings, document.VARIABLE: document.write(provision.settings)})

    def fill(cluster: str) -> None:
        kubeconfig = folder / "clusters" / plan.clusters[cluster].provision.name / "kubeconfig"
        _fill(["kubectl", f"--kubeconfig={kubeconfig}"], objects[cluster], crds, folder, settings)

    with ThreadPoolExecutor() as pool:
        list(pool.map(make, objects))
        begun = time.monotonic()
        list(pool.map(fill, objects))
        return time.monotonic() - begun


def _fill(
    kubectl: Sequence[str], bodies: Sequence[Body], crds: Path, folder: Path, settings: Mapping[str, str]
) -> None:
    run([*kubectl, "apply", "--server-side", f"--filename={crds}"], folder, settings)
    run([*kubectl, "wait", "--for=condition=Established", f"--filename={crds}"], folder, settings)
    ordered = sorted(bodies, key=lambda body: body["kind"] != "Namespace")
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": ordered})
    run([*kubectl, "apply", "--server-side", "--filename=-"], folder, settings, everything)
    for body in bodies:
        if body["kind"] == "Deployment":
            metadata = body["metadata"]
            assert isinstance(metadata, dict)
            place = [f"deployment/{metadata['name']}", f"--namespace={metadata['namespace']}"]
            run([*kubectl, "rollout", "status", *place], folder, settings)
