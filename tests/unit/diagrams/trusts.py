"""Certificate hierarchies for tests: of each trust model, of a rotation, and of a stack that is up."""

from datetime import date
from functools import cache

from mesh_federation.diagrams.drawing import Drawing
from mesh_federation.diagrams.hierarchy import drawing
from mesh_federation.loader import parse
from mesh_federation.plan.hierarchy import NOTHING, Hierarchy, Made, Record, hierarchy
from mesh_federation.plan.root_identity import GeneratedRoot
from tests.unit.components.authorities import provided
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import ROOT


def trusting(stack: str, **trust: object) -> Tree:
    """A committed stack with some keys under `trust` replaced."""
    tree = committed(stack)
    return {**tree, "trust": {**tree.get("trust", {}), **trust}}


def rotating(phase: str, stack: str = "separate-roots", **following: object) -> Tree:
    """A committed stack on its way to other roots."""
    return trusting(stack, rotation={"phase": phase, "root": "r2", **following})


TREES: dict[str, tuple[str, Tree]] = {
    "common": ("east-west", committed("east-west")),
    "separate": ("separate-roots", committed("separate-roots")),
    "three": ("three-meshes", trusting("three-meshes", model="separate")),
    "provided": ("provided", provided()),
    "add": ("separate-roots", rotating("add")),
    "rotation": ("separate-roots", rotating("switch")),
    "drop": ("separate-roots", rotating("drop")),
    "common-add": ("east-west", rotating("add", "east-west")),
}
"""Name of the stack, and what it declares."""
PICTURES = ("common", "separate", "rotation")
"""Those that the documentation shows."""


def told(name: str, made: Made = NOTHING) -> Hierarchy:
    """One of these hierarchies."""
    stack, tree = TREES[name]
    return of(tree, stack, made)


def of(tree: Tree, stack: str = "test", made: Made = NOTHING) -> Hierarchy:
    """The hierarchy of any sound federation."""
    return hierarchy(parse(tree, base=ROOT), stack, made)


@cache
def drawn_trust(name: str) -> Drawing:
    """The picture of one of these hierarchies."""
    return drawing(told(name))


COMMON_ROOT = GeneratedRoot("root CA", "mesh-federation", "ECDSA", "P256", 3650)
"""The root of two clusters with a common one."""


def record(cluster: str, **changed: object) -> Record:
    """What an `up` of two clusters with a common root leaves of one of them."""
    left = Record(
        authority=("e" if cluster == "east" else "f") * 64,
        root="a" * 64,
        trusted=("a" * 64,),
        version=1,
        issuer=COMMON_ROOT,
        accepted=(COMMON_ROOT,),
        ends=date(2031, 11, 21 if cluster == "east" else 20),
        ends_first=f"{cluster} intermediate CA",
    )
    return left.model_copy(update=changed)


UP = Made({name: record(name) for name in ("east", "west")})
"""What an `up` of the stack east-west leaves."""
