"""Clusters between two runs: after a reboot the processes of simulated ones are gone, or somebody removed a folder."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli.engine import Engine, EngineError, RecordedCluster


def wake(engine: Engine, tell: Callable[[str], None]) -> bool:
    """Start every cluster of the stack that does not run; one that is gone is made anew, empty.

    Returns:
        Whether a cluster was made anew: what was in it must be looked for, by a refresh.

    Raises:
        EngineError: a cluster neither starts nor can be made; its script's own words.
    """
    clusters = engine.recorded_clusters()
    with ThreadPoolExecutor() as pool:
        anew = list(pool.map(lambda cluster: _wake(engine, cluster, tell), clusters))
    return any(anew)


def _wake(engine: Engine, cluster: RecordedCluster, tell: Callable[[str], None]) -> bool:
    folder = Path(engine.environment["MESH_HOME"]) / "clusters" / cluster.name
    if folder.exists():
        _run(engine, cluster, "start")
        return False
    tell(f"cluster {cluster.name} is gone: making it anew")
    _run(engine, cluster, "create")
    return True


def _run(engine: Engine, cluster: RecordedCluster, action: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", cluster.script, action],
        cwd=engine.workspace.checkout,
        env={**engine.environment, **cluster.environment},
        input=cluster.config,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(done.stderr.strip())
