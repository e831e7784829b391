"""When containers start again."""

import pytest

from mesh_federation.native.restart import RestartDelay, restarts


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        ("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False),
        ("OnFailure", 1, True), ("Never", 0, False), ("Never", 1, False),
    ],
)  # fmt: skip
def test_the_restart_policy_decides_by_the_exit_status(policy: str, code: int, expected: bool) -> None:
    assert restarts(policy, code) is expected


def test_each_wait_is_twice_the_last_up_to_five_minutes() -> None:
    delay = RestartDelay()
    assert [delay.after(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_run_of_ten_minutes_begins_anew() -> None:
    delay = RestartDelay()
    waits = [delay.after(ran) for ran in (1, 1, 1, 601, 1)]
    assert waits == [0, 10, 20, 0, 10]
