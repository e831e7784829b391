"""Compares exports with the Services of running clusters: each `mesh up` does so before it changes anything.

The resource graph compares only what it is about to change, and misses Services that were added or changed since.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mesh_federation.engine.pulumi import Engine, EngineError
from mesh_federation.jobs import export_check
from mesh_federation.jobs.export_check import DIFFERENT, ExportCheckSettings
from mesh_federation.plan.exports import ExportPlan, declaration
from mesh_federation.plan.federation import plan
from mesh_federation.stack.config import Federation


def compare(engine: Engine, federation: Federation) -> None:
    """Compare all exports with the Services and pods of running clusters.

    A cluster that does not answer is left to the engine.

    Raises:
        EngineError: exports differ from their Services or pods; all are named.
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
