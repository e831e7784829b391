"""Whether this machine can run native clusters, and what to do where it cannot."""

import shutil
import sys
import tempfile
from pathlib import Path

from mesh_federation.native.sandbox import Sandbox
from mesh_federation.stack.problem import Problem, ProblemError

PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "curl": "curl"}
"""Packages by the program that is needed of each."""
FOLDERS = ("/usr/sbin", "/sbin")
"""Where programs are too that users of some distributions do not have on PATH."""


def obstacles() -> tuple[Problem, ...]:
    """Return what keeps native clusters from running here; a sandbox is tried, which takes a moment."""
    if sys.platform != "linux":
        return (Problem("", "not-linux", "native clusters need Linux", "use kind"),)
    found = [
        Problem("", "program-missing", f"{program} is not installed", f"install the package {package}")
        for program, package in PROGRAMS.items()
        if shutil.which(program) is None and not any((Path(each) / program).exists() for each in FOLDERS)
    ]
    return tuple(found) or _tried()


def _tried() -> tuple[Problem, ...]:
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder) / "trial")
        try:
            sandbox.start((), "192.0.2.0/28")
        except ProblemError as error:
            return (error.problem,)
        finally:
            sandbox.stop()
    return ()
