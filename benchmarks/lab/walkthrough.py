"""The script of walk-through 001, what only it reads, and how long each of its steps took."""

import time
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from benchmarks import inputs
from benchmarks.lab.figures import Scripted
from benchmarks.scratch import CHECKOUT, BenchError, run
from mesh_federation.clusters.container_provider import ContainerProvider
from mesh_federation.manifests import charts, published
from mesh_federation.plan import metallb
from mesh_federation.plan.federation import ClusterPlan, Plan
from mesh_federation.stack.config import Federation
from mesh_federation.toolchain.install import Toolchain

SCRIPT = CHECKOUT / "benchmarks" / "walkthrough.sh"


def suits(federation: Federation) -> None:
    """Refuse stacks that the script does not build.

    Raises:
        BenchError: says what it builds.
    """
    if any(cluster.provider.name != "kind" for cluster in federation.clusters.values()):
        raise BenchError("the walk-through builds kind clusters, nothing else\n  -> choose one with --stack")
    if len({federation.istio_version(name) for name in federation.clusters}) > 1:
        raise BenchError("the walk-through installs one Istio release in all clusters")
    inputs.suits(federation)


def write(plan: Plan, folder: Path, toolchain: Toolchain) -> None:
    """Write what the script reads."""
    for cluster in plan.clusters.values():
        made = cluster.provision
        assert cluster.pool and isinstance(made.provider, ContainerProvider)
        further = {
            "kind": made.provider.labelled(made.settings),
            "metallb": inputs.listed(_metallb(plan, toolchain)),
            "pool": inputs.listed([metallb.pool(cluster.pool), metallb.advertisement()]),
        }
        inputs.write(plan, cluster, folder / cluster.name, further)
        (folder / cluster.name / "name").write_text(made.name, encoding="utf-8")


def execute(plan: Plan, folder: Path, toolchain: Toolchain, environment: Mapping[str, str]) -> Scripted:
    """Run the script in the folder that was written."""
    first = next(iter(plan.clusters.values()))
    lab = first.provision.settings.network
    network = {"NETWORK": lab.name, "SUBNET": lab.subnet, "NODE_RANGE": lab.node_range}
    variables = {**environment, **network, "CHARTS": str(_charts(plan, first, toolchain))}
    variables |= {"HELM_CACHE_HOME": str(folder / "helm"), "HELM_CONFIG_HOME": str(folder / "helm")}
    variables |= {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
    begun = time.monotonic()
    run(["bash", str(SCRIPT), *plan.clusters], folder, variables)
    seconds = time.monotonic() - begun
    return Scripted(seconds, durations((folder / "steps").read_text(encoding="utf-8").splitlines()))


def durations(lines: Iterable[str]) -> dict[str, float]:
    """Add up what the script wrote: each step lasts until the next one, and may come again."""
    written = [(float(at), name) for at, name in (line.split() for line in lines)]
    lasted: dict[str, float] = {}
    for (begun, name), (ended, _) in pairwise(written):
        lasted[name] = lasted.get(name, 0.0) + ended - begun
    return lasted


def _metallb(plan: Plan, toolchain: Toolchain) -> list[dict[str, object]]:
    declared = plan.sources.metallb
    assert toolchain.manifests
    file = toolchain.manifests / "metallb.yaml" if declared == "official" else published.metallb(declared)
    return [metallb.normalized(body, plan.sources.metallb_hub) for body in published.read(file)]


def _charts(plan: Plan, cluster: ClusterPlan, toolchain: Toolchain) -> Path:
    declared = cluster.istio_charts
    return toolchain.charts if declared == "official" else charts.folder(declared, cluster.istio_version)
