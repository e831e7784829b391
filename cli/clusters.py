"""Clusters between two runs: after a reboot the processes of simulated ones are gone, or somebody removed a cluster."""

import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from cli.engine import Engine, EngineError, RecordedCluster
from cli.whose import lost
from components.provisioners.begun import notes
from components.provisioners.place import GONE, SCRIPT_PREFIX

KUBECONFIG = f"{SCRIPT_PREFIX}kubeconfig"
"""Writes a cluster's kubeconfig for people."""


def wake(engine: Engine, tell: Callable[[str], None]) -> None:
    """Start every cluster of the stack that does not run; one that is gone is forgotten, so that it is made anew.

    The kubeconfigs of the others are written again: a file may be lost, or another cluster's by now.

    Raises:
        EngineError: the state does not know what runs; or a cluster that is there does not start: its script's words.
    """
    clusters = engine.recorded_clusters()
    if trouble := lost(engine.workspace, engine.stack, frozenset(cluster.name for cluster in clusters)):
        raise EngineError(f"{trouble.what}\n  -> {trouble.fix}")
    with ThreadPoolExecutor() as pool:
        awake = list(pool.map(lambda cluster: _starts(engine, cluster, tell), clusters))
    gone = [cluster for cluster, runs in zip(clusters, awake, strict=True) if not runs and not cluster.outgoing]
    for cluster in gone:
        tell(f"cluster {cluster.name} is gone: it is made anew, with everything in it")
        engine.forget(cluster)
        _unmark(engine, cluster)
    reached = [each.kubeconfig for each in clusters if each.kubeconfig and each not in gone]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda settings: _script(engine, KUBECONFIG, "create", settings), reached):
            if done.returncode:
                raise EngineError(done.stderr.strip())


def _unmark(engine: Engine, cluster: RecordedCluster) -> None:
    """Drop the mark that a cluster is reached from here: until it is made anew, the state does not know it."""
    for mark in (engine.workspace.home / "kubeconfigs" / engine.stack).glob(".*.of"):
        if mark.read_text(encoding="utf-8") == cluster.name:
            mark.unlink()


def sweep(
    engine: Engine, standing: Collection[str], tell: Callable[[str], None],
    why: str = "which an earlier run began and did not finish",
) -> None:  # fmt: skip
    """Remove every cluster of the stack that the engine does not know, by the notes that its script left.

    Args:
        engine: of the stack.
        standing: real names of the clusters that are meant to be there.
        tell: tells a person.
        why: how it comes that the engine does not know it.

    Raises:
        EngineError: a cluster cannot be removed; its script's own words.
    """
    for left in notes(engine.workspace.home, engine.stack):
        if left.name not in standing:
            done = _script(engine, left.script, "delete", left.environment)
            if done.returncode:
                raise EngineError(done.stderr.strip())
            tell(f"cluster {left.name}, {why}, is removed")


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
