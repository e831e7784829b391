"""An engine that is killed or stopped at any moment: the next up goes on where it was."""

from pathlib import Path

import pytest

from tests.checkout import Checkout, eventually, interrupt
from tests.interruption import counted, interrupted

CONSECUTIVE = (2, 6, 4, 9, 14, 20, 3)
"""After how many reported steps the engine is killed, run after run, in one checkout: each goes on from the last."""

FROM_NOTHING = 45
"""The same, in a checkout in which nothing ran before: clusters are half made then."""


def kill_after(checkout: Checkout, steps: int) -> None:
    """Kill the engine as the out-of-memory killer does."""
    with interrupted(checkout, counted(steps)):
        checkout.kill(checkout.engines())


def assert_converged(checkout: Checkout) -> None:
    done = checkout.up()
    assert set(checkout.up().changes()) == {"unchanged"}, done.text
    for cluster, sample in (("east", "sleep"), ("west", "httpbin")):
        assert checkout.get(cluster, "deployment", "istiod")
        assert checkout.get(cluster, "deployment", sample, sample)
        certificates = checkout.get(cluster, "secret", "cacerts")["data"]
        assert isinstance(certificates, dict)
    assert checkout.imported_addresses() == [checkout.gateway_address("west")]
    # Half-made attempts leave no control plane of their own.
    names = {checkout.real_name(cluster) for cluster in ("east", "west")}
    assert {folder.name for folder in (checkout.home / "clusters").iterdir()} == names
    assert made(checkout) == frozen()


def made(checkout: Checkout) -> set[str]:
    """Type and name of every resource in state, without the stack itself and the engine's default providers."""
    names = {f"{resource['type']} {urn.rsplit('::', 1)[1]}" for urn, resource in checkout.state().items()}
    return {name for name in names if not name.startswith("pulumi:pulumi:") and " default" not in name}


def frozen() -> set[str]:
    """The same of the committed stack file, as test_urns.py keeps it."""
    tree = Path(__file__).parents[1] / "components" / "urns" / "simulated.txt"
    return {line.strip() for line in tree.read_text(encoding="utf-8").splitlines()}


@pytest.mark.long
def test_an_engine_killed_time_after_time_converges(fresh: Checkout) -> None:
    for steps in CONSECUTIVE:
        kill_after(fresh, steps)
    assert_converged(fresh)


def test_an_engine_killed_once_converges(fresh: Checkout) -> None:
    kill_after(fresh, FROM_NOTHING)
    assert_converged(fresh)


def test_a_killed_run_is_named_and_its_lock_cleared(fresh: Checkout) -> None:
    kill_after(fresh, 30)
    done = fresh.mesh("up", "--yes", **fresh.environment())
    assert done.code == 0, done.text
    assert "removed the lock" in done.stderr


def test_ctrl_c_stops_in_order_and_the_next_up_goes_on(fresh: Checkout) -> None:
    with interrupted(fresh, counted(20, " created (")) as run:
        interrupt(run.process)
    eventually(lambda: not fresh.engines())
    assert_converged(fresh)
