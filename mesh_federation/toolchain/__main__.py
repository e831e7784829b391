"""`python -m mesh_federation.toolchain PROVIDER...`: installs everything that these providers need."""

import argparse
import sys
import time

from mesh_federation.clusters.registry import DEFAULT, PROVIDERS
from mesh_federation.stack.text import printable
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.install import Progress, Toolchain, install

WORDS = {
    "found": "found on this machine",
    "official": "official release",
    "module": "from its Go module",
    "wheel": "from its wheel",
    "assembled": "put together here",
    "stand-in": "stand-in",
}


def line(progress: Progress) -> str:
    """Return one line of progress for a person."""
    if progress.state == "waits":
        return printable(f"  waiting: {progress.note}")
    name = f"  {progress.piece:<27} {progress.version:<9}"
    route = WORDS.get(progress.route or "", "")
    if progress.state == "begins":
        return f"{name} {route} ..."
    return printable(f"{name} {route:<22} {progress.seconds:6.1f} s{'  ' + progress.note if progress.note else ''}")


def show(progress: Progress) -> None:
    """Print it: one line for each piece, on a terminal from the moment it begins; a log tells of each build beforehand.

    On stderr: what `mesh env` says on stdout is for a shell to run.
    """
    on_terminal = sys.stderr.isatty()
    if progress.state != "begins" or on_terminal or progress.route == "module":
        end = "\r" if progress.state == "begins" and on_terminal else "\n"
        print(line(progress), end=end, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m mesh_federation.toolchain", description=__doc__)
    parser.add_argument("providers", nargs="*", metavar="provider", help=f"{', '.join(PROVIDERS)} ({DEFAULT})")
    chosen = parser.parse_args(arguments).providers or [DEFAULT]
    begun = time.monotonic()
    try:
        toolchain = install(chosen, show)
    except ToolchainError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run it again: it goes on where it stopped", file=sys.stderr)
        return 130
    print(_summary(toolchain, time.monotonic() - begun))
    return 0


def _summary(toolchain: Toolchain, seconds: float) -> str:
    return f"{len(toolchain.pieces)} pieces ready in {seconds:.1f} s: {toolchain.bin}"


if __name__ == "__main__":
    sys.exit(main())
