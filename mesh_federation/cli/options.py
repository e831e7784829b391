"""Options that several commands share."""

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mesh_federation.cli.errors import Refused
from mesh_federation.stack.problem import Problem

DEFAULT_STACK = ""
"""No stack is named: default_stack.py chooses one."""
WHICH_DEFAULT = "embedded, or simulated where pods cannot run"
STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Source: Pulumi's rule for names of stacks."""


class ReportFormat(StrEnum):
    """Format of a verification report."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    HTML = "html"


class ProblemFormat(StrEnum):
    """Format of a list of problems."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def _stack_name(name: str) -> str:
    """Choose the default stack if none is named; refuse a name that the engine refuses, before it is part of a path."""
    if name == DEFAULT_STACK:
        from mesh_federation.cli.default_stack import choose
        from mesh_federation.cli.surroundings import CURRENT

        choice = choose(CURRENT.get().workspace())
        print(choice.notice, file=sys.stderr)
        return choice.stack
    if not STACK_NAME.fullmatch(name):
        from mesh_federation.stack.text import excerpt

        what = f"{excerpt(name)} is not a valid stack name"
        fix = "use 1 to 100 letters, digits, hyphens, underscores or dots, as in Pulumi.<stack>.yaml"
        raise Refused(Problem("", "stack-name", what, fix))
    return name


Stack = Annotated[
    str,
    typer.Option(
        "--stack", "-s", help="Stack file: Pulumi.<stack>.yaml.", callback=_stack_name, show_default=WHICH_DEFAULT
    ),
]
Overlay = Annotated[
    Path | None,
    typer.Option("--overlay", "-o", help="Merge this file over the stack file; MESH_OVERLAY does the same."),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="First compare the state with the clusters.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
All = Annotated[bool, typer.Option("--all", help="The stacks of all members of the fleet that --stack names.")]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, max=64, help="With --all: how many stacks at a time.")]
AT_ONCE = 2
