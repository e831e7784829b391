"""An overlay on the command line: which one is used, that people are told, and that a bad one goes no further."""

import os
import re
from pathlib import Path

import pytest
import yaml

from mesh_federation.cli import __main__ as command
from mesh_federation.loader import read
from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh
from tests.unit.cli.test_commands import exported
from tests.unit.stack.test_overlay import BAD, DEV, below

CHECKOUT = Path(command.__file__).resolve().parents[2]
GUIDE = (CHECKOUT / "docs" / "mirrors.md").read_text(encoding="utf-8")


@pytest.fixture
def overlay(desk: Desk) -> Path:
    """A sound overlay, outside the checkout."""
    file = desk.root / "a mirror.yaml"
    file.write_text("istio: {hub: mirror.example/istio}\n", encoding="utf-8")
    return file


def seen_by(desk: Desk, verb: str) -> Path:
    """Have the engine write down which overlay its program would use."""
    seen = desk.root / "seen"
    desk.on(verb, f'echo "${{MESH_OVERLAY-none}}" > "{seen}"')
    return seen


@pytest.mark.parametrize("verb", ["up", "preview"])
def test_the_engine_gets_the_overlay_by_its_whole_path(
    mesh: Mesh, answering: Desk, overlay: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_by(answering, verb)
    monkeypatch.chdir(overlay.parent)
    assert mesh(verb, "--stack", STACK, "--overlay", overlay.name).status == 0
    assert seen.read_text(encoding="utf-8") == f"{overlay}\n"
    assert mesh(verb, "--stack", STACK).status == 0
    assert seen.read_text(encoding="utf-8") == "none\n"


def test_the_environment_names_an_overlay_and_the_option_wins(
    mesh: Mesh, answering: Desk, overlay: Path, fakes: Fakes
) -> None:
    seen = seen_by(answering, "preview")
    other = overlay.with_name("other.yaml")
    other.write_text("{}\n", encoding="utf-8")
    in_shell = answering.ambient(MESH_OVERLAY=str(other), PATH=os.environ["PATH"])
    fakes.workspace = in_shell.workspace
    for words, used in (((), other), (("--overlay", str(overlay)), overlay)):
        done = mesh("preview", "--stack", STACK, *words)
        assert done.status == 0
        assert seen.read_text(encoding="utf-8") == f"{used}\n"
        assert done.err == f"{used} is merged over Pulumi.{STACK}.yaml\n"


def test_up_ends_by_saying_which_overlay_was_laid_over(mesh: Mesh, answering: Desk, overlay: Path) -> None:
    done = mesh("up", "--yes", "--stack", STACK, "--overlay", str(overlay))
    assert f"{STACK} is up with {overlay} merged over its stack file\n" in done.out
    assert "laid over" not in mesh("up", "--yes", "--stack", STACK).out


def test_validate_says_which_overlay_was_laid_over(mesh: Mesh, desk: Desk, overlay: Path) -> None:
    sound = mesh("validate", "--stack", STACK, "--overlay", str(overlay))
    assert (sound.status, sound.out.partition(" (")[0]) == (0, f"Pulumi.{STACK}.yaml with {overlay}: no problems")
    overlay.write_text("images: {nod: x}\n", encoding="utf-8")
    wrong = mesh("validate", "--stack", STACK, "--overlay", str(overlay))
    assert wrong.status == 1
    assert wrong.out.startswith(
        f"Pulumi.{STACK}.yaml with {overlay}: 1 problem\n\n  {overlay.name}: images.nod  unknown"
    )


@pytest.mark.parametrize("file", [file for file in BAD if below(file) == DEV], ids=lambda file: file.stem)
def test_a_bad_overlay_never_reaches_the_engine(mesh: Mesh, desk: Desk, file: Path) -> None:
    desk.stack_file.write_bytes(DEV.read_bytes())
    golden = file.with_suffix(".txt").read_text(encoding="utf-8")
    expected = golden.replace(f"with {file.name}", f"with {file}").replace("/CHECKOUT", str(file.parent.parent))
    for words in ("up", "preview"):
        done = mesh(words, "--stack", STACK, "--overlay", str(file))
        assert (done.status, done.out) == (1, "")
        assert done.err == expected
    assert desk.calls() == []


def test_down_looks_at_no_overlay(mesh: Mesh, answering: Desk, fakes: Fakes) -> None:
    in_shell = answering.ambient(MESH_OVERLAY="/nowhere/mirror.yaml", PATH=os.environ["PATH"])
    fakes.workspace = in_shell.workspace
    done = mesh("down", "--yes", "--stack", STACK)
    assert (done.status, done.err) == (0, "")


def test_env_exports_the_overlay_by_its_whole_path_where_one_is_named(
    mesh: Mesh, desk: Desk, overlay: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "MESH_OVERLAY" not in mesh("env").out
    monkeypatch.chdir(overlay.parent)
    fakes.workspace = desk.ambient(MESH_OVERLAY=overlay.name).workspace
    assert exported(mesh("env").out)["MESH_OVERLAY"] == str(overlay)


@pytest.mark.parametrize("verb", ["up", "preview"])
def test_refresh_is_the_engines_and_only_when_asked_for(mesh: Mesh, answering: Desk, verb: str) -> None:
    for words in ((), ("--refresh",)):
        assert mesh(verb, "--stack", STACK, *words).status == 0
    plain, refreshing = [call for call in answering.calls() if call.startswith(f"{verb} ")]
    assert "--refresh" not in plain
    assert "--refresh" in refreshing.split()


# The page about it.


@pytest.mark.parametrize(
    "stack", ["simulated", "east-west", "separate-roots", "as-local", "gateway-api", "egress", "three-meshes"]
)
def test_the_overlay_of_the_guide_suits_every_stack_file(stack: str, tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    file = tmp_path / "mirror.yaml"
    file.write_text(example, encoding="utf-8")
    stack_file = CHECKOUT / f"Pulumi.{stack}.yaml"
    assert read(stack_file, file).istio.hub == yaml.safe_load(example)["istio"]["hub"]


def test_the_guide_names_every_key_that_points_to_images_charts_or_manifests() -> None:
    keys = "images.node images.metallb images.sleep images.httpbin istio.hub istio.tag istio.charts"
    manifests = ("istio.gatewayApi", "lab.metallbManifest")
    for key in (*keys.split(), *manifests, "clusters.X.image", "workloads", "istio.values", "istio.gatewayValues"):
        assert f"`{key}`" in GUIDE
