"""Runs of the whole program, each made once a session."""

import json
import os
from collections.abc import Callable

import pytest

from tests.unit.components import charts
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import CLOUD, Ingress, Run, run

Record = Callable[..., Run]


KUBECTL = """#!/bin/sh
# A cluster is known by the address in the kubeconfig; one called silent does not answer.
for word; do case "$word" in --kubeconfig=*) file="${word#--kubeconfig=}";; esac; done
case "$(cat "$file")" in *silent*) echo 'Unauthorized' >&2; exit 1;; esac
sed 's/.*https:..\\([a-z0-9-]*\\).example.*/uid-of-\\1/' "$file"
"""


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment with kubeconfigs of clusters that exist already, and a kubectl that is told which those are."""
    folder = tmp_path_factory.mktemp("theirs")
    for name in ("east", "west", "silent", "cluster-0", "cluster-1"):
        document = {
            "current-context": "admin",
            "clusters": [{"name": "a", "cluster": {"server": f"https://{name}.example.com"}}],
            "contexts": [{"name": "admin", "context": {"cluster": "a", "user": "b"}}],
            "users": [{"name": "b", "user": {"token": f"token-of-{name}"}}],
        }
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "kubectl").write_text(KUBECTL, encoding="utf-8")
    (folder / "kubectl").chmod(0o755)
    return {"KUBECONFIGS": str(folder), "PATH": str(folder), "MESH_HOME": str(folder / "home")}


@pytest.fixture(scope="session")
def tools(theirs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment with small charts of our own, which the program renders at plan time."""
    environment = charts.write(tmp_path_factory.mktemp("charts"))
    path = os.pathsep.join([environment["PATH"], theirs["PATH"], os.environ["PATH"]])
    return {**environment, **theirs, "PATH": path}


@pytest.fixture(scope="session")
def record(tools: dict[str, str]) -> Record:
    """Run the program with a federation; equal runs are made once, and nobody changes them."""
    made: dict[str, Run] = {}

    def recorded(tree: Tree, *, stack: str = "test", preview: bool = False, ingress: Ingress = CLOUD) -> Run:
        key = json.dumps([tree, stack, preview, ingress], sort_keys=True)
        if key not in made:
            made[key] = run(tree, stack=stack, preview=preview, environment=tools, ingress=ingress)
        return made[key]

    return recorded


@pytest.fixture(scope="session")
def simulated(record: Record) -> Run:
    """The committed simulated stack, brought up."""
    return record(committed("simulated"), stack="simulated")


@pytest.fixture(scope="session")
def first_preview(record: Record) -> Run:
    """The first preview of the committed simulated stack."""
    return record(committed("simulated"), stack="simulated", preview=True)
