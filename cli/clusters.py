"""Clusters between two runs: after a reboot the processes of simulated ones are gone, or somebody removed a cluster."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cli.engine import Engine, EngineError, RecordedCluster
from components.provisioners.place import GONE


def wake(engine: Engine, tell: Callable[[str], None]) -> None:
    """Start every cluster of the stack that does not run; one that is gone is forgotten, so that it is made anew.

    Raises:
        EngineError: a cluster that is there does not start; its script's own words.
    """
    clusters = engine.recorded_clusters()
    with ThreadPoolExecutor() as pool:
        awake = list(pool.map(lambda cluster: _starts(engine, cluster, tell), clusters))
    gone = [cluster for cluster, runs in zip(clusters, awake, strict=True) if not runs and not cluster.outgoing]
    for cluster in gone:
        tell(f"cluster {cluster.name} is gone: it is made anew, with everything in it")
        engine.forget(cluster)


def _starts(engine: Engine, cluster: RecordedCluster, tell: Callable[[str], None]) -> bool:
    """Start a cluster and tell what had to be mended; says whether there was one to start."""
    done = subprocess.run(
        [sys.executable, "-m", cluster.script, "start"],
        cwd=engine.workspace.checkout,
        env={**engine.environment, **cluster.environment},
        input=cluster.config,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, GONE):
        raise EngineError(done.stderr.strip())
    if done.returncode == GONE:
        return False
    for line in done.stderr.splitlines():
        tell(line)
    return True
