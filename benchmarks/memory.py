"""Samples the resident memory of everything that one bring-up runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import psutil

from benchmarks.figures import Memory

INTERVAL = 0.25
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")


@dataclass
class Peak:
    """Highest sums seen so far, in bytes."""

    memory: Memory = field(default_factory=lambda: Memory(0, 0, 0))

    def see(self, engine: int, control_planes: int) -> None:
        """Take note of one sample."""
        self.memory = Memory(
            max(self.memory.engine, engine),
            max(self.memory.control_planes, control_planes),
            max(self.memory.total, engine + control_planes),
        )


@contextmanager
def watching(folder: Path) -> Iterator[Peak]:
    """Watch the processes that this one starts, and the control planes below a folder, while the block runs."""
    peak, ended = Peak(), Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            planes = {p.pid: p for p in psutil.process_iter(["name"]) if _is_control_plane(p, folder)}
            own = [p for p in psutil.Process().children(recursive=True) if p.pid not in planes]
            peak.see(sum(map(_resident, own)), sum(map(_resident, planes.values())))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _is_control_plane(process: psutil.Process, folder: Path) -> bool:
    return process.info["name"] in CONTROL_PLANE and below(process, folder)


def below(process: psutil.Process, folder: Path) -> bool:
    """Say whether a process works in a folder or with files of it, or has some mounted as those of a sandbox have."""
    try:
        named = any(str(folder) in word for word in process.cmdline())
        mounted = str(folder) in Path(f"/proc/{process.pid}/mountinfo").read_text(encoding="utf-8")
        return named or mounted or Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
