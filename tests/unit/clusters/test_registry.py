"""A provider is one object: everything else follows from the registry, as an example that is added to it shows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mesh_federation.clusters.local_cluster import GONE
from mesh_federation.clusters.provider import Provider
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.stack.config import Cluster

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLE = Path(__file__).with_name("example_provider.py")
PIECE = """
[pieces.example-tool]
release = "kwok"
kind = "tool"
provisioners = ["example"]
"""

SHOW = """
import json, sys
from mesh_federation import document
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from mesh_federation.stack.json_schema import schema
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host

[cluster] = plan(parse(json.load(sys.stdin)), "test").clusters.values()
provision, pinned = cluster.provision, pins.load(Host.current({}))
print(json.dumps({
    "choices": schema()["$defs"]["Provisioner"]["enum"],
    "addresses": cluster.addresses,
    "nodes": provision.nodes,
    "name": provision.name,
    "command": JOBS[provision.provider.name].command("create"),
    "job": document.write(provision.settings),
    "pieces": [piece.name for piece in pinned.needed(frozenset({"example"}))],
    "of kwok": [piece.name for piece in pinned.needed(frozenset({"kwok"}))],
}))
"""
REFUSED = """
import json, sys
from mesh_federation.loader import parse
from mesh_federation.stack.problem import InvalidModel

try:
    parse(json.load(sys.stdin))
except InvalidModel as invalid:
    print(json.dumps([(problem.where, problem.rule) for problem in invalid.problems]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with one file more, its line in the registry, and its pins."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "mesh_federation"
    shutil.copytree(CHECKOUT / "mesh_federation", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(EXAMPLE, package / "clusters" / "example.py")
    registry = package / "clusters" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    imported = "from mesh_federation.clusters.existing import Existing\n"
    text = text.replace(imported, f"from mesh_federation.clusters.example import Example\n{imported}")
    registry.write_text(text.replace("\n)\n\nPROVIDERS", "\n    Example(),\n)\n\nPROVIDERS"), encoding="utf-8")
    with (package / "toolchain" / "pins.toml").open("a", encoding="utf-8") as pins:
        pins.write(PIECE)
    return root


def run(copy: Path, *words: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "MESH_HOME": str(copy / "home"), "PYTHONPATH": str(copy), **variables}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=copy, env=environment, input=stdin, capture_output=True, text=True, check=False)


def stack(**cluster: object) -> str:
    subnets = {"podSubnet": "10.10.0.0/16", "serviceSubnet": "10.255.10.0/24"}
    return json.dumps({"clusters": {"east": {"provisioner": "example", **subnets, **cluster}}})


@pytest.fixture(scope="module")
def shown(copy: Path) -> dict[str, Any]:
    """What the copy plans for a stack of the example."""
    done = run(copy, "-c", SHOW, stdin=stack(nodes=2))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_provider_is_added_by_one_file_its_line_in_the_registry_and_its_pins(shown: dict[str, Any]) -> None:
    assert shown["choices"] == [*PROVIDERS, "example"]
    assert "example-tool" in shown["pieces"] and "example-tool" not in shown["of kwok"]
    assert "kubectl" in shown["pieces"] and "etcd" not in shown["pieces"]


def test_a_stack_of_an_added_provider_is_planned(shown: dict[str, Any]) -> None:
    assert shown["nodes"] == [f"{shown['name']}-0", f"{shown['name']}-1"]
    assert len(shown["addresses"]) == 1  # the load balancer's, which the lab chooses


def test_a_key_that_an_added_provider_does_not_act_on_is_refused(copy: Path) -> None:
    done = run(copy, "-c", REFUSED, stdin=stack(image="example.com/node:v1"))
    assert json.loads(done.stdout) == [["clusters.east.image", "key-without-effect"]], done.stderr


def test_the_job_of_an_added_provider_runs_through_the_entry(copy: Path, shown: dict[str, Any]) -> None:
    python, *create = shown["command"].split()
    folder = copy / "home" / "clusters" / shown["name"]

    def act(action: str) -> "subprocess.CompletedProcess[str]":
        return run(copy, *create[:-1], action, JOB=shown["job"])

    created = act("create")
    assert (python, created.returncode, created.stderr) == ("python3", 0, "")
    assert json.loads((folder / "kubeconfig").read_text(encoding="utf-8")) == {"nodes": 2}
    assert act("start").returncode == 0
    assert act("delete").returncode == 0 and not folder.exists()
    assert act("start").returncode == GONE
    assert act("ready").returncode != 0  # its nodes do not boot, so nothing waits for them


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda each: str(each.name))
def test_every_provider_has_a_default_load_balancer_and_keys_of_the_stack_file(provider: Provider) -> None:
    assert provider.load_balancers
    assert provider.keys <= {field.alias or name for name, field in Cluster.model_fields.items()}
