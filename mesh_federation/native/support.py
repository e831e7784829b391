"""Whether this machine can run native clusters, and what to do where it cannot.

Sources: mount_setattr(2), user_namespaces(7); what distributions and container engines are known to forbid.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mesh_federation.native import id_ranges, network
from mesh_federation.native.namespaces import PIVOT_ROOT, NamespaceKind, unshare
from mesh_federation.native.sandbox import FOLDERS, INTERPRETER, Sandbox, environment
from mesh_federation.stack.problem import Problem, ProblemError

PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux", "curl": "curl"}
"""Packages by the program that is needed of each."""
MODULES = ("bridge", "veth", "nf_tables", "nft_masq", "nft_fib_ipv4", "nft_reject_ipv4")
"""Of the kernel, for networks of nodes and pods."""
OLDEST_KERNEL = (5, 12)
"""The first with mount_setattr(2), by which mounts of pods are read-only."""
ELSEWHERE = "use the stack `simulated`, whose pods do not run, or a stack of kind, which needs Docker"
TRIAL_SUBNET, TRIAL_NODE, TRIAL_PODS = "192.0.2.0/28", "192.0.2.2", "198.51.100.0/28"
"""Addresses for documentation (RFC 5737)."""
SECONDS_TO_TRY = 30


@cache
def obstacles() -> tuple[Problem, ...]:
    """Return what keeps native clusters from running here; where nothing is known to, a sandbox is tried."""
    if sys.platform != "linux":
        return (unknown_system(sys.platform),)
    kernel = os.uname()
    return (*unfit_kernel(kernel.release, kernel.machine), *missing_programs(), *_missing_ids()) or tried()


def unknown_system(platform: str) -> Problem:
    """Explain that there are no namespaces on a system that is no Linux."""
    name = {"darwin": "macOS"}.get(platform, platform)
    return Problem("", "not-linux", f"native clusters need Linux, and this is {name}", ELSEWHERE)


def unfit_kernel(release: str, machine: str) -> Iterator[Problem]:
    """Yield what a kernel lacks.

    Args:
        release: as `uname -r` prints it.
        machine: as `uname -m` prints it.
    """
    version = re.match(r"(\d+)\.(\d+)", release)
    if release.endswith("-Microsoft"):  # WSL 2 writes it in lower case
        fix = "convert this distribution to WSL 2: wsl --set-version DISTRIBUTION 2"
        yield Problem("", "old-kernel", "native clusters need Linux, and WSL 1 only imitates it", fix)
    elif version and (int(version[1]), int(version[2])) < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        what = f"native clusters need Linux {oldest} or newer, and this is {release}"
        yield Problem("", "old-kernel", what, ELSEWHERE)
    if machine not in PIVOT_ROOT:
        what = f"native clusters run on {' and '.join(PIVOT_ROOT)}, and this machine is {machine}"
        yield Problem("", "unknown-machine", what, ELSEWHERE)


def missing_programs(path: str | None = None) -> Iterator[Problem]:
    """Yield the programs that are not installed.

    Args:
        path: folders that are searched; left out: those of PATH, and those of the system's administration.
    """
    searched = os.pathsep.join((os.environ.get("PATH", os.defpath), *FOLDERS)) if path is None else path
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=searched) is None:
            yield Problem("", "program-missing", f"{program} is not installed", f"install the package {package}")


def _missing_ids() -> Iterator[Problem]:
    try:
        id_ranges.of_this_user()
    except ProblemError as error:
        yield error.problem


def tried(seconds: float = SECONDS_TO_TRY) -> tuple[Problem, ...]:
    """Make a sandbox, and what a node needs in it; nothing of them stays.

    Args:
        seconds: after which the machine is too busy to tell.
    """
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder) / "trial")
        try:
            sandbox.start((), TRIAL_SUBNET)
            command = sandbox.command(INTERPRETER, "-s", "-m", "mesh_federation.native.support")
            tried = subprocess.run(
                command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                timeout=seconds,
            )  # fmt: skip
        except ProblemError as error:
            return (error.problem,)
        except subprocess.TimeoutExpired:
            return (_too_slow(seconds),)
        finally:
            sandbox.stop()
    return (_without_network(tried.stderr.strip()),) if tried.returncode else ()


def _too_slow(seconds: float) -> Problem:
    what = f"whether native clusters run here is not known: a trial took longer than {seconds:g} s"
    return Problem("", "busy-machine", what, "run this again when the machine is less busy")


def _without_network(printed: str) -> Problem:
    what = "this kernel does not give native clusters the network that they need"
    return Problem("", "no-network", what, f"sudo modprobe -a {' '.join(MODULES)}", printed)


def main() -> None:
    """Make the network of a node, in a sandbox that is tried."""
    try:
        unshare(NamespaceKind.NETWORK)
        network.join_bridge("trial", TRIAL_NODE, TRIAL_SUBNET, TRIAL_PODS)
    except (OSError, ProblemError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
