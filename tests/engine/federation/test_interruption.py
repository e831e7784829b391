"""An engine that is killed or stopped at any moment: the next up goes on where it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.checkout import DEADLINE_SECONDS, Checkout, eventually, interrupt

CONSECUTIVE = (2, 6, 4, 9, 14, 20, 3)
"""After how many reported steps the engine is killed, run after run, in one checkout: each goes on from the last."""

FROM_NOTHING = (12, 45, 90)
"""The same, each in a checkout in which nothing ran before."""


class Ended(Exception):
    """The run came to its end before it was due to be interrupted."""


@contextmanager
def after_steps(checkout: Checkout, steps: int) -> Iterator[None]:
    """Start `up`, and give the word when the engine has reported so many steps; then wait for its end."""
    started = checkout.start("up", "--yes")
    assert started.stdout is not None
    try:
        seen, shown = 0, ""
        for line in started.stdout:
            shown += line
            seen += line.startswith((" +", " ~"))
            if seen == steps:
                break
        else:
            raise Ended(shown)
        yield
        rest = started.communicate(timeout=DEADLINE_SECONDS)[0]
        assert started.returncode != 0, shown + rest
        assert "Traceback" not in shown + rest, shown + rest
    finally:
        if started.poll() is None:
            started.kill()
            started.wait()


def kill_after(checkout: Checkout, steps: int) -> None:
    """Kill the engine as the out-of-memory killer does."""
    with after_steps(checkout, steps):
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
    assert len(checkout.state()) == EXPECTED_RESOURCES


EXPECTED_RESOURCES = 94
"""What the committed stack file comes to, with the engine's own providers of commands and keys."""


def test_an_engine_killed_time_after_time_converges(fresh: Checkout) -> None:
    for steps in CONSECUTIVE:
        kill_after(fresh, steps)
    assert_converged(fresh)


@pytest.mark.parametrize("steps", FROM_NOTHING)
def test_an_engine_killed_once_converges(fresh: Checkout, steps: int) -> None:
    kill_after(fresh, steps)
    assert_converged(fresh)


def test_a_killed_run_is_named_and_its_lock_cleared(fresh: Checkout) -> None:
    kill_after(fresh, 30)
    done = fresh.mesh("up", "--yes", **fresh.environment())
    assert done.code == 0, done.text
    assert "still held the lock" in done.stderr


def test_ctrl_c_stops_in_order_and_the_next_up_goes_on(fresh: Checkout) -> None:
    started = fresh.start("up", "--yes")
    assert started.stdout is not None
    shown = ""
    for line in started.stdout:
        shown += line
        if shown.count(" created (") == 20:
            break
    interrupt(started)
    rest = started.communicate(timeout=DEADLINE_SECONDS)[0]
    assert started.returncode not in (0, None), shown + rest
    assert "Traceback" not in rest, rest
    eventually(lambda: not fresh.engines())
    assert_converged(fresh)
