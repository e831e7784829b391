"""Formats of pictures; loads nothing else, so that a command line can name them."""

from enum import StrEnum


class Format(StrEnum):
    """Format of a picture."""

    SVG = "svg"
    PNG = "png"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"

    @property
    def is_picture(self) -> bool:
        """Whether a terminal cannot show it."""
        return self in (Format.SVG, Format.PNG)


class TrustFormat(StrEnum):
    """Format in which a certificate hierarchy is shown: the formats of pictures, and text."""

    TEXT = "text"
    JSON = Format.JSON.value
    SVG = Format.SVG.value
    PNG = Format.PNG.value
    DOT = Format.DOT.value
    MERMAID = Format.MERMAID.value

    @property
    def is_picture(self) -> bool:
        """Whether a terminal cannot show it."""
        return self in (TrustFormat.SVG, TrustFormat.PNG)


ENDINGS = {
    ".svg": Format.SVG,
    ".png": Format.PNG,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    ".dot": Format.DOT,
    ".gv": Format.DOT,
    ".json": Format.JSON,
}
"""Format of a file by the ending of its name."""
