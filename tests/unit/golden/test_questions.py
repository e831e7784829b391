"""The page of open questions names tests that exist."""

import re

from tests.unit.components.recorder import ROOT

PAGE = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_answer_is_shown_by_a_test_that_is_there() -> None:
    answers = PAGE.split("\n\n**")[1:]
    assert len(answers) == 8, "the walk-throughs leave eight questions open"
    assert all(re.search(r"`tests/[\w/]+\.py::\w+`", answer) for answer in answers)
    missing = [f"{file}::{test}" for file, test in NAMED if f"def {test}(" not in (ROOT / file).read_text("utf-8")]
    assert not missing
