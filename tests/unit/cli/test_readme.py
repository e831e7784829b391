"""Every command that README names exists, so that nobody types one that does not."""

import re
import subprocess

import pytest
import typer

from tests.commands import CHECKOUT, OUTSIDE, dry_run, parse

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE))
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
SHOWN = [line[2:] for _, text in BLOCKS for line in text.splitlines() if line.startswith("$ ")]
CODE = [*LINES, *INLINE, *SHOWN]


def named(pattern: str) -> list[tuple[str, ...]]:
    """The words of all commands in README's code that match, each once, without comments."""
    found = [re.search(pattern, line.partition(" #")[0]) for line in CODE]
    return sorted({tuple(match[1].split()) for match in found if match})


MAKE = named(r"^(make\b.*)")
MESH = named(r"(\./mesh\b[^)\"]*)")
TARGETS = re.findall(r"^([a-z-]+):.*## ", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
NO_OVERLAY = '${OVERLAY:+--overlay="$OVERLAY"}'
"""What the shell makes nothing of where no overlay is named."""


def test_readme_shows_the_commands_that_people_need() -> None:
    assert {("make", "up"), ("make", "down"), ("make", "test"), ("make", "doctor")} <= set(MAKE)
    assert any(words[:2] == ("./mesh", "env") for words in MESH)


@pytest.mark.parametrize("words", MAKE, ids=" ".join)
def test_every_make_command_of_readme_exists(words: tuple[str, ...]) -> None:
    done = dry_run(*words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", MESH, ids=" ".join)
def test_every_mesh_command_of_readme_exists(words: tuple[str, ...]) -> None:
    try:
        parse(words[1:])
    except typer.Exit as ended:
        assert ended.exit_code == 0  # --help


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert dry_run("make", "no-such-target").returncode != 0
    with pytest.raises(AssertionError, match="no-such-command"):
        parse(("no-such-command",))
    with pytest.raises(Exception, match="no-such-option"):
        parse(("up", "--no-such-option"))


@pytest.mark.parametrize("stack", sorted(set(re.findall(r"(?:STACK=|--stack )([\w-]+)", "\n".join(CODE)))))
def test_every_stack_that_readme_names_has_its_file(stack: str) -> None:
    assert (CHECKOUT / f"Pulumi.{stack}.yaml").exists()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_file_that_readme_links_to_exists(link: str) -> None:
    assert (CHECKOUT / link).exists()


def test_help_lists_every_target_that_is_described() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=CHECKOUT, env=OUTSIDE, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in listed.splitlines()} == set(TARGETS)
    assert {"up", "down", "preview", "doctor", "bench", "test", "help"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_that_is_described_can_be_made(target: str) -> None:
    assert dry_run("make", target).returncode == 0


@pytest.mark.parametrize("target", ["up", "down", "preview", "verify", "validate", "trust", "doctor", "install"])
def test_targets_are_thin_names_for_mesh(target: str) -> None:
    shown = dry_run("make", target).stdout.replace(NO_OVERLAY, "").replace('"$STACK"', "east-west")
    words = tuple(shown.split())
    assert words[0] == "./mesh"
    parse(words[1:])
    assert "--stack=east-west" in words or target in ("doctor", "install")
