"""`mesh topology`: draws a federation from its model, and says where the picture is."""

import sys
from pathlib import Path

from mesh_federation.diagrams.errors import TopologyError
from mesh_federation.diagrams.formats import ENDINGS, Format, TrustFormat
from mesh_federation.diagrams.graph import graph
from mesh_federation.diagrams.live import read
from mesh_federation.diagrams.render import render
from mesh_federation.plan.federation import plan
from mesh_federation.stack.config import Federation


def chosen(format: Format | None, output: Path | None) -> Format:
    """Choose a format: the one that is asked for, else what the file's name says, else SVG.

    Raises:
        TopologyError: the name says nothing.
    """
    if format or output is None:
        return format or Format.SVG
    if output.suffix not in ENDINGS:
        raise TopologyError(
            f"{output} cannot be written",
            "its name does not end like that of any format",
            f"end it in {', '.join(ENDINGS)}, or say which with --format",
        )
    return ENDINGS[output.suffix]


def draw(federation: Federation, stack: str, format: Format, report: Path | None) -> bytes:
    """Draw a federation, with a report of checks laid over it if there is one.

    Raises:
        TopologyError: the report cannot be used, or this machine cannot draw this format.
    """
    live = read(report, stack) if report else None
    return render(graph(federation, plan(federation, stack), stack), format, live)


def put(picture: bytes, format: Format | TrustFormat, output: Path | None, folder: Path, stack: str) -> Path | None:
    """Write a picture: to its file, else to standard output; a terminal is spared what it cannot show.

    Args:
        picture: what to write.
        format: what it is.
        output: its file; None where none was named.
        folder: for pictures that a terminal cannot show.
        stack: what it shows.

    Returns:
        The file; None where there is none.

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
