"""Executables that start the stand-ins of a checkout, one for each plugin that no other route installed."""

import os
import shlex
from pathlib import Path

from mesh_federation.toolchain.errors import from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import Piece

# By this a launcher is told from an official plugin wherever one lies on a search path.
MARK = "toolchain.standins."


def text(piece: Piece, host: Host) -> str:
    """Content of the launcher: the checkout's module in the checkout's own interpreter.

    `-P` keeps the folder that the engine happens to run it in off the import path.
    """
    return (
        "#!/bin/sh\n"
        f"# Stands in for {piece.name}, whose official release was out of reach; made by `./mesh install`.\n"
        f'PYTHONPATH={shlex.quote(str(host.checkout))}"${{PYTHONPATH:+:$PYTHONPATH}}" '
        f'exec {shlex.quote(host.python)} -P -m {piece.standin} "$@"\n'
    )


def valid(piece: Piece, host: Host) -> bool:
    """Return whether the launcher exists with the right content."""
    path = host.launchers / piece.name
    try:
        return os.access(path, os.X_OK) and path.read_text() == text(piece, host)
    except (OSError, UnicodeDecodeError):
        return False


def write(piece: Piece, host: Host) -> Path:
    """Write the launcher, completely or not at all."""
    path = host.launchers / piece.name
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        host.launchers.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text(piece, host))
        scratch.chmod(0o755)
        scratch.replace(path)
    except OSError as error:
        raise from_os(f"cannot write the launcher of {piece.name}", host.launchers, error) from error
    return path


def remove(piece: Piece, host: Host) -> None:
    """Remove the launcher: on the search path it would hide the official plugin."""
    (host.launchers / piece.name).unlink(missing_ok=True)


def is_launcher(path: Path) -> bool:
    """Return whether a file is a launcher, of this checkout or of another."""
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(2048)
    except OSError:
        return False
