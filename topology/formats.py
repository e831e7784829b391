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
