"""What the machine leaves: inotify and memory for nodes in containers, read from /proc, and room on the disk.

Source of the inotify numbers: kind's known issues, "pod errors due to too many open files". A node takes about 26
inotify instances; the kernel's own defaults carry two clusters, and fail at an unpredictable pod beyond that.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.stack.problem import Problem

GIB = 2**30
INSTANCES, WATCHES = 512, 524288
"""What kind's page recommends."""
LEAST_INSTANCES, LEAST_WATCHES = 128, 8192
"""The kernel's defaults of old: two clusters were seen to run with no more."""
NODE_MEMORY = 3 * GIB // 2
"""What a node with a mesh takes."""
LEAST_MEMORY = GIB
"""With less a control plane alone hardly fits, and the kernel ends some program of it, or of somebody else."""
LEAST_DISK = 400 * 2**20
"""etcd takes 128 MB for its log before it answers; a cluster with a mesh was seen to take twice that."""

RAISE = f"sudo sysctl -w fs.inotify.max_user_instances={INSTANCES} fs.inotify.max_user_watches={WATCHES}"


@dataclass(frozen=True)
class Limits:
    """What the machine gives; None where it does not tell.

    Attributes:
        memory: bytes that new programs can have without swapping.
        instances: fs.inotify.max_user_instances.
        watches: fs.inotify.max_user_watches.
    """

    memory: int | None = None
    instances: int | None = None
    watches: int | None = None


@dataclass(frozen=True, order=True)
class Shortage(Problem):
    """A limit of this machine that is too low.

    Attributes:
        fatal: not even a small lab would run.
    """

    fatal: bool = False


def read(proc: Path = Path("/proc")) -> Limits:
    """Ask the kernel."""
    inotify = proc / "sys" / "fs" / "inotify"
    return Limits(
        memory=_available(proc / "meminfo"),
        instances=_number(inotify / "max_user_instances"),
        watches=_number(inotify / "max_user_watches"),
    )


def inotify(limits: Limits) -> list[Shortage]:
    """Say which inotify limits are below what kind's page recommends, and which are too low for anything."""
    rules = (
        ("fs.inotify.max_user_instances", limits.instances, LEAST_INSTANCES, INSTANCES),
        ("fs.inotify.max_user_watches", limits.watches, LEAST_WATCHES, WATCHES),
    )
    return [
        Shortage("", "inotify-limits", f"{name} is {value}, kind wants {wanted}", RAISE, fatal=value < least)
        for name, value, least, wanted in rules
        if value is not None and value < wanted
    ]


def memory(limits: Limits) -> Shortage | None:
    """Say whether there is too little memory for one more node; a doubtful machine gets its chance."""
    if limits.memory is None or limits.memory >= NODE_MEMORY:
        return None
    available, needed = limits.memory / GIB, NODE_MEMORY / GIB
    what = f"{available:.1f} GiB of memory available, a node with a mesh takes about {needed:.1f}"
    return Shortage(
        "",
        "memory",
        what,
        "end other programs or clusters (`docker ps` shows those of kind and k3d)",
        fatal=limits.memory < LEAST_MEMORY,
    )


def disk(folder: Path, least: int = LEAST_DISK) -> Shortage | None:
    """Say whether there is too little room for one more control plane.

    Args:
        folder: on the disk in question.
        least: bytes that are enough.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    if free >= least:
        return None
    what = f"{free // 2**20} MiB are free on the disk of {folder}, a control plane takes about {least // 2**20}"
    return Shortage("", "disk-full", what, "make room, or set MESH_HOME to a folder on another disk", fatal=True)


def refuse_full_disk(cluster: str, home: Path) -> None:
    """End before anything is made where there is too little room.

    Args:
        cluster: real name of the cluster that would be made.
        home: folder for everything that runs; made if it is missing.

    Raises:
        SystemExit: there is; the text says what helps.
    """
    home.mkdir(parents=True, exist_ok=True)
    if shortage := disk(home):
        sys.exit(f"cluster {cluster} is not created: {shortage.what}\n  -> {shortage.fix}")


def _available(meminfo: Path) -> int | None:
    """Return MemAvailable, which the kernel gives in KiB."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split() for line in lines)
    return next((int(words[1]) * 1024 for words in found if words[:1] == ["MemAvailable:"]), None)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
