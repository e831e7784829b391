"""`mesh up --all` and `mesh down --all`: the stacks of all members of a fleet, several at a time.

A link needs the card of its other end, and an import needs a card with the export. So `up` runs in waves: each runs the
stacks whose plan the cards of the wave before have changed, and the last one changes no plan.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import typer

from mesh_federation.cli import stacks
from mesh_federation.cli.card import told
from mesh_federation.cli.errors import INTERRUPTED, Refused
from mesh_federation.engine.pulumi import Engine
from mesh_federation.engine.workspace import Workspace
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.stack import fleet
from mesh_federation.stack.card import written
from mesh_federation.stack.config import Federation, FleetMember
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.stack_file import KEY

MOST_WAVES = 6
"""Three are needed: clusters, exports, imports. More would mean that two cards go on changing each other."""
SHOWN_LINES = 15
"""Last lines of the output of a stack that failed."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended for one stack.

    Attributes:
        stack: its name.
        status: exit status.
        seconds: that it took.
        log: file with its output.
    """

    stack: str
    status: int
    seconds: float
    log: Path


def up_all(name: str, overlay: Path | None, refresh: bool, yes: bool, at_once: int) -> None:
    """Bring up the stacks of all members of a fleet.

    Args:
        name: of the fleet's stack file.
        overlay: file to merge over the stack file of each.
        refresh: whether to compare the states with the clusters first.
        yes: whether to go on without asking.
        at_once: how many stacks to run at a time.
    """
    workspace, members = _opened(name, overlay)
    _refuse_invalid(workspace, members)
    _confirm(yes, f"Bring {_counted(members)} up without a preview of each?")
    flags = ["--refresh"] if refresh else []
    applied: dict[str, Plan] = {}

    def bring_up(stack: str) -> Ended:
        applied[stack] = _plan(workspace, stack)
        return _mesh(workspace, "up", stack, *flags)

    waiting, failed = list(members), set[str]()
    for wave in range(1, MOST_WAVES + 1):
        print(f"wave {wave}: {_counted(waiting)}", flush=True)
        failed |= _failed(_run(bring_up, waiting, at_once))
        waiting = [each for each in members if each not in failed and applied[each] != _plan(workspace, each)]
        if not waiting:
            break
    _tell_waiting(workspace, members)
    if failed or waiting:
        stacks.tell(f"not up: {', '.join(sorted({*failed, *waiting}))}; the same command goes on where this one ended")
        raise typer.Exit(1)
    print(f"{name}: {_counted(members)} up, and each knows the others as they are")


def down_all(name: str, yes: bool, at_once: int) -> None:
    """Remove the stacks of all members of a fleet."""
    workspace, members = _opened(name, None)
    _confirm(yes, f"Remove everything that {_counted(members)} made?")
    if failed := _failed(_run(lambda stack: _mesh(workspace, "down", stack), list(members), at_once)):
        stacks.tell(f"not removed: {', '.join(sorted(failed))}; the same command goes on where this one ended")
        raise typer.Exit(1)
    print(f"{name}: nothing is left of {_counted(members)}")


def _opened(name: str, overlay: Path | None) -> tuple[Workspace, dict[str, str]]:
    """Return the checkout and the members of a fleet: their clusters by stack.

    Raises:
        Refused: it has none, or one cluster has two stacks.
    """
    workspace = stacks.checkout(name, overlay)
    members = fleet.members(workspace.checkout, workspace.stacks(), name)
    declared = f"{KEY}: {{{fleet.KEY}: {{fleet: {name}, cluster: NAME}}}}"
    if not members:
        what = f"no stack file says that it is a member of the fleet {name}"
        raise Refused(Problem("", "no-members", what, f"write one for each cluster: config: {{{declared}}}"))
    clusters = list(members.values())
    for cluster in sorted({each for each in clusters if clusters.count(each) > 1}):
        several = " and ".join(stack for stack, each in members.items() if each == cluster)
        what = f"{several} are both the stack of {cluster}, and each would overwrite what the other made"
        raise Refused(Problem("", "two-members", what, "remove the stack file of one of them, after mesh down"))
    return workspace, members


def _refuse_invalid(workspace: Workspace, members: Iterable[str]) -> None:
    """End the command with the problems of all members that are invalid, before anything is made."""
    invalid = False
    for stack in members:
        try:
            stacks.valid(workspace, stack)
        except typer.Exit:
            invalid = True
    if invalid:
        raise typer.Exit(1)


def _confirm(yes: bool, question: str) -> None:
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)


def _plan(workspace: Workspace, stack: str) -> Plan:
    """Return what a stack declares now; the command ends with all problems if it is invalid."""
    return plan(stacks.valid(workspace, stack), stack)


def _run(task: Callable[[str], Ended], names: Sequence[str], at_once: int) -> list[Ended]:
    """Run a task for some stacks; each is told when it ends.

    Raises:
        Exit: Ctrl-C was pressed. It reached the tasks that ran, which have ended, and no other was begun.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        with ThreadPoolExecutor(at_once) as pool:
            begun = [pool.submit(lambda stack: None if pressed else task(stack), each) for each in names]
            ended = [_told(found) for each in as_completed(begun) if (found := each.result())]
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise typer.Exit(INTERRUPTED)
    return ended


def _mesh(workspace: Workspace, command: str, stack: str, *flags: str) -> Ended:
    """Run a command of `mesh` for a stack, with its output in a file."""
    log, begun = workspace.home / "logs" / f"{stack}.{command}.log", monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-P", "-m", "mesh_federation.cli", command, "--yes", f"--stack={stack}", *flags]
    environment = {**workspace.ambient, "PYTHONPATH": str(workspace.checkout)}
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            line, cwd=workspace.checkout, env=environment, check=False, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Ended(stack, done.returncode, monotonic() - begun, log)


def _told(ended: Ended) -> Ended:
    if ended.status == 0:
        print(f"  {ended.stack} ({ended.seconds:.0f} s)", flush=True)
    else:
        lines = ended.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        stacks.tell(f"  {ended.stack} failed after {ended.seconds:.0f} s; its output is in {ended.log}, and ends with:")
        stacks.tell("\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]))
    return ended


def keep_card(engine: Engine, federation: Federation) -> None:
    """Write the card of a member for the others, if it tells them something new."""
    if federation.member_of is None:
        return
    cluster = plan(federation, engine.stack).clusters[federation.member_of.cluster]
    made = told(federation, cluster, engine.snapshot(), list(federation.partners))
    file = _card_file(engine.workspace, federation.member_of)
    text = written(made) if made else ""
    if not text or (file.exists() and file.read_text(encoding="utf-8") == text):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    stacks.tell(f"{file.relative_to(engine.workspace.checkout)} is new; the other members read it at their next up")


def forget_card(workspace: Workspace, federation: Federation | None) -> None:
    """Remove the card of a member that is down, so that nobody trusts it any more."""
    if federation and federation.member_of:
        _card_file(workspace, federation.member_of).unlink(missing_ok=True)


def _card_file(workspace: Workspace, member: FleetMember) -> Path:
    return workspace.checkout / fleet.card_file(member.fleet, member.cluster)


def _failed(ended: Iterable[Ended]) -> set[str]:
    return {each.stack for each in ended if each.status != 0}


def _tell_waiting(workspace: Workspace, members: Collection[str]) -> None:
    """Say which links are left out, for example because a cluster of the fleet has no stack."""
    for stack in members:
        for each in stacks.valid(workspace, stack).waiting:
            stacks.tell(f"{stack}: {each}")


def _counted(names: Collection[str]) -> str:
    return f"{len(names)} stack{'' if len(names) == 1 else 's'}"
