"""What a sandbox hides from what runs in it, and how this machine connects into it."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.native import support
from mesh_federation.native.dialer import Dialer
from mesh_federation.native.network import bridge_address
from mesh_federation.native.sandbox import INTERPRETER, Sandbox, environment
from tests.engine.native.node_desk import alive

SUBNET = "172.30.0.0/16"
SERVER = """
import socket
with socket.create_server(("0.0.0.0", 8080)) as listener:
    print("listens", flush=True)
    for _ in range(2):
        connection, _ = listener.accept()
        connection.sendall(b"hello")
        connection.close()
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox in which nothing runs."""
    if found := support.obstacles():
        pytest.skip(f"NOTHING was run in a sandbox: {found[0]}")
    made = Sandbox(tmp_path_factory.mktemp("machine") / "sandbox")
    made.start((), SUBNET)
    yield made
    made.stop()


def run(sandbox: Sandbox, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the sandbox, as its root."""
    return subprocess.run(
        sandbox.command(*command), env=environment(), capture_output=True, text=True, check=False, timeout=60
    )


def test_root_of_a_sandbox_is_no_root_of_this_machine(sandbox: Sandbox) -> None:
    assert run(sandbox, "id", "-u").stdout.strip() == "0"
    outside = [int(line.split()[1]) for line in run(sandbox, "cat", "/proc/self/uid_map").stdout.splitlines()]
    assert 0 not in outside


def test_a_sandbox_sees_this_machines_programs_and_not_its_files(sandbox: Sandbox) -> None:
    seen = set(run(sandbox, "ls", "/").stdout.split())
    assert {"usr", "shared", "proc"} <= seen and not seen & {"boot", "media", "mnt", "srv", "sys"}
    assert set(run(sandbox, "ls", "/etc").stdout.split()).isdisjoint({"shadow", "ssh", "sudoers", "machine-id"})


@pytest.mark.parametrize("path", ["/usr/bin/new", "/etc/passwd", "/new/file"])
def test_a_sandbox_changes_no_file_of_this_machine(sandbox: Sandbox, path: str) -> None:
    run(sandbox, "sh", "-c", f"mount -o remount,bind,rw {Path(path).parent}; echo changed >> {path}")
    assert not Path(path).exists() or "changed" not in Path(path).read_text(encoding="utf-8")


def test_what_it_writes_to_its_folder_is_on_this_machine_and_for_its_owner_alone(sandbox: Sandbox) -> None:
    assert run(sandbox, "sh", "-c", "echo kept > /shared/file").returncode == 0
    assert (sandbox.shared / "file").read_text(encoding="utf-8") == "kept\n"
    assert sandbox.folder.stat().st_mode & 0o077 == 0


def test_a_sandbox_sees_no_process_of_this_machine(sandbox: Sandbox) -> None:
    numbers = run(sandbox, "sh", "-c", "ls -d /proc/[0-9]*").stdout.split()
    assert "/proc/1" in numbers and len(numbers) < 10


def test_a_sandbox_has_no_way_out(sandbox: Sandbox) -> None:
    routes = run(sandbox, "ip", "-4", "route").stdout.splitlines()
    assert [route.split()[0] for route in routes] == [SUBNET]
    assert run(sandbox, "ip", "-4", "route", "get", "1.1.1.1").returncode != 0


def test_a_secret_of_the_environment_is_not_in_it(sandbox: Sandbox) -> None:
    names = {line.partition("=")[0] for line in run(sandbox, "cat", "/proc/1/environ").stdout.split("\0")}
    assert names <= {"", "PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "MESH_HOME",
                     "LD_LIBRARY_PATH"}  # fmt: skip


def test_a_second_start_changes_nothing(sandbox: Sandbox) -> None:
    assert sandbox.start((), SUBNET) == sandbox.init


def test_this_machine_connects_into_the_network_of_a_sandbox(sandbox: Sandbox) -> None:
    address, dialer = str(bridge_address(SUBNET)), Dialer(sandbox)
    server = subprocess.Popen(sandbox.command(INTERPRETER, "-c", SERVER), env=environment(), stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"listens\n"
        for _ in range(2):
            with dialer.connect(address, 8080, 10) as connection:
                assert connection.recv(10) == b"hello"
    finally:
        server.terminate()  # where it still listens, the sandbox ends it: only nsenter(1) hears this
        server.stdout.close()
        server.wait()


@pytest.mark.usefixtures("sandbox")
def test_a_machine_that_is_too_busy_for_a_trial_is_not_said_to_lack_anything() -> None:
    [problem] = support.tried(seconds=0.001)
    assert problem.rule == "busy-machine" and "longer than 0.001 s" in problem.what


@pytest.mark.parametrize(
    ("address", "port", "number"),
    [(str(bridge_address(SUBNET)), 9, errno.ECONNREFUSED), ("1.1.1.1", 80, errno.ENETUNREACH),
     ("172.30.0.99", 80, errno.ETIMEDOUT)],
)  # fmt: skip
def test_a_connection_that_fails_says_why(sandbox: Sandbox, address: str, port: int, number: int) -> None:
    with pytest.raises(OSError) as failed:
        Dialer(sandbox).connect(address, port, 0.5)
    assert failed.value.errno == number


def test_a_sandbox_that_ends_takes_everything_with_it(tmp_path: Path) -> None:
    if found := support.obstacles():
        pytest.skip(f"NOTHING was run in a sandbox: {found[0]}")
    made = Sandbox(tmp_path / "sandbox")
    first = made.start((), SUBNET)
    server = subprocess.Popen(made.command("sleep", "1000"), env=environment(), start_new_session=True)
    made.stop()
    assert server.wait(timeout=60) != 0 and not alive(first)
    assert not made.folder.exists() and made.init is None
    with pytest.raises(OSError) as failed:
        Dialer(made).connect(str(bridge_address(SUBNET)), 80, 1)
    assert failed.value.errno == errno.ENETDOWN


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user reads its own files in a sandbox")
def test_files_that_root_alone_can_read_are_refused_with_the_command_that_opens_them(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    made = Sandbox(tmp_path / "sandbox")
    with pytest.raises(Exception, match="can be read by root alone") as refused:
        made.start((str(tmp_path / "private"),), SUBNET)
    assert f"chmod --recursive go+rX {tmp_path}/private" in str(refused.value)
    assert made.init is None and not made.folder.exists()
