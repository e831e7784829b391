"""Rendered charts, kept from run to run: Helm takes a fifth of a second for each, and few runs change a chart.

A chart renders to the same objects as long as its files, its values, the release that it is rendered for and Helm
itself are the same. Values may hold secrets, so the files are readable by their owner alone.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mesh_federation.clusters.workdir import write_secret
from mesh_federation.plan.objects import Body

MOST = 64
"""Kept files: those that were used last. A federation of ten clusters has forty charts."""


@dataclass(frozen=True)
class RenderCache:
    """Rendered charts of one checkout.

    Attributes:
        folder: that holds a file for each.
    """

    folder: Path

    def get(self, key: str) -> list[Body] | None:
        """Return what was rendered; None if it was not, or cannot be read."""
        file = self.folder / f"{key}.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            file.touch()
        except (OSError, ValueError):
            return None
        return found if isinstance(found, list) else None

    def put(self, key: str, bodies: Sequence[Body]) -> None:
        """Keep what was rendered; a folder that cannot be written makes the next run slower, and fails nothing."""
        try:
            write_secret(self.folder / f"{key}.json", json.dumps(bodies))
            for old in sorted(self.folder.glob("*.json"), key=_used, reverse=True)[MOST:]:
                old.unlink(missing_ok=True)
        except OSError:
            return


def key(chart: Path, *parts: str) -> str:
    """Identify what a chart is rendered from.

    Args:
        chart: its folder.
        parts: everything else that it is rendered from.
    """
    digest = sha256()
    for part in (*_program(), *parts):
        digest.update(f"{len(part)}:{part}".encode())
    for file in sorted(each for each in chart.rglob("*") if each.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(chart)}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _program() -> Iterator[str]:
    """Identify Helm without running it."""
    if found := shutil.which("helm"):
        about = Path(found).stat()
        yield from (found, str(about.st_size), str(about.st_mtime_ns))


def _used(file: Path) -> float:
    return file.stat().st_mtime
