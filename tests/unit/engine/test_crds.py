"""Definitions that somebody deleted: found by a look at each cluster, and applied again."""

import json
from pathlib import Path

import pytest

from mesh_federation import document
from mesh_federation.engine import crds
from mesh_federation.jobs.crds import CrdsSettings
from tests.unit.cli.conftest import MADE, STACK, Desk, Mesh

URN = "urn:pulumi:s::mesh-federation::command:local:Command::west-crds"
SETTINGS = CrdsSettings("west", "", "/f", "Istio 1.31.0", "definitions that others made are left alone", ())
CRDS = "python3 -m mesh_federation.jobs crds"


def applied(**given: object) -> dict[str, object]:
    environment = {"JOB": document.write(SETTINGS)}
    return {
        "urn": URN,
        "type": "command:local:Command",
        "inputs": {"create": CRDS, "environment": environment},
        **given,
    }


@pytest.fixture
def asked(desk: Desk) -> Path:
    """A script of the checkout that records its look, and ends as the kubeconfig says."""
    desk.job(
        "crds",
        "import json, os, sys\n"
        "settings = json.loads(os.environ['JOB'])\n"
        "kubeconfig = sys.stdin.read()\n"
        "with open(os.path.join(os.environ['MESH_HOME'], 'asked'), 'a') as asked:\n"
        "    asked.write(f\"{sys.argv[1]} {settings['cluster']} {settings['file']}\\n\")\n"
        "sys.exit(int(kubeconfig))\n",
    )
    return desk.workspace.home / "asked"


def restored(desk: Desk, status: int | None, *resources: dict[str, object]) -> tuple[list[str], list[str]]:
    """What the engine is told, and the person."""
    state = json.dumps({"version": 3, "deployment": {"resources": resources or (applied(),)}})
    desk.on("stack", f"cat <<'END'\n{state}\nEND")
    told: list[str] = []
    engine = desk.engine
    if status is not None:
        file = desk.workspace.home / "kubeconfigs" / STACK / "west"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(status), encoding="utf-8")
    return crds.restoring(engine, told.append), told


def test_definitions_that_a_cluster_lacks_are_applied_again_and_a_person_is_told(desk: Desk, asked: Path) -> None:
    options, told = restored(desk, 3)
    assert options == [f"--replace={URN}"]
    assert told == ["west lacks custom resource definitions of Istio 1.31.0: they are applied again"]
    assert asked.read_text(encoding="utf-8") == "look west /f\n"


@pytest.mark.parametrize("status", [0, 1], ids=["all-there", "no-answer"])
def test_nothing_is_applied_again_without_need(desk: Desk, asked: Path, status: int) -> None:
    assert restored(desk, status) == ([], [])
    assert asked.exists()


@pytest.mark.parametrize(
    "other",
    [
        applied(delete=True),
        applied(inputs={"create": "python3 -m somebody.elses.script", "environment": {}}),
        applied(type="kubernetes:core/v1:Secret"),
    ],
    ids=["outgoing", "another-script", "no-command"],
)
def test_what_applies_no_definitions_now_is_not_asked(desk: Desk, asked: Path, other: dict[str, object]) -> None:
    assert restored(desk, 3, other) == ([], [])
    assert not asked.exists()


def test_a_cluster_without_a_kubeconfig_is_left_to_the_engine(desk: Desk, asked: Path) -> None:
    assert restored(desk, None) == ([], [])
    assert not asked.exists()


@pytest.mark.parametrize("verb", ["up", "preview"])
def test_definitions_are_looked_for_with_refresh_alone(mesh: Mesh, answering: Desk, asked: Path, verb: str) -> None:
    state = json.dumps({"deployment": {"resources": [MADE, applied()]}})
    answering.on("stack", f"case \"$*\" in *export*) echo '{state}';; esac")
    file = answering.workspace.home / "kubeconfigs" / STACK / "west"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("3", encoding="utf-8")
    for words in ((), ("--refresh",)):
        assert mesh(verb, "--stack", STACK, *words).status == 0
    plain, refreshing = [call for call in answering.calls() if call.startswith(f"{verb} ")]
    assert f"--replace={URN}" not in plain.split()
    assert {"--refresh", f"--replace={URN}"} <= set(refreshing.split())
