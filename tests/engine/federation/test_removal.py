"""What `down` leaves behind, and clusters that went before it or that a reboot stopped."""

import shutil

from tests.checkout import Checkout, eventually, interrupt
from tests.interruption import begun, interrupted


def assert_nothing_is_left(checkout: Checkout) -> None:
    assert checkout.processes() == []
    assert checkout.reservations() == []
    for folder in ("clusters", "kwok/clusters", "kubeconfigs"):
        found = checkout.home / folder
        assert not found.exists() or not list(found.iterdir()), folder
    assert not checkout.stack_exists()
    assert not [file for file in (checkout.home / "state").rglob("*.json") if "history" not in file.parts]
    assert checkout.git_status() == ""


def lose(checkout: Checkout, cluster: str) -> None:
    """Remove a cluster behind the engine's back."""
    name = checkout.real_name(cluster)
    checkout.kill(checkout.processes(f"kwok/clusters/{name}/"))
    shutil.rmtree(checkout.home / "kwok" / "clusters" / name)
    shutil.rmtree(checkout.home / "clusters" / name)


def test_a_cluster_that_somebody_removed_is_made_anew(fresh: Checkout) -> None:
    fresh.up()
    lose(fresh, "west")
    done = fresh.up()
    assert "is gone" in done.stderr
    assert fresh.get("west", "deployment", "httpbin", "httpbin")
    assert fresh.imported_addresses() == [fresh.gateway_address("west")]
    assert set(fresh.up().changes()) == {"unchanged"}


def test_a_federation_of_which_one_cluster_is_gone_can_be_removed(fresh: Checkout) -> None:
    fresh.up()
    lose(fresh, "east")
    fresh.down()
    assert_nothing_is_left(fresh)


def test_clusters_that_a_killed_engine_left_half_made_are_removed(fresh: Checkout) -> None:
    with interrupted(fresh, begun("west-create")):
        eventually(lambda: bool(fresh.control_planes()))
        fresh.kill(fresh.engines())
    fresh.down()
    assert_nothing_is_left(fresh)


def test_clusters_that_ctrl_c_left_half_made_are_removed(fresh: Checkout) -> None:
    with interrupted(fresh, begun("west-create")) as run:
        eventually(lambda: bool(fresh.control_planes()))
        interrupt(run.process)
    assert "run it again to continue" in run.said
    fresh.down()
    assert_nothing_is_left(fresh)


def test_a_stack_file_that_is_broken_by_now_keeps_nothing_alive(fresh: Checkout) -> None:
    fresh.up()
    declared = fresh.stack_file().read_bytes()
    fresh.stack_file().write_bytes(b"config: [\xff\n")
    fresh.down()
    fresh.stack_file().write_bytes(declared)
    assert_nothing_is_left(fresh)


def test_after_a_reboot_up_starts_the_clusters_and_changes_nothing(fresh: Checkout) -> None:
    fresh.up()
    uid = fresh.get("west", "deployment", "httpbin", "httpbin")["metadata"]
    fresh.kill(fresh.control_planes())
    assert fresh.kubectl("west", "get", "namespaces").code != 0
    assert set(fresh.up().changes()) == {"unchanged"}
    again = fresh.get("west", "deployment", "httpbin", "httpbin")["metadata"]
    assert isinstance(uid, dict) and isinstance(again, dict)
    assert again["uid"] == uid["uid"]
    fresh.kill(fresh.control_planes())
    fresh.down()  # of clusters that do not run
    assert_nothing_is_left(fresh)
