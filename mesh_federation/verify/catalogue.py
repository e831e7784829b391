"""All checks of a federation, in the order in which one builds on the other."""

from collections.abc import Sequence
from datetime import timedelta

from mesh_federation.verify import (
    control_planes,
    drift,
    drill,
    exports,
    gateways,
    imports,
    keys,
    refusals,
    traffic,
    trust,
)
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import Context
from mesh_federation.verify.drift import Ask

GROUPS = (
    "control-planes", "drift", "trust", "gateways", "exports", "imports", "traffic", "refusals", "drill",
)  # fmt: skip
"""What breaks in one breaks what follows: the first that fails names the cause."""


def catalogue(scene: Context, ask: Ask, warning: timedelta) -> list[Check]:
    """Return every check that changes nothing.

    Args:
        scene: the federation.
        ask: asks the engine what it would change.
        warning: how long before its end an authority is complained of.
    """
    return [
        *control_planes.checks(scene),
        *drift.checks(scene, ask),
        *trust.checks(scene, warning),
        *keys.checks(scene),
        *gateways.checks(scene),
        *exports.checks(scene),
        *imports.checks(scene),
        *traffic.checks(scene),
        *refusals.checks(scene),
    ]


def drills(scene: Context) -> list[Check]:
    """Return those that change something for a while."""
    return list(drill.checks(scene))


def chosen(checks: Sequence[Check], wanted: Sequence[str]) -> list[Check]:
    """Return the checks that a person names by id, group or place; all where none is named."""
    return [check for check in checks if not wanted or any(map(check.is_meant, wanted))]


def unknown(checks: Sequence[Check], wanted: Sequence[str]) -> list[str]:
    """Return what a person names and no check goes by."""
    return [each for each in wanted if not any(check.is_meant(each) for check in checks)]
