"""In what a federation can be drawn; loads nothing, so that a command line can name the formats."""

from enum import StrEnum


class Format(StrEnum):
    """A way to write a picture."""

    SVG = "svg"
    PNG = "png"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"

    @property
    def is_picture(self) -> bool:
        """Say whether it is nothing to print on a terminal."""
        return self in (Format.SVG, Format.PNG)


class Telling(StrEnum):
    """A way to tell the hierarchy of certificates: as a picture is written, and as text."""

    TEXT = "text"
    JSON = Format.JSON.value
    SVG = Format.SVG.value
    PNG = Format.PNG.value
    DOT = Format.DOT.value
    MERMAID = Format.MERMAID.value

    @property
    def is_picture(self) -> bool:
        """Say whether it is nothing to print on a terminal."""
        return self in (Telling.SVG, Telling.PNG)


ENDINGS = {
    ".svg": Format.SVG,
    ".png": Format.PNG,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    ".dot": Format.DOT,
    ".gv": Format.DOT,
    ".json": Format.JSON,
}
"""What files of each format are called."""
