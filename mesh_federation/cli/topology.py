"""`mesh topology`: draws a declared federation."""

import sys
from pathlib import Path

from mesh_federation.cli import stacks
from mesh_federation.cli.streams import tell
from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.formats import ENDINGS, Format, TrustFormat
from mesh_federation.diagrams.graph import graph
from mesh_federation.diagrams.live import read
from mesh_federation.diagrams.render import render
from mesh_federation.plan.federation import plan
from mesh_federation.stack.config import Federation


def topology(stack: str, overlay: Path | None, format: Format | None, live: Path | None, output: Path | None) -> None:
    """Draw a stack and write the picture."""
    workspace, federation = stacks.declared(stack, overlay)
    form = chosen(format, output)
    file = put(draw(federation, stack, form, live), form, output, workspace.home / "topology", stack)
    if file:
        tell(f"the picture of {stack} is in {file}")


def chosen(format: Format | None, output: Path | None) -> Format:
    """Return the requested format, or the format of the file's name, or SVG.

    Raises:
        TopologyError: the name has the ending of no format.
    """
    if format or output is None:
        return format or Format.SVG
    if output.suffix not in ENDINGS:
        raise TopologyError(
            f"{output} cannot be written",
            "its name has the ending of no format",
            f"use one of {', '.join(ENDINGS)}, or choose with --format",
        )
    return ENDINGS[output.suffix]


def draw(federation: Federation, stack: str, format: Format, report: Path | None) -> bytes:
    """Draw a federation, coloured by a verification report if there is one.

    Raises:
        TopologyError: the report cannot be used, or this machine cannot draw this format.
    """
    live = read(report, stack) if report else None
    return render(graph(federation, plan(federation, stack), stack), format, live)


def put(picture: bytes, format: Format | TrustFormat, output: Path | None, folder: Path, stack: str) -> Path | None:
    """Write a picture to its file, or to standard output; a picture that a terminal cannot show goes to a folder.

    Args:
        picture: the picture.
        format: its format.
        output: its file; None for standard output.
        folder: folder for pictures that a terminal cannot show.
        stack: name of the stack.

    Returns:
        The file; None for standard output.

    Raises:
        TopologyError: the file cannot be written.
    """
    if output is None and not (format.is_picture and sys.stdout.isatty()):
        sys.stdout.buffer.write(picture)
        return None
    file = output or folder / f"{stack}.{format.value}"
    try:
        if output is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(picture)
    except OSError as error:
        fix = "name another file with --output"
        raise TopologyError(f"{file} cannot be written", error.strerror or str(error), fix) from None
    return file
