"""Deleted custom resource definitions: `--refresh` applies them again.

The engine does not notice that they are missing: they are applied by a Command, which has no refresh, as a megabyte of
definitions stays out of the state.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.engine.pulumi import Engine, RecordedDefinitions
from mesh_federation.jobs import crds


def restoring(engine: Engine, tell: Callable[[str], None]) -> list[str]:
    """Return the engine's options that apply definitions again to clusters that lack some.

    A cluster that does not answer is left to the engine, which reports it.

    Args:
        engine: the engine of the stack, whose clusters run.
        tell: prints a line.
    """
    recorded = engine.recorded_definitions()
    with ThreadPoolExecutor() as pool:
        lacking = list(pool.map(lambda each: _is_lacking(engine, each), recorded))
    gone = [each for each, lacks in zip(recorded, lacking, strict=True) if lacks]
    for each in gone:
        settings = each.settings
        tell(f"{settings.cluster} lacks custom resource definitions of {settings.release}: they are applied again")
    return [f"--replace={each.urn}" for each in gone]


def _is_lacking(engine: Engine, recorded: RecordedDefinitions) -> bool:
    file = engine.workspace.home / "kubeconfigs" / engine.stack / recorded.settings.cluster
    if not file.exists():
        return False
    done = engine.run_job(crds.JOB, "look", recorded.settings, stdin=file.read_text(encoding="utf-8"))
    return done.returncode == GONE
