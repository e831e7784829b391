"""The stack of a command that names none: the one whose pods run, wherever this machine can run them.

A stack file always means one thing, so the choice is between two stacks. While one of them is up in this checkout, it
is that one.
"""

from dataclasses import dataclass

from mesh_federation.clusters import journal
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.engine.workspace import Workspace
from mesh_federation.stack.problem import Problem

REAL, SIMULATED = "embedded", "simulated"


@dataclass(frozen=True)
class StackChoice:
    """A stack, and why it is not the one whose pods run.

    Attributes:
        stack: its name.
        obstacles: what keeps this machine from running pods; empty if nothing does, or if the stack is up already.
    """

    stack: str
    obstacles: tuple[Problem, ...] = ()

    @property
    def notice(self) -> str:
        """What to tell the user: which stack it is, what that means, and how to get the other one."""
        if not self.obstacles:
            return f"stack {self.stack}" + ("" if self.stack == REAL else ", which is up in this checkout")
        first = self.obstacles[0]
        return (
            f"stack {SIMULATED}: its pods do not run and nothing flows, because {first.what}\n"
            f"  -> for real traffic: {first.fix}; then ./mesh up takes the stack {REAL}"
        )


def choose(workspace: Workspace) -> StackChoice:
    """Choose between the stacks of a checkout."""
    running = [stack for stack in (REAL, SIMULATED) if journal.entries(workspace.home, stack)]
    if running:
        return StackChoice(running[0])
    found = PROVIDERS["native"].obstacles()
    return StackChoice(SIMULATED if found else REAL, found)
