"""Starts one container, or one more program in it: run as `python3 -m mesh_federation.native.launcher`.

The agent starts this process in the pod's namespaces of network, names and IPC, and in one of processes. It reads a
`ContainerLaunch` or a `ContainerEntry`, makes or enters the container's mounts, gives up what the container may not do,
and becomes the container's program. A failure before that is written to a file descriptor. Nothing may be imported
late: the container has other files.
"""

import fcntl
import os
import select
import signal
import stat
import sys
import termios
import warnings  # noqa: F401  os.execvpe imports it
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mesh_federation import document
from mesh_federation.native.namespaces import (
    Mount,
    NamespaceKind,
    bind,
    change_root,
    end_with_parent,
    enter,
    make_private,
    make_read_only,
    mount,
    unshare,
)
from mesh_federation.native.privileges import forbid_new_privileges, keep_capabilities

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
         "ptmx": "pts/ptmx"}  # fmt: skip
OWN_FOLDERS = ("proc", "dev", "sys", "etc", "run", "tmp", "root", "home", "var/log", "var/tmp")
"""Folders of every container, which it may write to unless its root is read-only."""
MACHINE_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
MACHINE_FILES = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "alternatives", "ssl", "localtime", "services",
                 "protocols", "ca-certificates", "pki")  # fmt: skip
NOT_FOUND_EXIT, CANNOT_RUN_EXIT = 127, 126


@dataclass(frozen=True)
class ProcessIdentity:
    """As whom a program runs, and what it may do.

    Attributes:
        user: id of its user.
        group: id of its group.
        groups: ids of further groups.
        capabilities: names without `CAP_`, of which a program of root has all and others none.
        may_escalate: whether programs may gain privileges by their file's owner.
    """

    user: int
    group: int
    groups: tuple[int, ...]
    capabilities: tuple[str, ...]
    may_escalate: bool


@dataclass(frozen=True)
class Program:
    """What a process becomes: command line, environment and working directory in the container."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str
    identity: ProcessIdentity


@dataclass(frozen=True)
class Bind:
    """A file or folder of this machine, and where the container sees it."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class ContainerLaunch:
    """A new container.

    Attributes:
        scratch: an empty folder, which the container's root is mounted on in this process's own mounts.
        image: folder with the image's files; empty for this machine's own.
        binds: files and volumes, outer ones first.
        read_only_root: whether everything but volumes is read-only.
        program: its first one.
    """

    scratch: str
    image: str
    binds: tuple[Bind, ...]
    read_only_root: bool
    program: Program


@dataclass(frozen=True)
class ContainerEntry:
    """One more program in a container that runs; `mounts` is the file descriptor of its namespace of mounts."""

    mounts: int
    terminal: bool
    program: Program


class CannotStart(Exception):
    """A container that cannot start, by a fault in what its pod asks for; the text is for the pod's status."""


def main(action: str, settings: int, report: int) -> None:
    """Become a program.

    Args:
        action: `launch` or `enter`.
        settings: file descriptor of the document with the `ContainerLaunch` or the `ContainerEntry`.
        report: file descriptor that a failure is written to.
    """
    os.set_inheritable(report, False)
    try:
        with open(settings, encoding="utf-8") as file:
            text = file.read()
        if action == "launch":
            launch = document.read(ContainerLaunch, text, "the launch of a container")
            _build_root(launch)
            program = launch.program
        else:
            entry = document.read(ContainerEntry, text, "the entry into a container")
            enter(Path(f"/proc/self/fd/{entry.mounts}"), NamespaceKind.MOUNT)
            os.close(entry.mounts)
            program = entry.program
            if entry.terminal:  # its keys become signals
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _become(program, report)
    except (CannotStart, OSError, document.DocumentError) as error:
        os.write(report, str(error).encode())
        sys.exit(NOT_FOUND_EXIT if isinstance(error, FileNotFoundError) else CANNOT_RUN_EXIT)


def _build_root(launch: ContainerLaunch) -> None:
    """Give this process mounts of its own, with the container's root as `/`."""
    unshare(NamespaceKind.MOUNT)
    make_private()
    mount("tmpfs", Path(launch.scratch), "tmpfs", Mount.NO_DEVICES, "mode=755")
    root = f"{launch.scratch}/root"
    os.mkdir(root)
    parents = (os.path.dirname(each.target) for each in launch.binds)
    places = {_inside(launch.image, parent).removeprefix(launch.image) for parent in parents}
    if launch.image:
        _writable(launch.image, root, launch.scratch, {*places, *(f"/{folder}" for folder in OWN_FOLDERS)})
    else:
        mount("tmpfs", Path(root), "tmpfs", Mount.NO_DEVICES, "mode=755")
        _add_machine(root, launch.scratch, places)
    for folder in OWN_FOLDERS:
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    if not os.path.lexists(f"{root}/var/run"):
        os.symlink("../run", f"{root}/var/run")
    for folder in ("tmp", "var/tmp"):
        os.chmod(f"{root}/{folder}", 0o1777)
    _add_devices(root)
    mount("proc", Path(f"{root}/proc"), "proc", Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXECUTION)
    for each in launch.binds:
        _bind(each, root)
    if launch.read_only_root:
        make_read_only(Path(root), recursive=False)
    mount(f"{root}/proc/sys", Path(f"{root}/proc/sys"), flags=Mount.BIND)
    make_read_only(Path(f"{root}/proc/sys"), recursive=False)
    change_root(Path(root))


def _writable(folder: str, target: str, scratch: str, places: Iterable[str]) -> None:
    """Show a folder of this machine so that what the container writes stays in memory, and ends with it.

    Folders that must take further entries are made anew: those of the machine belong to a user that is none here.
    """
    upper = f"{scratch}/upper"
    for name in (upper, f"{scratch}/work", *(f"{upper}{path}" for path in places)):
        os.makedirs(name, exist_ok=True)
    os.chmod(upper, stat.S_IMODE(os.stat(folder).st_mode))
    options = f"lowerdir={folder},upperdir={upper},workdir={scratch}/work"
    mount("overlay", Path(target), "overlay", Mount.NO_DEVICES, options)


def _add_machine(root: str, scratch: str, places: Iterable[str]) -> None:
    """Add this machine's programs, and what they need of /etc.

    Args:
        root: of the container.
        scratch: folder in memory.
        places: folders of the container to which something is added.
    """
    for name in MACHINE_FOLDERS:
        path = f"/{name}"
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif name == "usr":  # images place files of their own below it
            os.mkdir(root + path)
            below = {each.removeprefix(path) for each in places if f"{each}/".startswith(f"{path}/")}
            _writable(path, root + path, scratch, below)
        elif os.path.isdir(path):
            _bind(Bind(path, path, True), root)
    os.mkdir(f"{root}/etc")
    for name in MACHINE_FILES:
        if os.path.exists(f"/etc/{name}"):
            _bind(Bind(f"/etc/{name}", f"/etc/{name}", True), root)


def _add_devices(root: str) -> None:
    mount("tmpfs", Path(f"{root}/dev"), "tmpfs", Mount.NO_SUID, "mode=755,size=64k")
    for name in DEVICES:
        _bind(Bind(f"/dev/{name}", f"/dev/{name}", False), root)
    for name, target in LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")
    for name, kind, options in (
        ("shm", "tmpfs", "mode=1777,size=64m"),
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
        ("mqueue", "mqueue", ""),
    ):
        os.mkdir(f"{root}/dev/{name}")
        mount(kind, Path(f"{root}/dev/{name}"), kind, Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXECUTION, options)


def _bind(asked: Bind, root: str) -> None:
    """Show a file or folder in the container, at a place that is made if it is missing."""
    target = _inside(root, asked.target)
    try:
        bind(Path(asked.source), Path(target), read_only=asked.read_only)
    except OSError as error:
        raise CannotStart(f"nothing can be mounted at {asked.target}: {error.strerror}") from None


def _inside(root: str, path: str) -> str:
    """Return a path of the container as a path of this machine; links of the image lead nowhere outside."""
    place = root
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    for _ in range(1000):
        if not pending:
            return place
        part = pending.pop()
        if part == "..":
            place = os.path.dirname(place) if place != root else root
        elif os.path.islink(step := f"{place}/{part}"):
            target = os.readlink(step)
            place = root if target.startswith("/") else place
            pending += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        else:
            place = step
    raise CannotStart(f"{path} is a circle of links")


def _become(program: Program, report: int) -> None:
    """Give up what the program may not do, and become it."""
    identity = program.identity
    for descriptor in (1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            os.fchown(descriptor, identity.user, identity.group)  # for programs that open /dev/stdout by name
    with suppress(FileExistsError):
        os.makedirs(program.folder)
    keep_capabilities(identity.capabilities)
    os.setgroups(identity.groups)
    os.setresgid(identity.group, identity.group, identity.group)
    os.setresuid(identity.user, identity.user, identity.user)
    if not identity.may_escalate:
        forbid_new_privileges()
    end_with_parent()  # after the change of user, which takes it back
    if _abandoned(report):
        sys.exit(CANNOT_RUN_EXIT)
    for name in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # Python's own
        signal.signal(name, signal.SIG_DFL)
    os.umask(0o022)
    try:
        os.chdir(program.folder)
    except OSError as error:
        raise CannotStart(f"the working directory {program.folder}: {error.strerror}") from None
    _execute(list(program.command), program.environment)


def _execute(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        where = "no such file or directory" if "/" in command[0] else "executable file not found in $PATH"
        raise FileNotFoundError(f'exec: "{command[0]}": {where}') from None
    except OSError as error:
        raise CannotStart(f'exec: "{command[0]}": {(error.strerror or "").lower()}') from None


def _abandoned(report: int) -> bool:
    """Say whether the agent is gone already, and with it the reader of the report."""
    poll = select.poll()
    poll.register(report, 0)
    return bool(poll.poll(0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
