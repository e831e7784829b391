"""`mesh down`: removes what `mesh up` made."""

import shutil
import sys

import typer

from mesh_federation.cli import stacks
from mesh_federation.cli.card import forget
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.streams import tell
from mesh_federation.cli.surroundings import CURRENT
from mesh_federation.engine import clusters, state_owner
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.state_owner import StateProblem
from mesh_federation.engine.workspace import Workspace
from mesh_federation.stack.problem import Problem


def down(stack: str, yes: bool) -> None:
    """Remove a stack; without its state, remove the clusters that this checkout made for it."""
    workspace = CURRENT.get().workspace()
    if not stacks.may_be_up(workspace, stack):
        _nothing_is_up(stacks.checkout(stack, None), stack)  # one that is up may have lost its file
        return
    engine = stacks.engine(workspace, stack, stacks.toolchain(stacks.providers_to_remove(workspace, stack)))
    engine.end_workers()
    confirms = not yes and sys.stdin.isatty()
    if problem := stacks.state_problem(engine):
        _remove_by_journal(engine, problem, confirms)
        return
    if not engine.exists():
        _nothing_is_up(workspace, stack)
        return
    stacks.refuse_second_run(engine)
    stacks.unlock(engine)
    clusters.refresh_kubeconfigs(engine, stacks.valid_or_none(workspace, stack), tell)
    if status := engine.destroy(*([] if confirms else ["--yes", "--skip-preview"])):
        raise typer.Exit(status)
    clusters.remove_orphans(engine, (), tell)
    engine.close()
    forget(workspace, stack)
    shutil.rmtree(engine.workspace.home / "kubeconfigs" / stack, ignore_errors=True)
    print(f"{stack}: nothing is left")


def _nothing_is_up(workspace: Workspace, stack: str) -> None:
    """Say so, and take its card away."""
    forget(workspace, stack)
    print(f"{stack}: nothing of it is up")


def _remove_by_journal(engine: Engine, problem: StateProblem, confirms: bool) -> None:
    """Remove the clusters of a stack whose state is lost, by this checkout's journal."""
    if not problem.is_final:
        raise Refused(problem)
    tell(problem.what)
    if confirms:
        typer.confirm("Remove the clusters that this checkout made for it, according to its journal?", abort=True)
    staying = state_owner.made_by_others(engine.workspace, engine.stack)
    clusters.remove_orphans(engine, (), tell, "which this checkout made")
    kubeconfigs = engine.workspace.home / "kubeconfigs" / engine.stack
    if staying:
        what = f"the objects of {engine.stack} in {', '.join(staying)} stay: only the lost state lists them"
        fix = (
            "restore the state and its passphrase, then run ./mesh down; or delete there the objects with the label"
            f" mesh-federation/stack={engine.stack}, and here {kubeconfigs}"
        )
        raise Refused(Problem("", "state-lost", what, fix))
    engine.forsake()
    forget(engine.workspace, engine.stack)
    shutil.rmtree(kubeconfigs, ignore_errors=True)
    if not engine.workspace.uses_own_state() and engine.exists():
        tell(f"its state stays in {engine.workspace.backend()}: pulumi stack rm --force {engine.stack} removes it")
    print(f"{engine.stack}: nothing is left")
