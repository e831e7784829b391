"""What both benchmarks are as commands: progress beside the figures, errors in words, and nothing left behind."""

import sys

import pulumi
import typer
from rich.console import Console

from benchmarks.scratch import BenchError, stop_as_ctrl_c_does
from mesh_federation.engine.pulumi import EngineError
from mesh_federation.stack.problem import InvalidModel
from mesh_federation.toolchain.errors import ToolchainError

progress = Console(stderr=True)


def tell(line: str) -> None:
    """Tell a person how far it is, without mixing it into the figures."""
    progress.print(line, markup=False, highlight=False, soft_wrap=True)


def main(app: typer.Typer) -> None:
    """Run; interrupted or failed, nothing stays behind."""
    stop_as_ctrl_c_does()
    try:
        app()
    except (BenchError, InvalidModel, EngineError, ToolchainError, pulumi.RunError, OSError) as error:
        tell(f"error: {error}")
        sys.exit(1)
