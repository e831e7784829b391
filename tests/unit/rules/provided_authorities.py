"""Provided authorities for tests, and the problems that the rules report about them."""

from pathlib import Path

from mesh_federation import loader
from mesh_federation.stack.config import ProvidedAuthority
from mesh_federation.stack.problem import InvalidModel
from tests.unit.rules.issuing import Authority

Given = dict[str, object]


def given(mesh: Authority, root: Authority, *between: Authority) -> Given:
    """Write an authority as a stack file has it."""
    chain = "".join(each.pem for each in between)
    return {"certificate": mesh.pem, "key": mesh.key_pem, "root": root.pem, **({"chain": chain} if chain else {})}


def reported(east: Given, base: Path | None = None, **more: object) -> list[tuple[str, str, str]]:
    """Return key path, rule and text of each problem of the authority of cluster east, alone in its federation."""
    try:
        accepted(east, base, **more)
    except InvalidModel as invalid:
        place = "trust.provided.east."
        return [(each.where.removeprefix(place), each.rule, each.what) for each in invalid.problems]
    return []


def accepted(east: Given, base: Path | None = None, **more: object) -> ProvidedAuthority:
    """Return the authority as the program uses it; the rules must accept it."""
    trust = {"model": "provided", "provided": {"east": east}}
    return loader.parse({"trust": trust, "clusters": {"east": {}}, **more}, base=base).trust.provided["east"]
