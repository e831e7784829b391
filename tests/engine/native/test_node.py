"""A native cluster by the jobs that make, start and remove it: what they leave, and what they repair."""

import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation import document
from mesh_federation.native.namespaces import mount
from mesh_federation.native.network import BRIDGE, UPLINK
from mesh_federation.native.sandbox import ProcessId
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Missing, ready
from tests.checkout import eventually
from tests.engine.native.node_desk import PROGRAMS, NodeDesk, alive, every_process, kill_when


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[NodeDesk]:
    """A place for a cluster, whose path is longer than a socket's may be and has what shells and kwok split at."""
    found = ready(["native"])
    if isinstance(found, Missing):
        pytest.skip(f"NOTHING was run on a native node: {', '.join(found.pieces)} missing; run `./mesh install native`")
    kubernetes = pins.load(Host.current()).versions["kubernetes"]
    made = NodeDesk(tmp_path / f"a, \"b' {'c' * 100}", found, kubernetes)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def running(desk: NodeDesk) -> NodeDesk:
    """A cluster that runs, with something in it that must last."""
    desk.done("create")
    created = desk.kubectl("create", "namespace", "kept")
    assert created.returncode == 0, created.stderr
    return desk


def interfaces() -> set[str]:
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def assert_nothing_is_left(desk: NodeDesk, processes: set[ProcessId]) -> None:
    """Assert that no process, namespace, interface, mount, control group or file of a cluster is there."""
    assert not [process for process in processes if alive(process)]
    assert not interfaces() & {BRIDGE, UPLINK}
    assert desk.home.name[-100:] not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    groups = (path for path, _, _ in os.walk("/sys/fs/cgroup"))
    assert not [path for path in groups if desk.name in path or desk.stack in path]
    files = [path for path in desk.home.rglob("*") if not path.is_dir() and path.parent.name != "locks"]
    assert not files
    assert not [slot for slot in ports(desk) if os.readlink(slot).startswith(str(desk.home))]


def ports(desk: NodeDesk) -> list[Path]:
    return list((Host.current().cache / "ports").glob("[0-9]*"))


def test_a_removed_cluster_leaves_nothing(running: NodeDesk) -> None:
    processes = running.all()
    assert len(processes) > len(PROGRAMS) and set(running.programs()) == set(PROGRAMS)  # there was something to leave
    running.done("delete")
    assert_nothing_is_left(running, processes)
    running.done("delete")  # one that is gone is no error


def test_what_is_killed_on_a_node_starts_again_by_itself(running: NodeDesk) -> None:
    before = running.programs()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_are_back() -> bool:
        now = running.programs()
        return set(now) == set(before) and not set(now.values()) & set(before.values())

    eventually(all_are_back, 120)
    eventually(running.answers, 120)
    assert running.kubectl("get", "namespace", "kept").returncode == 0


def test_a_start_of_what_runs_changes_nothing(running: NodeDesk) -> None:
    before = running.programs(), running.sandbox.init, (running.folder / "kubeconfig").read_text(encoding="utf-8")
    running.done("start")
    running.done("create")
    after = running.programs(), running.sandbox.init, (running.folder / "kubeconfig").read_text(encoding="utf-8")
    assert after == before


@pytest.mark.parametrize("first", ["node", "sandbox"])
def test_a_start_repairs_what_was_killed(running: NodeDesk, first: str) -> None:
    init = running.sandbox.init
    assert init
    (running.node() if first == "node" else init).kill()
    assert not running.answers()
    running.done("start")
    assert running.kubectl("get", "namespace", "kept").returncode == 0


def test_after_a_reboot_the_numbers_of_processes_are_other_processes_own(running: NodeDesk) -> None:
    init = running.sandbox.init
    assert init
    init.kill()
    stranger = replace(init, pid=os.getpid(), boot="of an earlier boot")
    for record in (running.folder / "node.json", running.sandbox.folder / "sandbox.json"):
        record.write_text(document.write(stranger), encoding="utf-8")
    running.done("start")  # and nobody has ended this process
    assert running.kubectl("get", "namespace", "kept").returncode == 0


def test_a_node_whose_record_is_lost_is_found_and_removed(running: NodeDesk) -> None:
    (running.folder / "node.json").unlink()
    processes = running.all()
    running.done("delete")
    assert_nothing_is_left(running, processes)


@pytest.mark.parametrize(
    "moment", ["native/trial", "native/trial/sandbox.json", "native/trial/shared/*/lock", "clusters/*/node.json"]
)
def test_a_creation_that_is_killed_leaves_no_node_that_nobody_knows(desk: NodeDesk, moment: str) -> None:
    kill_when(desk.begin("create"), lambda: any(desk.home.glob(moment)))
    eventually(lambda: not desk.programs())
    desk.done("create")
    assert desk.answers()
    processes = desk.all()
    desk.done("delete")
    assert_nothing_is_left(desk, processes)
    assert not [pid for pid in every_process() if _runs_in(pid, desk)]


def test_a_creation_that_is_killed_can_be_removed_at_once(desk: NodeDesk) -> None:
    kill_when(desk.begin("create"), lambda: any(desk.home.glob("native/trial/shared/*/kwok/clusters/*/etcd")))
    processes = desk.all()
    desk.done("delete")
    assert_nothing_is_left(desk, processes)


def test_ctrl_c_ends_a_creation_with_a_line_and_the_next_run_goes_on(desk: NodeDesk) -> None:
    said = kill_when(desk.begin("create"), lambda: any(desk.home.glob("clusters/*/node.json")), signal.SIGINT)
    assert said.strip() == f"create of {desk.name} was interrupted; the next run goes on where it stopped"
    eventually(lambda: not desk.programs())
    desk.done("create")
    assert desk.answers()


def test_two_stacks_of_a_checkout_do_not_meet(desk: NodeDesk) -> None:
    other = replace(desk, stack="other")
    try:
        begun = [each.begin("create") for each in (desk, other)]
        assert [job.communicate()[1] for job in begun] == ["", ""]
        assert desk.sandbox.init != other.sandbox.init
        desk.done("delete")
        assert other.answers()
    finally:
        other.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(desk: NodeDesk) -> None:
    desk.home.mkdir()
    mount("tmpfs", desk.home, "tmpfs", options="size=50m")
    try:
        refused = desk.job("create")
        assert "MiB are free on the disk of" in refused.stderr and "make room" in refused.stderr
        assert desk.sandbox.init is None and not desk.sandbox.folder.exists()
    finally:
        subprocess.run(["umount", str(desk.home)], check=True)


def test_who_shows_no_certificate_gets_nothing_from_the_api_server(running: NodeDesk) -> None:
    config = json.loads((running.folder / "kubeconfig").read_text(encoding="utf-8"))
    server = config["clusters"][0]["cluster"]["server"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server}/api/v1/secrets", context=ssl._create_unverified_context())
    assert refused.value.code == 403


def test_no_other_user_of_the_machine_reads_what_a_cluster_keeps(running: NodeDesk) -> None:
    running.home.chmod(0o755)  # a folder of the user's choice
    open_to_others = [running.home / "native" / "trial", running.folder / "kubeconfig"]
    assert [oct(path.stat().st_mode & 0o077) for path in open_to_others] == ["0o0", "0o0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must not trust what it sees there")
def test_root_writes_through_no_link_of_a_sandbox(running: NodeDesk, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("as it was", encoding="utf-8")
    running.node().kill()
    for name in ("control-plane.json", "agent.json", "kubeconfig", "lock", "logs"):
        target = running.files / name
        target.rename(running.files / f"{name}.old")
        target.symlink_to(precious)
    running.job("start")
    assert (precious.read_text(encoding="utf-8"), precious.stat().st_uid) == ("as it was", os.geteuid())


def _runs_in(pid: int, desk: NodeDesk) -> bool:
    try:
        return f"MESH_HOME={desk.home}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
