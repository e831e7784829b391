"""What the kernel leaves for nodes, read from a /proc of the test's own."""

from pathlib import Path

import pytest

from mesh_federation.clusters import machine_limits
from mesh_federation.clusters.machine_limits import GIB, Limits

PLENTY = Limits(memory=16 * GIB, instances=8192, watches=1048576)


def proc(folder: Path, memory: str, instances: str, watches: str) -> Path:
    inotify = folder / "sys" / "fs" / "inotify"
    inotify.mkdir(parents=True)
    (inotify / "max_user_instances").write_text(instances)
    (inotify / "max_user_watches").write_text(watches)
    (folder / "meminfo").write_text(memory)
    return folder


def test_limits_are_the_kernels_own_figures(tmp_path: Path) -> None:
    meminfo = "MemTotal:       16000000 kB\nMemFree:          100 kB\nMemAvailable:    2097152 kB\n"
    assert machine_limits.read(proc(tmp_path, meminfo, "128\n", "65536\n")) == Limits(2 * GIB, 128, 65536)


def test_a_machine_that_does_not_tell_is_taken_to_have_enough(tmp_path: Path) -> None:
    unknown = machine_limits.read(tmp_path)
    assert unknown == Limits(None, None, None)
    assert machine_limits.inotify(unknown) == [] and machine_limits.memory(unknown) is None


def test_figures_that_are_none_are_unknown(tmp_path: Path) -> None:
    assert machine_limits.read(proc(tmp_path, "MemTotal: 1 kB\n\n", "many\n", "")) == Limits(None, None, None)


def test_a_roomy_machine_lacks_nothing() -> None:
    assert machine_limits.inotify(PLENTY) == [] and machine_limits.memory(PLENTY) is None


def test_what_kind_recommends_is_enough() -> None:
    assert machine_limits.inotify(Limits(instances=512, watches=524288)) == []


@pytest.mark.parametrize(
    ("given", "what", "fatal"),
    [
        (Limits(instances=511), "fs.inotify.max_user_instances is 511, kind wants 512", False),
        (Limits(instances=128), "fs.inotify.max_user_instances is 128, kind wants 512", False),
        (Limits(instances=127), "fs.inotify.max_user_instances is 127, kind wants 512", True),
        (Limits(watches=8192), "fs.inotify.max_user_watches is 8192, kind wants 524288", False),
        (Limits(watches=8191), "fs.inotify.max_user_watches is 8191, kind wants 524288", True),
    ],
)
def test_the_kernels_old_defaults_are_doubtful_and_less_is_fatal(given: Limits, what: str, fatal: bool) -> None:
    (shortage,) = machine_limits.inotify(given)
    assert (shortage.what, shortage.fatal) == (what, fatal)
    assert shortage.fix == ("sudo sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288")


@pytest.mark.parametrize(
    ("memory", "fatal"),
    [(GIB - 1, True), (GIB, False), (machine_limits.NODE_MEMORY - 1, False), (machine_limits.NODE_MEMORY, None)],
)
def test_memory_for_a_node_is_doubtful_below_what_it_takes_and_fatal_below_what_starts_it(
    memory: int, fatal: bool | None
) -> None:
    shortage = machine_limits.memory(Limits(memory=memory))
    assert (shortage.fatal if shortage else None) is fatal


def test_too_little_memory_is_told_in_figures() -> None:
    shortage = machine_limits.memory(Limits(memory=GIB // 2))
    assert shortage and shortage.what == "0.5 GiB of memory available, a node with a mesh takes about 1.5"
