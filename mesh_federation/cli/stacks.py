"""Opens a stack for a command: its checkout, its federation, the toolchain and the engine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from mesh_federation import loader
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.streams import tell
from mesh_federation.cli.surroundings import CURRENT
from mesh_federation.cli.validate import named
from mesh_federation.clusters import journal, registry
from mesh_federation.engine import state_owner
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.state_owner import StateProblem
from mesh_federation.engine.workspace import Workspace
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel, Problem, report
from mesh_federation.toolchain.__main__ import show
from mesh_federation.toolchain.install import Choice, Missing, Toolchain
from mesh_federation.toolchain.pins import Pins


def checkout(stack: str, overlay: Path | None) -> Workspace:
    """Return the checkout of a stack.

    Raises:
        Refused: there is no such stack file.
    """
    workspace = CURRENT.get().workspace().laying(overlay)
    file = workspace.stack_file(stack)
    if not file.exists():
        fix = f"choose one of: {', '.join(workspace.stacks())}"
        raise Refused(Problem("", "unknown-stack", f"there is no {file.name}", fix))
    return workspace


def may_be_up(workspace: Workspace, stack: str) -> bool:
    """Return whether a stack has a state, may have one in another backend, or has clusters in the journal."""
    if workspace.own_state(stack) or not workspace.uses_own_state():
        return True
    return bool(state_owner.recorded_clusters(workspace, stack))


@contextmanager
def problems_told(workspace: Workspace, stack: str) -> Iterator[None]:
    """End the command with all problems of a stack file if the block finds it invalid."""
    try:
        yield
    except InvalidModel as invalid:
        tell(report(named(workspace.stack_file(stack), workspace.overlay), invalid.problems).rstrip("\n"))
        raise typer.Exit(1) from None


def valid(workspace: Workspace, stack: str) -> Federation:
    """Return the federation of a stack file; the command ends with all problems if it is invalid."""
    with problems_told(workspace, stack):
        return loader.read(workspace.stack_file(stack), workspace.overlay)


def valid_or_none(workspace: Workspace, stack: str) -> Federation | None:
    """Return the federation of a stack file; None if it is missing or invalid, which must not prevent a removal."""
    try:
        return loader.read(workspace.stack_file(stack), workspace.overlay)
    except InvalidModel:
        return None


def declared(stack: str, overlay: Path | None) -> tuple[Workspace, Federation]:
    """Return the checkout of a stack and its valid federation."""
    workspace = checkout(stack, overlay)
    federation = valid(workspace, stack)
    if workspace.overlay:
        tell(f"{workspace.overlay} is merged over {workspace.stack_file(stack).name}")
    for each in federation.waiting:
        tell(each)
    return workspace, federation


def chosen(cluster: str, choices: Sequence[str], what: str) -> str:
    """Return the cluster that a command is about: the one that is named, or the only one.

    Args:
        cluster: its name; empty if the command names none.
        choices: clusters that the command may be about.
        what: what they are, for people.

    Raises:
        Refused: it is not clear which one is meant.
    """
    if cluster in choices:
        return cluster
    if not cluster and len(choices) == 1:
        return choices[0]
    problem = f"{cluster} is not among the {what}" if cluster else f"there are several {what}"
    raise Refused(Problem("clusters", "no-cluster", problem, f"write --cluster with one of: {', '.join(choices)}"))


def providers(federation: Federation) -> set[str]:
    """Return the names of a federation's providers."""
    return {cluster.provider.name for cluster in federation.clusters.values()}


def refuse_machine(workspace: Workspace, stack: str, federation: Federation) -> None:
    """Refuse to begin a stack that this machine cannot run; the command ends with everything that keeps it from that.

    Where clusters were begun already, their jobs say what they lack: an attempt would cost each run its time.
    """
    if journal.entries(workspace.home, stack):
        return
    found = {each for name in providers(federation) for each in registry.PROVIDERS[name].obstacles()}
    if found:
        tell(report(f"{stack} cannot run on this machine", sorted(found)).rstrip("\n"))
        raise typer.Exit(1)


def providers_to_remove(workspace: Workspace, stack: str) -> set[str]:
    """Return the providers of a stack's clusters: those that it declares, and those in the journal."""
    recorded = {entry.job for entry in journal.entries(workspace.home, stack)}
    federation = valid_or_none(workspace, stack)
    return recorded | (providers(federation) if federation else set()) or {registry.DEFAULT}


def toolchain(names: set[str], pieces: Choice = Pins.needed) -> Toolchain:
    """Return the toolchain for some providers; missing programs are installed first."""
    found = CURRENT.get().ready(names, pieces=pieces)
    if not isinstance(found, Missing):
        return found
    tell(f"Installing missing programs, which takes minutes if they must be built: {', '.join(found.pieces)}")
    return CURRENT.get().get(names, show, pieces=pieces)


def engine(workspace: Workspace, stack: str, tools: Toolchain) -> Engine:
    """Return the engine of a stack.

    Raises:
        Refused: the stack is in another backend than the one in use.
    """
    if state_owner.stays(workspace, stack):
        tell(f"{stack} is in this checkout's own state, not in the backend that you are logged in to")
        workspace = workspace.with_own_state()
    if problem := state_owner.elsewhere(workspace, stack):
        raise Refused(problem)
    workspace.prepare(tools)
    return Engine(workspace, tools, stack)


def opened(workspace: Workspace, stack: str, tools: Toolchain, changes: bool = False) -> Engine:
    """Return the engine of a stack that is ready to run: with a readable state and without a stale lock.

    Args:
        workspace: the checkout.
        stack: name of the stack.
        tools: the toolchain.
        changes: whether the run will change the stack, which only one run may do at a time.
    """
    opening = engine(workspace, stack, tools)
    refuse_without_state(opening)
    if changes:
        refuse_second_run(opening)
    opening.open()
    unlock(opening)
    return opening


def refuse_without_state(running: Engine) -> None:
    """Refuse to run without a stack's state: it would recreate what already runs."""
    if problem := state_problem(running):
        raise Refused(problem)


def state_problem(running: Engine) -> StateProblem | None:
    """Return why a stack's state is unusable: it cannot be read, or it is missing although clusters exist."""
    problem = state_owner.unreadable(running.workspace, running.stack)
    if problem is None and not running.exists():
        problem = state_owner.unknown_to_state(running.workspace, running.stack)
    return problem


def refuse_second_run(running: Engine) -> None:
    """Refuse to change a stack that another engine changes, possibly one whose `mesh` was killed."""
    if pids := running.at_work():
        what = f"another engine is changing {running.stack}: process {pids[0]}"
        fix = f"wait until it ends, or stop it: kill -INT {pids[0]}"
        raise Refused(Problem("", "second-run", what, fix))


def unlock(running: Engine) -> None:
    """Remove the lock that a killed engine left."""
    for pid in running.clear_stale_lock():
        running.end_workers()
        tell(f"removed the lock of {running.stack} that a killed run (process {pid}) left")
