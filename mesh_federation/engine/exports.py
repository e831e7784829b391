"""Exports beside the Services of clusters that run: compared anew by each `mesh up`, before anything changes.

The graph compares what it is about to change. A Service that came later, or that somebody has changed since, only a
look at the clusters can tell.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mesh_federation.engine.pulumi import Engine, EngineError
from mesh_federation.jobs import export_check
from mesh_federation.jobs.export_check import DIFFERENT, ExportCheckSettings
from mesh_federation.plan.federation import plan
from mesh_federation.plan.routing import ExportPlan, declaration
from mesh_federation.stack.config import Federation


def compare(engine: Engine, federation: Federation) -> None:
    """Compare all exports with what clusters that are there already have.

    A cluster that does not answer is left to the engine.

    Raises:
        EngineError: some export is not as its Service and its pods are; it names all of them.
    """
    kubeconfigs = engine.workspace.home / "kubeconfigs" / engine.stack
    asked = [
        (name, offer)
        for name, cluster in plan(federation, engine.stack).clusters.items()
        for offer in cluster.exports
        if not offer.on_sample and (kubeconfigs / name).exists()
    ]
    with ThreadPoolExecutor() as pool:
        told = pool.map(lambda each: _differs(engine, each[0], each[1], kubeconfigs / each[0]), asked)
        different = [difference for difference in told if difference]
    if different:
        raise EngineError("\n".join(different))


def _differs(engine: Engine, cluster: str, offer: ExportPlan, kubeconfig: Path) -> str:
    settings = ExportCheckSettings(cluster, declaration(offer))
    done = engine.run_job(export_check.JOB, "", settings, stdin=kubeconfig.read_text(encoding="utf-8"))
    return done.stderr.strip() if done.returncode == DIFFERENT else ""
