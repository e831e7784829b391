"""`mesh validate`: everything that is wrong with a stack file, with no engine and no cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh_federation import loader
from mesh_federation.plan.expiry import Ending, expiring
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel, report

if TYPE_CHECKING:
    from rich.console import Console


def validate(stack_file: Path, console: Console, overlay: Path | None = None) -> int:
    """Check a stack file, with an overlay laid over it, and print what is wrong.

    Returns:
        The exit code: 0 when nothing is wrong, else 1.
    """
    name = named(stack_file, overlay)
    try:
        federation = read(stack_file, overlay)
        text, code = "\n".join([summary(name, federation), *map(warning, expiring(federation))]), 0
    except InvalidModel as invalid:
        text, code = report(name, invalid.problems), 1
    # Neither wrapped nor coloured nor read as markup: `exports[0]` is a path, and people paste these lines.
    console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
    return code


def read(stack_file: Path, overlay: Path | None = None) -> Federation:
    """Read a stack file that this program can bring up.

    Raises:
        InvalidModel: everything that is wrong with it and with the overlay.
    """
    layers = loader.declared(stack_file, overlay)
    with layers.checked():
        federation = loader.parse(layers.tree, base=stack_file.parent)
    return federation


def named(stack_file: Path, overlay: Path | None) -> str:
    """Name what was read, so that nobody overlooks an overlay."""
    return f"{stack_file.name} with {overlay}" if overlay else stack_file.name


def warning(ending: Ending) -> str:
    """Write what will go wrong by itself."""
    return f"  warning: {ending.name} ends on {ending.date}, in {ending.days_left} days: give another in time\n"


def summary(name: str, federation: Federation) -> str:
    """Write what a sound stack file declares."""
    counts = {
        "cluster": len(federation.clusters),
        "export": len(federation.exports),
        "import": len(federation.imports),
        "workload": len(federation.workloads),
    }
    declared = ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counts.items())
    return f"{name}: no problems ({declared})\n"
