"""Golden files: expected texts beside the tests, rewritten with `pytest ... --update-goldens`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """Compares texts with golden files.

    Attributes:
        folder: folder of the test file; names of golden files are relative to it.
        update: whether golden files are written before they are compared.
    """

    folder: Path
    update: bool

    def __call__(self, name: str, text: str) -> None:
        """Compare a text with a golden file, or write the file."""
        file = self.folder / name
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"{name} is missing: run pytest with --update-goldens, and review the file"
        assert text == file.read_text(encoding="utf-8"), f"{name} differs: if that is intended, --update-goldens"
