"""The workflows of the code host: whatever their steps run exists here, and anybody can run it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import CHECKOUT, dry_run, parse

GITHUB = CHECKOUT / ".github"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in (GITHUB / "workflows").glob("*.yml")
}
JOBS: list[dict[str, Any]] = [job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values()]
STEPS: list[dict[str, Any]] = [step for job in JOBS for step in job["steps"]]
COMMANDS = sorted({line for step in STEPS for line in step.get("run", "").splitlines()})
CONFIGURATIONS = [*GITHUB.rglob("*.yml"), CHECKOUT / ".pre-commit-config.yaml", CHECKOUT / "mkdocs.yml"]


def test_every_push_is_tested_and_the_lab_every_night() -> None:
    triggers = {name: workflow[True] for name, workflow in WORKFLOWS.items()}  # YAML 1.1 reads the key `on` as true
    assert "push" in triggers["ci"] and "schedule" in triggers["lab"]
    assert {"make lint", "make unit", "make engine", "make traffic", "make lab-test"} <= set(COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_a_workflow_exists_and_can_be_run_anywhere(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program in ("make", "./mesh"), "a step runs a target of make or ./mesh, so that it can be repeated anywhere"
    if program == "make":
        done = dry_run("make", *arguments)
        assert done.returncode == 0, done.stderr
    else:
        parse(tuple(arguments))
    for stack in re.findall(r"STACK=(\S+)", line):
        assert (CHECKOUT / f"Pulumi.{stack}.yaml").exists()


def test_every_step_runs_a_command_or_an_action_of_one_release() -> None:
    for step in STEPS:
        assert ("run" in step) != ("uses" in step), step
        assert "run" in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]), step


def test_workflows_may_only_read_and_end_by_themselves() -> None:
    assert all(workflow["permissions"] == {"contents": "read"} for workflow in WORKFLOWS.values())
    assert all("timeout-minutes" in job for job in JOBS)


@pytest.mark.parametrize("file", sorted((GITHUB / "workflows").glob("*.yml")), ids=lambda file: file.stem)
def test_files_that_decide_about_caches_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    named = re.findall(r"hashFiles\('([^']+)'\)", text) + re.findall(r"cache-dependency-path: ([\w.-]+)", text)
    assert named and all((CHECKOUT / name).exists() for name in named)


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_every_configuration_can_be_read(file: Path) -> None:
    assert yaml.safe_load(file.read_text(encoding="utf-8"))


def test_hooks_before_a_commit_run_tools_of_the_environment_alone() -> None:
    repositories = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"], "others would be downloaded"
    pinned = (CHECKOUT / "requirements-dev.txt").read_text(encoding="utf-8")
    for hook in repositories[0]["hooks"]:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert re.search(rf"^{tool}==", pinned, flags=re.MULTILINE), f"{tool} is not in requirements-dev.txt"
