"""The output of containers: how it is stored, shown, followed and kept small."""

import threading
from pathlib import Path

from mesh_federation.native.log_file import LONGEST_LINE, ContainerLog, LogOptions, stamp


def shown(log: ContainerLog, options: LogOptions) -> str:
    return b"".join(log.read(options, lambda: True)).decode()


def test_lines_are_stored_with_time_stream_and_tag(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    log.write(b"one\ntw")
    log.write(b"o\n")
    lines = [line.split(" ", 3) for line in log.path.read_text().splitlines()]
    assert [line[1:] for line in lines] == [["stdout", "F", "one"], ["stdout", "F", "two"]]
    assert lines[0][0].endswith("Z") and len(lines[0][0]) == len("2026-01-01T00:00:00.000000000Z")


def test_a_line_that_is_too_long_is_stored_in_parts_and_shown_as_one(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    text = "x" * (2 * LONGEST_LINE + 5)
    log.write(text.encode() + b"\n")
    assert [line.split(" ")[2] for line in log.path.read_text().splitlines()] == ["P", "P", "F"]
    assert shown(log, LogOptions()) == text + "\n"


def test_a_last_line_without_end_is_stored_when_the_container_ends(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    log.write(b"last")
    log.close()
    assert shown(log, LogOptions()) == "last"


def test_tail_limit_and_time_stamps_are_those_asked_for(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    log.write(b"one\ntwo\nthree\n")
    assert shown(log, LogOptions(tail=2)) == "two\nthree\n"
    assert shown(log, LogOptions(tail=0)) == ""
    assert shown(log, LogOptions(limit=5)) == "one\nt"
    assert shown(log, LogOptions(timestamps=True, tail=1)).endswith("Z three\n")
    assert shown(log, LogOptions(since=stamp(2**62))) == ""


def test_a_follower_sees_everything_until_the_container_ends(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    log.write(b"one\n")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(shown(log, LogOptions(follow=True))))
    reader.start()
    log.write(b"two\n")
    log.close()
    reader.join(30)
    assert seen == ["one\ntwo\n"]


def test_a_follower_who_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    log.write(b"one\n")
    assert list(log.read(LogOptions(follow=True), lambda: False)) == [b"one\n"]


def test_a_log_takes_two_files_at_most(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", largest=1000)
    for number in range(200):
        log.write(f"line {number}\n".encode())
    assert len(list(tmp_path.iterdir())) == 2
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2200
    assert shown(log, LogOptions(tail=1)) in ("line 199\n", "")
    log.remove()
    assert list(tmp_path.iterdir()) == []
