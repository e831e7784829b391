"""The steps of a rotation for the person who takes them: what each does, and what to write next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import yaml

from mesh_federation.stack.config import Federation, Rotation, Trust

Phase = Literal["add", "switch", "drop"]
BEFORE: Mapping[Phase, Phase | None] = {"add": None, "switch": "add", "drop": "switch"}
"""Which step comes before which."""
AFTER: Mapping[Phase, Phase | None] = {"add": "switch", "switch": "drop", "drop": None}
"""Which step follows which."""
KEPT = "<as it is>"
MOVED = "<what stands under rotation>"
"""Both stand for authorities that are not written down again: their keys are among them."""


def at(federation: Federation, phase: Phase | None) -> Federation:
    """Return the model in another step of its rotation; None is before it."""
    rotation = federation.trust.rotation
    moved = rotation.model_copy(update={"phase": phase}) if rotation and phase else None
    return federation.model_copy(update={"trust": federation.trust.model_copy(update={"rotation": moved})})


_OTHERS = (
    "Workloads that the stack did not make are not restarted: their owners do it, or they follow by themselves with"
    " their next certificate, within a day."
)
_ASKED = "The next step asks all proxies first, and changes nothing if one would be cut off."


@dataclass(frozen=True)
class Words:
    """A step of a rotation, told.

    Attributes:
        does: what it does.
        others: what holds for workloads that the stack did not make.
        then: what to do when it is done.
    """

    does: str
    others: str
    then: str


def words(phase: Phase, comes: Sequence[str], goes: Sequence[str]) -> Words:
    """Tell a step of a rotation.

    Args:
        phase: the step.
        comes: names of the roots that it leads to.
        goes: names of the roots that it leaves.
    """
    following, left = _all(comes) or "no other root", _all(goes) or "no root"
    match phase:
        case "add":
            return Words(
                f"Clusters trust {following} too, and go on signing as before.",
                f"{_OTHERS} {_ASKED}",
                "When the new roots are known everywhere, take the next step:",
            )
        case "switch":
            return Words(
                f"Clusters sign under {_all(comes) or 'what they did before'}. They go on trusting {left}, of which"
                " workloads that run still have certificates.",
                f"{_OTHERS} {_ASKED}",
                "When every workload has a certificate under the new roots, take the last step:",
            )
        case "drop":
            return Words(
                f"Clusters do not trust {left} any more.",
                _OTHERS,
                "When it is done, write down where you are, without rotation. This changes nothing in the clusters:",
            )


def _all(names: Sequence[str]) -> str:
    return " and ".join(names)


def following(trust: Trust, rotation: Rotation) -> str:
    """Write what stands under `trust` in the step after this one, or when all is done."""
    phase = AFTER[rotation.phase]
    moved = rotation.model_copy(update={"phase": phase})
    then = trust.model_copy(update={"rotation": moved}) if phase else trust.following
    tree = then.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"provided", "rotation"})
    if then.provided:
        tree["provided"] = KEPT if phase or not rotation.provided else MOVED
    if phase:
        steps = moved.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"provided"})
        given = {"provided": KEPT} if rotation.provided else {}
        tree["rotation"] = {name: value for name, value in steps.items() if value is not None} | given
    written: str = yaml.safe_dump({"trust": tree}, sort_keys=False)
    return written
