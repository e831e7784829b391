"""The machine that figures belong to."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from mesh_federation.toolchain.install import Toolchain


@dataclass(frozen=True)
class Machine:
    """What figures must be read with.

    Attributes:
        processor: its name, where the system tells.
        cores: of the whole machine.
        memory_gib: of the whole machine.
        kernel: name and release.
        load: average number of running processes in the minute before; far above 0 means that figures are noisy.
        versions: of everything that takes part, with the route by which it came where it is not the official release.
    """

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    load: float
    versions: dict[str, str]

    @classmethod
    def current(cls, toolchain: Toolchain) -> "Machine":
        """Look at this machine."""
        pieces = {place.piece: f"{place.version} ({place.route})" for place in toolchain.pieces}
        return cls(
            processor=_processor(),
            cores=psutil.cpu_count() or 1,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            kernel=f"{platform.system()} {platform.release()}",
            load=round(psutil.getloadavg()[0], 2),
            versions={"python": platform.python_version(), "pulumi (Python)": version("pulumi"), **pieces},
        )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
