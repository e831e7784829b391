"""The programs of a control plane come under the watch of their node."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh_federation.native import machine
from mesh_federation.native.machine import Supervisor
from mesh_federation.native.node_settings import NodeSettings


@dataclass
class FakeSupervisor(Supervisor):
    """Adopts the processes that run."""

    running: set[int]
    adopted: set[int] = field(default_factory=set)

    def adopt(self, pid: int) -> None:
        """Take over a process."""
        if pid not in self.running:
            raise PermissionError(f"/proc/{pid}/fd/1")
        self.adopted.add(pid)


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings("east-1", str(tmp_path), "", "", "10.0.0.0/24", "", "cluster.munich", "", "", "")


def pids(settings: NodeSettings, **numbers: int) -> None:
    folder = settings.kept / "pids"
    folder.mkdir(parents=True, exist_ok=True)
    for name, number in numbers.items():
        (folder / f"{name}.pid").write_text(str(number), encoding="ascii")


@pytest.fixture
def started(settings: NodeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let kwokctl start what has no number, with the next number."""
    calls: list[int] = []

    def start(_: NodeSettings, *words: str) -> None:
        calls.append(len(calls))
        if not (settings.kept / "pids" / "scheduler.pid").exists():
            pids(settings, scheduler=100 + len(calls))

    monkeypatch.setattr(machine, "_kwokctl", start)
    monkeypatch.setattr(machine, "_forget_ended", lambda: None)
    yield calls


def test_programs_that_run_are_watched_and_nothing_is_started(settings: NodeSettings, started: list[int]) -> None:
    pids(settings, etcd=1, scheduler=2)
    supervisor = FakeSupervisor({1, 2})
    machine._adopt_control_plane(settings, supervisor)
    assert (supervisor.adopted, started) == ({1, 2}, [])


def test_a_program_that_ended_at_its_start_is_started_again(settings: NodeSettings, started: list[int]) -> None:
    pids(settings, etcd=1, scheduler=2)
    supervisor = FakeSupervisor({1, 101})
    machine._adopt_control_plane(settings, supervisor)
    assert (supervisor.adopted, started) == ({1, 101}, [0])


def test_a_program_that_ends_again_and_again_is_a_failure_of_the_node(
    settings: NodeSettings, started: list[int]
) -> None:
    pids(settings, scheduler=2)
    with pytest.raises(OSError, match="/proc/102/fd/1"):
        machine._adopt_control_plane(settings, FakeSupervisor(set()))
