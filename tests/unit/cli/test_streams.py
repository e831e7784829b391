"""What people read is written to any terminal, file or pipe; where it cannot be, one sentence says so."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from mesh_federation.cli import __main__ as cli
from mesh_federation.cli import streams

CHECKOUT = Path(__file__).resolve().parents[3]
SHOWING = ["validate", "topology --format json", "trust", "doctor", "--help"]
"""Commands that need neither engine nor cluster."""
WRITERS = ["validate", "topology --format json", "--help"]
"""One for each way in which commands write: through the console, as they are, and by the parser of options."""


def mesh(words: str, *, shell: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own, with what the shell redirects."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "MESH_HOME")}
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -P -m mesh_federation.cli {words} {shell}', sys.executable],
        env={**environment, "PYTHONPATH": str(CHECKOUT), **settings},
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )


@cache
def usual_status(words: str) -> int:
    """The exit status of the command where nothing is unusual."""
    return mesh(words).returncode


@pytest.mark.parametrize("words", WRITERS)
def test_a_full_disk_is_told_in_one_sentence_and_is_no_success(words: str) -> None:
    done = mesh(words, shell=">/dev/full")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert (done.returncode, done.stderr.count("No space left on device")) == (2, 1), done.stderr


@pytest.mark.parametrize("words", WRITERS)
def test_closed_output_is_told_and_is_no_success(words: str) -> None:
    done = mesh(words, shell=">&-")
    assert done.stderr.startswith("error: standard output is closed"), done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("words", WRITERS)
def test_everything_closed_is_no_success_either(words: str) -> None:
    assert mesh(words, shell=">&- 2>&-").returncode == 2


@pytest.mark.parametrize("words", WRITERS)
def test_a_reader_that_leaves_early_gets_no_traceback(words: str) -> None:
    done = mesh(words, shell="| head -c 1")
    assert done.stderr == "" or "Traceback" not in done.stderr


POSIX = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("trust", POSIX),
        ("doctor", POSIX),
        ("validate", POSIX),
        ("topology --format json", {"PYTHONIOENCODING": "ascii"}),
    ],
    ids=str,
)
def test_a_terminal_of_any_encoding_shows_it(words: str, settings: dict[str, str]) -> None:
    done = mesh(words, **settings)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == usual_status(words)
    assert done.stdout.strip()


@pytest.mark.parametrize("words", SHOWING)
@pytest.mark.parametrize("columns", ["0", "40", ""])
def test_a_terminal_of_any_width_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delenv("MESH_HOME", raising=False)
    monkeypatch.setattr(sys, "argv", ["mesh", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0) == usual_status(words)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", ["up", "preview", "call", "verify", "down", "validate", "topology", "trust"])
@pytest.mark.parametrize(
    "name", ["x" * 5000, "\x1b[2J", "a\nb", "../elsewhere", "a b", "caf\u00e9", "a;b"], ids=lambda n: repr(n[:12])
)
def test_what_is_no_name_of_a_stack_is_refused_before_it_is_used_and_shown_without_steering(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["mesh", command, f"--stack={name}"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "is not a valid stack name" in said.err and "  -> use 1 to 100 letters" in said.err
    assert said.out == "" and "\x1b" not in said.err and len(said.err) < 400


def test_a_text_of_others_is_shown_whole_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    streams.tell("exports[0]: [bold]503\x1b[2J\n  caf\u00e9\r\n" + "x" * 300)
    assert capsys.readouterr().err == "exports[0]: [bold]503\\x1b[2J\n  caf\u00e9\\x0d\n" + "x" * 300 + "\n"
