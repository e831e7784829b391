"""Clusters between two runs: after a reboot the processes of simulated ones are gone, or somebody removed a cluster."""

import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from cli.engine import Engine, EngineError, RecordedCluster
from components.provisioners.begun import notes
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


def sweep(engine: Engine, standing: Collection[str], tell: Callable[[str], None]) -> None:
    """Remove every cluster of the stack that a run began and did not finish: the engine does not know it.

    Args:
        engine: of the stack.
        standing: real names of the clusters that are meant to be there.
        tell: tells a person.

    Raises:
        EngineError: a cluster cannot be removed; its script's own words.
    """
    for left in notes(engine.workspace.home, engine.stack):
        if left.name not in standing:
            done = _script(engine, left.script, "delete", left.environment)
            if done.returncode:
                raise EngineError(done.stderr.strip())
            tell(f"cluster {left.name}, which an earlier run began and did not finish, is removed")


def _starts(engine: Engine, cluster: RecordedCluster, tell: Callable[[str], None]) -> bool:
    """Start a cluster and tell what had to be mended; says whether there was one to start."""
    done = _script(engine, cluster.script, "start", cluster.environment, cluster.config)
    if done.returncode not in (0, GONE):
        raise EngineError(done.stderr.strip())
    if done.returncode == GONE:
        return False
    for line in done.stderr.splitlines():
        tell(line)
    return True


def _script(
    engine: Engine, script: str, action: str, environment: Mapping[str, str], config: str = ""
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", script, action],
        cwd=engine.workspace.checkout, env={**engine.environment, **environment}, input=config, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
