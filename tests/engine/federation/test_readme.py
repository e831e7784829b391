"""README's commands do what they say: each of its shell blocks is run, as a newcomer would, in a fresh checkout."""

import re

import pytest

from tests.checkout import PROJECT, Checkout

README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
RUN_BY_THIS_RUN = "make test"
NOT_RUN_HERE = ("rm -rf", "make lab", "make verify STACK=east-west")
"""What others need, and what needs Docker: tests/traffic does that."""


def _runnable(block: str) -> str:
    return "".join(line for line in block.splitlines(keepends=True) if not line.startswith(NOT_RUN_HERE))


@pytest.mark.parametrize("block", [block for block in BLOCKS if RUN_BY_THIS_RUN not in block])
def test_a_shell_block_of_readme_runs_to_its_end(fresh: Checkout, block: str) -> None:
    ambient = {name: value for name, value in fresh.ambient.items() if not name.startswith("MAKE")}
    done = fresh.run(["sh", "-e", "-c", _runnable(block)], ambient)
    assert done.code == 0, done.text
    assert "Traceback" not in done.text


def test_readme_has_the_blocks_that_a_newcomer_needs() -> None:
    commands = "".join(BLOCKS)
    for command in ("make up", "make down", "make preview STACK=east-west", 'eval "$(./mesh env)"', "pulumi up --yes"):
        assert command in commands
