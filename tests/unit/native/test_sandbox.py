"""How processes of a sandbox are told from others, and names of its network."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.native import network
from mesh_federation.native.sandbox import ProcessId, Sandbox
from mesh_federation.stack.problem import ProblemError


def test_a_process_is_known_by_when_it_started_as_numbers_are_used_again() -> None:
    this = ProcessId.of(os.getpid())
    assert this.runs()
    assert not replace(this, started=this.started + 1).runs()
    assert not replace(this, boot="another").runs()


def test_a_process_that_is_anothers_by_now_is_not_killed() -> None:
    replace(ProcessId.of(os.getpid()), boot="another").kill()  # or this test ends here


@pytest.mark.parametrize("text", [None, "", "{", '{"pid": 1}'])
def test_a_record_that_is_missing_or_broken_is_of_no_sandbox(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "sandbox.json").write_text(text, encoding="utf-8")
    assert Sandbox(tmp_path).init is None
    with pytest.raises(ProblemError, match="no sandbox runs in") as error:
        Sandbox(tmp_path).entry()
    assert "./mesh up" in error.value.problem.fix


def test_the_kernel_takes_the_interface_name_of_every_node() -> None:
    names = {network.interface(node) for node in ("east-0", "a" * 60, "west-1")}
    assert len(names) == 3 and all(len(name) <= 15 for name in names)


def test_a_program_that_fails_is_named_with_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ip").write_text("#!/bin/sh\necho 'RTNETLINK answers: Operation not permitted' >&2; exit 2\n")
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ProblemError, match="RTNETLINK answers: Operation not permitted"):
        network.make_bridge("172.30.0.0/16")
