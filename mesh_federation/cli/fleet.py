"""`mesh up --all`, and `preview`, `verify` and `down` alike: the stacks of all members of a fleet, several at a time.

A link needs the card of its other end, and an import needs a card with the export. So `up` runs in waves: each runs the
stacks whose plan the cards of the wave before have changed, and the last one changes no plan.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from time import monotonic

import typer

from mesh_federation import loader
from mesh_federation.cli import stacks
from mesh_federation.cli.errors import NOT_RUN, Refused
from mesh_federation.cli.streams import tell
from mesh_federation.cli.validate import named
from mesh_federation.engine.workspace import Workspace
from mesh_federation.interruption import INTERRUPTED, Interruption
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.stack import fleet, stack_file
from mesh_federation.stack.config import Federation
from mesh_federation.stack.overlay import VARIABLE as OVERLAY
from mesh_federation.stack.problem import InvalidModel, Problem, report
from mesh_federation.stack.stack_file import KEY

MOST_WAVES = 6
"""Three are needed: clusters, exports, imports. More would mean that two cards go on changing each other."""
COUNTS = "Resources:"
"""Heading below which the engine counts what it would do."""
SHOWN_LINES = 15
"""Last lines of the output of a stack that failed."""


@dataclass(frozen=True)
class Fleet:
    """A fleet in a checkout.

    Attributes:
        name: of its own stack file.
        workspace: the checkout.
        members: the cluster of each member, by the name of its stack.
    """

    name: str
    workspace: Workspace
    members: Mapping[str, str]

    def read(self, stack: str) -> Federation:
        """Return what a member declares now.

        Raises:
            InvalidModel: with all problems.
        """
        return loader.read(self.workspace.stack_file(stack), self.workspace.overlay)

    def planned(self, stack: str) -> "Planned | None":
        """Return what a member is to be now; None if what it declares is invalid."""
        try:
            federation = self.read(stack)
        except InvalidModel:
            return None
        return Planned(plan(federation, stack), federation.waiting)


@dataclass(frozen=True)
class Planned:
    """What a member is to be.

    Attributes:
        plan: of its stack.
        waiting: its links that wait for other members.
    """

    plan: Plan
    waiting: tuple[str, ...] = field(compare=False)


@dataclass(frozen=True)
class Ended:
    """A command that has ended for one stack.

    Attributes:
        stack: its name.
        status: exit status.
        seconds: that it took.
        log: file with its output.
        planned: what an `up` began with.
    """

    stack: str
    status: int
    seconds: float
    log: Path
    planned: Planned | None = None


Task = Callable[[str, Interruption], Ended]
"""Runs a command for a stack."""


def up_all(name: str, overlay: Path | None, refresh: bool, yes: bool, at_once: int) -> None:
    """Bring up the stacks of all members of a fleet.

    Args:
        name: of the fleet's stack file.
        overlay: file to merge over the stack file of each.
        refresh: whether to compare the states with the clusters first.
        yes: whether to go on without asking.
        at_once: how many stacks to run at a time.
    """
    made = _opened(name, overlay)
    _refuse_invalid(made)
    _confirm(yes, f"Bring {_counted(made.members)} up without a preview of each?")
    flags = ["--yes", *(["--refresh"] if refresh else [])]

    def bring_up(stack: str, interruption: Interruption) -> Ended:
        return _mesh(made.workspace, "up", stack, flags, interruption, made.planned(stack))

    latest: dict[str, Ended] = {}
    turn = list(made.members)
    for wave in range(1, MOST_WAVES + 1):
        print(f"wave {wave}: {_counted(turn)}", flush=True)
        latest |= {each.stack: each for each in _run(bring_up, turn, at_once, _told)}
        plans = {stack: made.planned(stack) for stack in made.members}
        turn = outdated(latest, plans)
        if not turn:
            break
    behind = sorted({*turn, *_failed(latest.values())})
    settled = {stack: each for stack, each in plans.items() if each and stack not in behind}
    waiting = [f"{stack}: {each}" for stack, planned in settled.items() for each in planned.waiting]
    for each in waiting:
        tell(each)
    if behind:
        tell(f"not up: {', '.join(behind)}; the same command goes on where this one ended")
        raise typer.Exit(1)
    links = f"{len(waiting)} of their links wait for others" if waiting else "all their links are made"
    print(f"{name}: {_counted(made.members)} up; {links}")


def outdated(latest: Mapping[str, Ended], plans: Mapping[str, Planned | None]) -> list[str]:
    """Return the stacks that came up, but as something else than they are to be by now.

    Args:
        latest: how the last command of each stack ended.
        plans: of each stack, now.
    """
    return [stack for stack, ended in latest.items() if ended.status == 0 and ended.planned != plans[stack]]


def preview_all(name: str, overlay: Path | None, flags: Sequence[str], at_once: int) -> int:
    """Count what would change in the stack of each member; returns the exit status of the command.

    Args:
        name: of the fleet's stack file.
        overlay: file to merge over the stack file of each.
        flags: options of the command for each.
        at_once: how many stacks to preview at a time.
    """
    made = _opened(name, overlay)
    _refuse_invalid(made)

    ended = _run(_each(made, "preview", flags), list(made.members), at_once, _counts)
    _tell_waiting(made)
    tell(f"what they are is in {made.workspace.home / 'logs'}, in a file for each stack")
    return 1 if _failed(ended) else 0


def down_all(name: str, yes: bool, at_once: int) -> None:
    """Remove the stacks of all members of a fleet."""
    made = _opened(name, None)
    _confirm(yes, f"Remove everything that {_counted(made.members)} made?")

    if failed := _failed(_run(_each(made, "down", ["--yes"]), list(made.members), at_once, _told)):
        tell(f"not removed: {', '.join(sorted(failed))}; the same command goes on where this one ended")
        raise typer.Exit(1)
    print(f"{name}: nothing is left of {_counted(made.members)}")


def verify_all(name: str, overlay: Path | None, flags: Sequence[str], at_once: int) -> int:
    """Verify the stacks of all members of a fleet; returns the exit status of the command, the worst of all.

    Args:
        name: of the fleet's stack file.
        overlay: file to merge over the stack file of each.
        flags: options of the command for each.
        at_once: how many stacks to verify at a time.
    """
    made = _opened(name, overlay)

    ended = _run(_each(made, "verify", flags), list(made.members), at_once, _verified)
    _tell_waiting(made)
    return max(each.status if each.status in (0, 1) else NOT_RUN for each in ended)


def refuse_members(workspace: Workspace, stack: str) -> None:
    """Refuse to bring a fleet up as one stack beside the stacks of its members: each cluster would have two owners."""
    every, _ = fleet.memberships(workspace.stack_files())  # a file of another stack that is broken is none of its own
    if found := [member for member, each in every.items() if each.fleet == stack]:
        what = f"{stack} is a fleet, whose clusters have stacks of their own: {', '.join(found[:3])}"
        raise Refused(Problem("", "fleet", what, f"./mesh up --all --stack {stack}"))


def _opened(name: str, overlay: Path | None) -> Fleet:
    """Return a fleet, and say which of its clusters have no stack.

    Raises:
        Refused: it has no members, or one cluster has two stacks.
        Exit: a stack file that may be of a member cannot be read.
    """
    workspace = stacks.checkout(name, overlay)
    every, unread = fleet.memberships(workspace.stack_files())
    for stack, problems in unread.items():
        tell(report(workspace.stack_file(stack).name, problems).rstrip("\n"))
    if unread:
        raise typer.Exit(1)
    if name in every:
        what = f"{name} is no fleet, but a member of {every[name].fleet}"
        raise Refused(Problem("", "no-fleet", what, f"write --stack {every[name].fleet}"))
    members = {stack: each.cluster for stack, each in every.items() if each.fleet == name}
    declared = f"{KEY}: {{{fleet.KEY}: {{fleet: {name}, cluster: NAME}}}}"
    if not members:
        what = f"no stack file says that it is a member of the fleet {name}"
        raise Refused(Problem("", "no-members", what, f"write one for each cluster: config: {{{declared}}}"))
    clusters = list(members.values())
    for cluster in sorted({each for each in clusters if clusters.count(each) > 1}):
        several = " and ".join(stack for stack, each in members.items() if each == cluster)
        what = f"{several} are both the stack of {cluster}, and each would overwrite what the other made"
        raise Refused(Problem("", "two-members", what, "remove the stack file of one of them, after mesh down"))
    for cluster in fleet.clusters(stack_file.load(workspace.stack_file(name))[0]):
        if cluster not in clusters:
            tell(f"{cluster} has no stack: no stack file has {fleet.KEY}: {{fleet: {name}, cluster: {cluster}}}")
    return Fleet(name, workspace, members)


def _refuse_invalid(made: Fleet) -> None:
    """End the command with the problems of all members that are invalid, before anything is made."""
    tell(f"checking {_counted(made.members)}")
    found: dict[Problem, str] = {}
    for stack in made.members:
        try:
            made.read(stack)
        except InvalidModel as invalid:
            for each in invalid.problems:
                found.setdefault(each, stack)  # those of the fleet's file are the same for all members
    for stack in dict.fromkeys(found.values()):
        name = named(made.workspace.stack_file(stack), made.workspace.overlay)
        tell(report(name, [each for each, of in found.items() if of == stack]).rstrip("\n"))
    if found:
        raise typer.Exit(1)


def _tell_waiting(made: Fleet) -> None:
    """Tell which links are not made yet: nothing that runs shows them."""
    for stack in made.members:
        with suppress(InvalidModel):  # told already
            for each in made.read(stack).waiting:
                tell(f"{stack}: {each}")


def _confirm(yes: bool, question: str) -> None:
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)


def _each(made: Fleet, command: str, flags: Sequence[str]) -> Task:
    """Return the task of running a command of `mesh` for a stack."""
    return lambda stack, interruption: _mesh(made.workspace, command, stack, flags, interruption)


def _run(task: Task, names: Sequence[str], at_once: int, tell: Callable[["Ended"], None]) -> list[Ended]:
    """Run a task for some stacks; each is told when it ends.

    Raises:
        Exit: the command was asked to end. So were the tasks that ran, which have ended, and no other was begun.
    """
    ended: list[Ended] = []
    with Interruption(signal.SIGTERM) as interruption, ThreadPoolExecutor(at_once) as pool:
        begun = [pool.submit(_unless_asked, task, each, interruption) for each in names]
        for each in as_completed(begun):
            if found := each.result():
                tell(found)
                ended.append(found)
    if interruption.asked:
        raise typer.Exit(INTERRUPTED)
    return ended


def _unless_asked(task: Task, stack: str, interruption: Interruption) -> Ended | None:
    return None if interruption.asked else task(stack, interruption)


def _mesh(
    workspace: Workspace, command: str, stack: str, flags: Sequence[str], interruption: Interruption,
    planned: Planned | None = None,
) -> Ended:  # fmt: skip
    """Run a command of `mesh` for a stack, with its output in a file."""
    log, begun = workspace.home / "logs" / f"{stack}.{command}.log", monotonic()
    workspace.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.parent.mkdir(exist_ok=True)
    line = [sys.executable, "-P", "-m", "mesh_federation.cli", command, f"--stack={stack}", *flags]
    overlay = {OVERLAY: str(workspace.overlay)} if workspace.overlay else {}
    environment = {**workspace.ambient, **overlay, "PYTHONPATH": str(workspace.checkout)}
    with log.open("w", encoding="utf-8") as output:
        status = interruption.run(
            line, cwd=workspace.checkout, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    return Ended(stack, status, monotonic() - begun, log, planned)


def _told(ended: Ended) -> None:
    if ended.status == 0:
        print(f"  {ended.stack} ({ended.seconds:.0f} s)", flush=True)
    else:
        lines = ended.log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        tell(f"  {ended.stack} failed after {ended.seconds:.0f} s; its output is in {ended.log}, and ends with:")
        tell("\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]))


def _counts(ended: Ended) -> None:
    """Tell how many resources a preview would create, change, replace and delete."""
    if ended.status:
        _told(ended)
        return
    _, _, counted = ended.log.read_text(encoding="utf-8", errors="replace").rpartition(f"\n{COUNTS}\n")
    lines = takewhile(str.strip, counted.splitlines())
    print(f"{ended.stack}: {', '.join(' '.join(line.split()) for line in lines)}", flush=True)


def _verified(ended: Ended) -> None:
    """Tell the summary of a verification, and before it what is not as declared."""
    text = ended.log.read_text(encoding="utf-8", errors="replace").rstrip()
    if ended.status == 0:
        print(text.rpartition("\n")[2], flush=True)
        return
    _, _, problems = text.partition("\n\n")
    is_report = text.rpartition("\n")[2].startswith(f"{ended.stack}: ")
    print(f"{ended.stack} is not verified; the whole output is in {ended.log}")
    print(problems if is_report else text, flush=True)


def _failed(ended: Iterable[Ended]) -> set[str]:
    return {each.stack for each in ended if each.status != 0}


def _counted(names: Collection[str]) -> str:
    return f"{len(names)} stack{'' if len(names) == 1 else 's'}"
