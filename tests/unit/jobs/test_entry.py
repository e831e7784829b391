"""The entry of all jobs: it validates the document, and needs nothing but the standard library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mesh_federation.jobs.__main__ import TOOLCHAIN
from mesh_federation.jobs.catalog import jobs
from mesh_federation.jobs.job import ENTRY, parse
from mesh_federation.jobs.prerequisites import PrerequisitesSettings
from mesh_federation.toolchain.install import Toolchain
from tests.unit.clusters.fake_machine import CHECKOUT, FakeMachine, named
from tests.unit.command_result import CommandResult


def test_jobs_need_nothing_but_the_standard_library() -> None:
    without_packages = [sys.executable, "-S", "-m", ENTRY]
    done = subprocess.run(without_packages, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr == f"usage: python3 -m {ENTRY} {'|'.join(jobs())} [ACTION]\n"


def test_every_command_line_leads_back_to_its_job_and_action() -> None:
    lines = {(name, action): job.command(action) for name, job in jobs().items() for action in job.actions}
    assert {words: parse(line) for words, line in lines.items()} == {words: words for words in lines}


def test_jobs_are_given_every_folder_and_document_that_the_toolchain_names() -> None:
    made = Toolchain(Path("bin"), Path("charts"), manifests=Path("manifests"), images=Path("table.json"))
    assert {name for name in made.environment() if name.startswith("MESH_")} == set(TOOLCHAIN)


@pytest.mark.parametrize("line", ["", "true", f"python3 -m {ENTRY}", "python3 -m somebody.else kwok create"])
def test_other_command_lines_run_no_job(line: str) -> None:
    assert parse(line) is None


def given(machine: FakeMachine, document: str) -> CommandResult:
    """Run a job with a document as text."""
    settings = PrerequisitesSettings("east", ())
    return machine.run("prerequisites", settings=settings, stdin="{}", variables={"JOB": document})


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("", "JOB holds no JSON document: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "JOB must be an object"),
        ("{}", "JOB lacks cluster, needed"),
        ('{"cluster": "east", "needed": [], "extra": 1}', "JOB has extra, which is not known"),
        ('{"cluster": "east", "needed": [], "\\u001b[2J": 1}', "JOB has \\x1b[2J, which is not known"),
        ('{"cluster": 1, "needed": []}', "JOB.cluster must be a string"),
        ('{"cluster": "east", "needed": {}}', "JOB.needed must be a list"),
        ('{"cluster": "east", "needed": [{"kind": "Service"}]}', "JOB.needed[0] lacks namespace, name, path"),
    ],
)
def test_a_document_that_is_not_what_the_job_needs_is_refused_in_one_sentence(
    machine: FakeMachine, document: str, error: str
) -> None:
    refused = given(machine, document)
    assert (refused.status, refused.err) == (1, f"job prerequisites: {error}\n")
    assert machine.calls() == []


def test_true_is_no_number(machine: FakeMachine) -> None:
    document = json.dumps({"namespace": "", "selector": "", "port": True, "server_names": [], "upstream": ""})
    refused = machine.run("egress-ready", settings=named("east-1"), variables={"JOB": document})
    assert refused.err == "job egress-ready: JOB.port must be a whole number\n"
