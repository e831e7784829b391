"""What the model can say and this program cannot do yet: refused with a finding, never left out in silence."""

from collections.abc import Iterator

from model.config import Federation
from model.finding import Finding, InvalidModel

RULE = "not-built-yet"


def refuse(federation: Federation) -> None:
    """Refuse a model that asks for something unbuilt.

    Raises:
        InvalidModel: with a finding for each place that asks for it.
    """
    if findings := tuple(_findings(federation)):
        raise InvalidModel(findings)


def _findings(federation: Federation) -> Iterator[Finding]:
    if federation.istio.ambient:
        yield _finding("istio.ambient", "ambient meshes", "leave ambient out: sidecars")


def _finding(path: str, what: str, fix: str) -> Finding:
    return Finding(path, RULE, f"{what} can be declared and checked, but not brought up by this version", fix)
