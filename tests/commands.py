"""Command lines that documents and workflows name: whether they exist, without running them."""

import os
import subprocess
from pathlib import Path

import typer

from mesh_federation.cli import __main__ as command

CHECKOUT = Path(command.__file__).resolve().parents[2]
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
"""A make inside `make test` would print which folder it enters."""


def dry_run(*words: str) -> subprocess.CompletedProcess[str]:
    """Let make print what it would run for these words, which start with `make`."""
    return subprocess.run([*words, "--dry-run"], cwd=CHECKOUT, env=OUTSIDE, capture_output=True, text=True, check=False)


def parse(words: tuple[str, ...]) -> None:
    """Let the command line read the arguments of a `./mesh`, and run nothing.

    Raises:
        AssertionError: there is no such command.
        click.UsageError: the command has no such option, or does not take such a value.
    """
    group = typer.main.get_command(command.app)
    assert isinstance(group, typer.core.TyperGroup)
    if words and not words[0].startswith("-"):
        assert words[0] in group.commands, f"there is no ./mesh {words[0]}"
        group.commands[words[0]].make_context(words[0], list(words[1:]))
    elif words:
        group.make_context("mesh", list(words))
