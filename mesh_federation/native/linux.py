"""Calls of the Linux kernel that Python has no function for: namespaces, mounts, capabilities."""

import ctypes
import os
from collections.abc import Iterable

NEW_MOUNTS, NEW_NAMES, NEW_IPC, NEW_PIDS, NEW_NETWORK = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
"""Kinds of namespaces (CLONE_NEWNS, -UTS, -IPC, -PID, -NET)."""
NO_SUID, NO_DEVICES, NO_EXEC = 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2
_AT_RECURSIVE, _AT_HERE, _READ_ONLY = 0x8000, -100, 0x1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442
_DEATH_SIGNAL, _DROP_BOUNDING, _NO_NEW_PRIVILEGES, _AMBIENT, _CLEAR_ALL = 1, 24, 38, 47, 4
_SUBREAPER = 36

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""By number. Source: linux/capability.h."""

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def unshare(kinds: int) -> None:
    """Give the calling thread namespaces of its own; one of processes is for its next child. Raises OSError."""
    _check(_libc.unshare(kinds), "unshare")


def enter(descriptor: int, kind: int) -> None:
    """Move the calling thread into a namespace; one of processes is for its children alone. Raises OSError."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or bind a path to another one. Raises OSError."""
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount {source} on {target}")


def make_read_only(target: str, recursive: bool) -> None:
    """Make a mount read-only, and those below it if `recursive`; all its other flags stay. Raises OSError."""
    attributes = _MountAttributes(set=_READ_ONLY)
    flags = _AT_RECURSIVE if recursive else 0
    arguments = (ctypes.c_long(_MOUNT_SETATTR), _AT_HERE, os.fsencode(target), flags, ctypes.byref(attributes))
    _check(_libc.syscall(*arguments, ctypes.c_size_t(ctypes.sizeof(attributes))), f"make {target} read-only")


def change_root(folder: str) -> None:
    """Make a mount the root of this process and its namespace, and take the old root away. Raises OSError."""
    os.chdir(folder)
    _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT[os.uname().machine]), b".", b"."), f"pivot_root {folder}")
    _check(_libc.umount2(b".", _DETACH), "unmount the old root")
    os.chdir("/")


def set_host_name(name: str) -> None:
    """Set the host name of the calling thread's namespace. Raises OSError."""
    text = name.encode()
    _check(_libc.sethostname(text, ctypes.c_size_t(len(text))), "sethostname")


def die_with_parent(signal: int) -> None:
    """Have the kernel send a signal to this process when the thread that started it ends. Raises OSError."""
    _control(_DEATH_SIGNAL, signal)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end. Raises OSError."""
    _control(_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """Have no later program gain privileges, by its file's owner or capabilities. Raises OSError."""
    _control(_NO_NEW_PRIVILEGES, 1)


def keep_capabilities(kept: Iterable[str]) -> None:
    """Limit what this process and those that it starts can ever do; names as in `CAPABILITIES`. Raises OSError."""
    allowed = set(kept)
    _control(_AMBIENT, _CLEAR_ALL)
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        last = int(file.read())
    for number in range(last + 1):
        if number >= len(CAPABILITIES) or CAPABILITIES[number] not in allowed:
            _control(_DROP_BOUNDING, number)


def _control(option: int, value: int) -> None:
    _check(_libc.prctl(option, *(ctypes.c_ulong(item) for item in (value, 0, 0, 0))), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
