"""The files that a sandbox sees: this machine's programs, read-only, and one folder of its own."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from mesh_federation.native.namespaces import Mount, bind, change_root, make_private, mount

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Folders of a machine with its programs; some are links into /usr."""
CONFIGURATION = (
    "alternatives", "ca-certificates", "crypto-policies", "group", "ld.so.cache", "localtime", "nsswitch.conf",
    "passwd", "pki", "protocols", "services", "ssl",
)  # fmt: skip
"""Entries of /etc that programs read; none is secret."""
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
WRITABLE = {"dev/shm": 0o1777, "run": 0o755, "tmp": 0o1777, "var/lib": 0o755, "var/tmp": 0o1777}
"""Folders in memory, by their mode."""
SHARED = Path("/shared")
"""Where a sandbox sees the folder that it may write to: the path on this machine may be of any length and spelling."""
STREAMS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def build(shared: Path, programs: Iterable[str], owner: tuple[int, int]) -> None:
    """Make a root of its own for this mount namespace, with nothing in it that is not named here.

    Args:
        shared: folder that may be written to, as `SHARED`.
        programs: folders to show read-only, at their own paths.
        owner: user and group of the folders that may be written to, as this process sees them.

    Raises:
        OSError: the kernel refuses.
    """
    make_private()
    root = shared.parent / "root"
    root.mkdir(exist_ok=True)
    mount("tmpfs", root, "tmpfs", options="mode=755")
    for name, mode in WRITABLE.items():
        _add_memory(root / name, mode, owner)
    for name in SYSTEM:
        _show(Path("/") / name, root)
    for name in CONFIGURATION:
        _take(Path("/etc") / name, root)
    for each in programs:
        if not any(Path(each).is_relative_to(f"/{name}") for name in SYSTEM):
            _show(Path(each), root)
    bind(shared, _below(root, SHARED), read_only=False)
    _add_devices(root)
    bind(Path("/proc"), root / "proc", read_only=False)  # the kernel mounts a new one only where one is seen
    change_root(root)


def mount_own() -> None:
    """Mount what belongs to the new namespaces: the first process in them does it.

    Raises:
        OSError: the kernel refuses.
    """
    mount("proc", Path("/proc"), "proc", Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXECUTION)
    mount("devpts", Path("/dev/pts"), "devpts", options="newinstance,ptmxmode=0666,mode=620")


def _add_memory(folder: Path, mode: int, owner: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    options = f"mode={mode:o},uid={owner[0]},gid={owner[1]}"
    mount("tmpfs", folder, "tmpfs", Mount.NO_SUID | Mount.NO_DEVICES, options)


def _take(path: Path, root: Path) -> None:
    """Copy a file of this machine, or show a folder: programs put another file in the place of /etc/passwd.

    A file that is gone but mounted cannot be shown again, to containers.
    """
    if path.is_file() and not path.is_symlink():
        target = _below(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    else:
        _show(path, root)


def _show(path: Path, root: Path) -> None:
    """Show a file or a folder of this machine, read-only; a link is shown as a link."""
    target = _below(root, path)
    if path.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.readlink(path))
    elif path.exists():
        bind(path, target, read_only=True)


def _add_devices(root: Path) -> None:
    (root / "dev" / "pts").mkdir()
    for name in DEVICES:
        bind(Path("/dev") / name, root / "dev" / name, read_only=False)
    for name, target in {**STREAMS, "ptmx": "pts/ptmx"}.items():
        (root / "dev" / name).symlink_to(target)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
