"""A rotation as a person makes it: one phase after the other, each an `up` of its own."""

from collections.abc import Iterator

from tests.checkout import Checkout

PHASES = ("add", "switch", "drop")


def rotating(checkout: Checkout, **following: object) -> Iterator[str]:
    """Declare each phase of a move to other authorities in turn, and last of all what it led to.

    Args:
        checkout: whose stack file is changed.
        following: what is to stand under `trust`.

    Yields:
        The phase that is to be brought up; `done` for the last.
    """
    now = checkout.declared().get("trust", {})
    assert isinstance(now, dict)
    for phase in PHASES:
        declare(checkout, {**now, "rotation": {"phase": phase, **following}})
        yield phase
    declare(checkout, {**now, **following})
    yield "done"


def declare(checkout: Checkout, trust: object) -> None:
    """Write what stands under `trust`."""
    with checkout.edited() as federation:
        federation["trust"] = trust
