"""What the rules say of provided authorities, in short."""

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


def told(east: Given, base: Path | None = None, **more: object) -> list[tuple[str, str, str]]:
    """Place, rule and words of each finding about the authority of cluster east, alone in its federation."""
    try:
        accepted(east, base, **more)
    except InvalidModel as invalid:
        place = "trust.provided.east."
        return [(each.where.removeprefix(place), each.rule, each.what) for each in invalid.problems]
    return []


def accepted(east: Given, base: Path | None = None, **more: object) -> ProvidedAuthority:
    """What the program goes on with; the rules must accept it."""
    trust = {"model": "provided", "provided": {"east": east}}
    return loader.parse({"trust": trust, "clusters": {"east": {}}, **more}, base=base).trust.provided["east"]
