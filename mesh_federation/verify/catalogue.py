"""All checks of a federation, in the order in which layers depend on each other."""

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
    policies,
    refusals,
    traffic,
    trust,
    trust_binding,
)
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import Context
from mesh_federation.verify.drift import Preview

GROUPS = (
    "control-planes", "drift", "trust", "gateways", "exports", "imports", "traffic", "refusals", "drill",
)  # fmt: skip
"""A failure in one group causes failures in later ones: the first failure names the cause."""


def catalogue(context: Context, preview: Preview | None, warning: timedelta) -> list[Check]:
    """Return every check that changes no cluster.

    Args:
        context: the federation.
        preview: previews an update; None where the state is known to have all that the stack file declares.
        warning: an authority that expires within this time fails its check.
    """
    bound = list(trust_binding.checks(context))
    return [
        *control_planes.checks(context),
        *drift.checks(context, preview),
        *trust.checks(context, warning),
        *keys.checks(context),
        *(each for each in bound if each.group == "trust"),
        *gateways.checks(context),
        *exports.checks(context),
        *policies.checks(context),
        *imports.checks(context),
        *traffic.checks(context),
        *refusals.checks(context),
        *(each for each in bound if each.group == "refusals"),
    ]


def drills(context: Context) -> list[Check]:
    """Return the checks that change a cluster temporarily."""
    return list(drill.checks(context))


def chosen(checks: Sequence[Check], selectors: Sequence[str]) -> list[Check]:
    """Return the checks that ids, groups or key paths select; all checks without a selector."""
    return [check for check in checks if not selectors or any(map(check.matches, selectors))]


def unknown(checks: Sequence[Check], selectors: Sequence[str]) -> list[str]:
    """Return the selectors that select no check."""
    return [each for each in selectors if not any(check.matches(each) for check in checks)]
