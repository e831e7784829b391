"""What a process may never do again: capabilities and gained privileges, which Python 3.11 has no functions for.

Sources: capabilities(7), prctl(2).
"""

import ctypes
import os
from collections.abc import Iterable

DROP_BOUNDING, NO_NEW_PRIVILEGES, AMBIENT, CLEAR_ALL = 24, 38, 47, 4
"""Options of prctl(2), and an argument of the third."""
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


def keep_capabilities(kept: Iterable[str]) -> None:
    """Limit what this process and those that it starts can ever do; names as in `CAPABILITIES`.

    Raises:
        OSError: the kernel refuses.
    """
    allowed = set(kept)
    _control(AMBIENT, CLEAR_ALL)
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
        last = int(file.read())
    for number in range(last + 1):
        if number >= len(CAPABILITIES) or CAPABILITIES[number] not in allowed:
            _control(DROP_BOUNDING, number)


def forbid_new_privileges() -> None:
    """Have no later program gain privileges, by its file's owner or capabilities.

    Raises:
        OSError: the kernel refuses.
    """
    _control(NO_NEW_PRIVILEGES, 1)


def _control(option: int, value: int) -> None:
    if _libc.prctl(option, *(ctypes.c_ulong(item) for item in (value, 0, 0, 0))):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")
