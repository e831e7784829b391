"""Runs that meet, stop half-way, or find the disk full: real processes against the local publisher."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import install
from tests.unit.toolchain.publisher import (
    ENGINE,
    ETCD,
    KIND,
    KUBECTL,
    METALLB,
    Publisher,
    held,
    publish_all,
    publish_for_kind,
)

PROJECT = Path(__file__).resolve().parents[3]

# Installs on the host of the test; prints a line a step, in one write: several threads report.
INSTALL = """
import json, os, resource, sys
from pathlib import Path
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host, Patience
from mesh_federation.toolchain.install import install
words = json.loads(sys.argv[1])
if limit := words.pop("limit", None):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
provisioners = words.pop("provisioners", ["kwok"])
folders = {name: Path(words.pop(name)) for name in ("checkout", "cache", "pulumi_home")}
host = Host(**folders, **words, patience=Patience(reach=10, stall=60, attempts=1))
try:
    install(provisioners, lambda step: os.write(1, f"{step.piece} {step.state}\\n".encode()), host)
except ToolchainError as error:
    print(error, flush=True)
    sys.exit(1)
"""


def start(host: Host, **more: object) -> "subprocess.Popen[str]":
    words = {
        "checkout": str(host.checkout),
        "cache": str(host.cache),
        "pulumi_home": str(host.pulumi_home),
        "path": host.path,
        "system": host.system,
        "arch": host.arch,
        **more,
    }
    command = [sys.executable, "-c", INSTALL, json.dumps(words)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lines_until(process: "subprocess.Popen[str]", *wanted: str) -> None:
    """Read what the process prints until every wanted line was seen."""
    assert process.stdout is not None
    missing, seen = set(wanted), []
    for line in process.stdout:
        seen.append(line)
        missing.discard(line.strip())
        if not missing:
            return
    raise AssertionError(f"ended without {missing}: {''.join(seen)}")


def test_of_two_runs_at_once_one_works_and_the_other_waits(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    publisher.answers[KUBECTL] = held(publisher)
    first = start(host)
    assert publisher.held.wait(60)
    second = start(host)
    lines_until(second, "waits")
    publisher.gate.set()
    for process in (first, second):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert {path: len(publisher.asked(path)) for path in (ENGINE, KUBECTL, ETCD)} == {ENGINE: 1, KUBECTL: 1, ETCD: 1}


def test_of_two_runs_for_kind_at_once_each_file_is_fetched_by_one(kind_host: Host, publisher: Publisher) -> None:
    publish_for_kind(publisher)
    publisher.answers[METALLB] = held(publisher)
    first = start(kind_host, provisioners=["kind"])
    assert publisher.held.wait(60)
    second = start(kind_host, provisioners=["kind"])
    lines_until(second, "waits")
    publisher.gate.set()
    for process in (first, second):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert {path: len(publisher.asked(path)) for path in (KIND, METALLB)} == {KIND: 1, METALLB: 1}


def test_a_run_that_was_killed_goes_on_with_what_was_left(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    publisher.answers[KUBECTL] = held(publisher, after=1000)
    killed = start(host)
    lines_until(killed, "pulumi ready", "etcd ready", "chart-base ready", "pulumi-resource-tls ready")
    assert publisher.held.wait(60)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    publisher.answers.clear()
    publisher.requests.clear()
    toolchain = install({"kwok"}, lambda _: None, host)
    assert (toolchain.bin / "kubectl").read_bytes() == publisher.files[KUBECTL]
    assert len(publisher.asked(KUBECTL)) == 1
    assert publisher.asked(ENGINE) == publisher.asked(ETCD) == []


def test_a_write_that_finds_no_room_says_what_to_free(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    process = start(host, limit=100_000)  # kubectl is larger
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no space left" in output and "MESH_CACHE" in output
    assert "Traceback" not in output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_says_what_to_free_and_leaves_nothing_half_done(
    host: Host, publisher: Publisher, small_disk: Path
) -> None:
    publish_all(publisher)
    with pytest.raises(ToolchainError) as full:
        install({"kwok"}, lambda _: None, Host(**{**vars(host), "cache": small_disk / "cache"}))
    assert "no space left" in full.value.problem.why
    assert "free some space" in full.value.problem.fix
    assert not list(small_disk.glob("cache/*/bin/kubectl"))
    install({"kwok"}, lambda _: None, host)  # elsewhere there is room
