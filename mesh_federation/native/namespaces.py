"""System calls for Linux namespaces and mounts, which Python 3.11 does not have.

Sources: namespaces(7), user_namespaces(7), mount(2), pivot_root(2), prctl(2).
"""

import ctypes
import os
import signal
from enum import IntFlag
from functools import cache
from pathlib import Path


class NamespaceKind(IntFlag):
    """Kinds of namespaces, as unshare(2) and setns(2) take them."""

    MOUNT = 0x00020000
    UTS = 0x04000000
    IPC = 0x08000000
    USER = 0x10000000
    PID = 0x20000000
    NETWORK = 0x40000000


class Mount(IntFlag):
    """Flags of mount(2)."""

    READ_ONLY = 1
    NO_SUID = 2
    NO_DEVICES = 4
    NO_EXECUTION = 8
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18


DETACH = 2
"""Flag of umount2(2): the tree goes now, and its file systems as soon as nobody uses them."""
PARENT_DEATH_SIGNAL = 1
"""Option of prctl(2)."""
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
"""Number of the system call, which the C library does not wrap."""
MOUNT_SETATTR = 442
"""Likewise, on all machines."""
AT_RECURSIVE, AT_WORKING_FOLDER = 0x8000, -100


class MountAttributes(ctypes.Structure):
    """What mount_setattr(2) changes of a mount."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def unshare(kinds: NamespaceKind) -> None:
    """Move this process to new namespaces; with PID, its next child.

    Raises:
        OSError: the kernel refuses.
    """
    _check(_libc().unshare(int(kinds)), f"unshare {kinds.name}")


def enter(file: Path, kind: NamespaceKind) -> None:
    """Move this process to an existing namespace, by its file.

    Raises:
        OSError: the kernel refuses, or there is no such file.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc().setns(descriptor, int(kind)), f"setns {file}")
    finally:
        os.close(descriptor)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, bind a path, or change the flags of a mount.

    Raises:
        OSError: the kernel refuses.
    """
    arguments = (_text(source), _text(str(target)), _text(kind), ctypes.c_ulong(flags), _text(options))
    _check(_libc().mount(*arguments), f"mount {source or kind} on {target}")


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    """Show a file or a folder at another path too. The target is made, and its folders.

    Raises:
        OSError: the kernel refuses.
    """
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(str(source), target, flags=Mount.BIND | Mount.RECURSIVE)
    if read_only:
        make_read_only(target, recursive=True)


def make_read_only(target: Path, *, recursive: bool) -> None:
    """Make a mount read-only, and those below it if `recursive`; their other flags stay.

    Raises:
        OSError: the kernel refuses.
    """
    attributes = MountAttributes(set=Mount.READ_ONLY)
    where = (AT_WORKING_FOLDER, os.fsencode(target), AT_RECURSIVE if recursive else 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _check(_libc().syscall(MOUNT_SETATTR, *where, ctypes.byref(attributes), size), f"make {target} read-only")


def make_private(target: Path = Path("/")) -> None:
    """Let no mount of this mount namespace spread to others.

    Raises:
        OSError: the kernel refuses.
    """
    mount("", target, flags=Mount.RECURSIVE | Mount.PRIVATE)


def change_root(root: Path) -> None:
    """Make a mounted folder the root of this mount namespace, and forget everything outside of it.

    Raises:
        OSError: the kernel refuses; the folder is no mount point.
    """
    os.chdir(root)
    _check(_libc().syscall(PIVOT_ROOT[os.uname().machine], b".", b"."), f"pivot_root {root}")
    _check(_libc().umount2(b".", DETACH), "umount of the old root")  # it lies on top of the new one
    os.chdir("/")


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc().prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _text(value: str) -> bytes | None:
    return value.encode() or None


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
