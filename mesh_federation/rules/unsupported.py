"""What the model can say and this program cannot do yet: refused with a finding, never left out in silence."""

from collections.abc import Iterator

from mesh_federation.rules.trust import authorities
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import InvalidModel, Problem

RULE = "not-built-yet"
PLANNED = {"cert-manager": "cert-manager's istio-csr", "spire": "SPIRE"}
"""Trust models that nothing of this program makes."""


def refuse(federation: Federation) -> None:
    """Refuse a model that asks for something unbuilt.

    Raises:
        InvalidModel: with a finding for each place that asks for it.
    """
    if findings := tuple(_findings(federation)):
        raise InvalidModel(findings)


def _findings(federation: Federation) -> Iterator[Problem]:
    for place, trust in authorities(federation):
        if trust.model in PLANNED:
            yield Problem(
                f"{place}.model",
                RULE,
                f"authorities by {PLANNED[trust.model]} have their place in the model, and are not built yet",
                "write common, separate or provided; docs/trust.md says what is needed for others",
            )
    if federation.istio.ambient:
        yield _finding("istio.ambient", "ambient meshes", "leave ambient out: sidecars")


def _finding(path: str, what: str, fix: str) -> Problem:
    return Problem(path, RULE, f"{what} can be declared and checked, but not brought up by this version", fix)
