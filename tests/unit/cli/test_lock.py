"""The pinned Python packages: a full closure, installed as one, whatever else an index offers."""

import io
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.toolchain.publisher import Publisher, serve

CHECKOUT = Path(__file__).resolve().parents[3]
LOCKS = ["requirements.txt", "requirements-dev.txt"]
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
"""A make inside `make test` would say which folder it enters."""
EXTRA = "Provides-Extra: more"


def locked(lock: str) -> dict[str, Requirement]:
    """What a lock pins, by name."""
    lines = (CHECKOUT / lock).read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.removesuffix("\\")) for line in lines if line and not line.startswith((" ", "#"))]
    return {canonicalize_name(pin.name): pin for pin in pins}


def asked(pin: Requirement) -> list[Requirement]:
    """What the locked release asks for on this machine, with the extras that the lock names."""
    found = distribution(pin.name)
    assert pin.specifier.contains(found.version), f"{pin.name} is {found.version} in this environment"
    wanted = [Requirement(text) for text in found.requires or []]
    return [
        each
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *pin.extras))
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_every_locked_package_is_locked_with_its_extras(lock: str) -> None:
    pins = locked(lock)
    here = [pin for pin in pins.values() if pin.marker is None or pin.marker.evaluate()]
    assert len(here) > 20
    for pin in here:
        for wanted in asked(pin):
            found = pins.get(canonicalize_name(wanted.name))
            assert found is not None, f"{pin.name} asks for {wanted}, which {lock} lacks"
            (version,) = found.specifier
            assert wanted.specifier.contains(version.version), f"{pin.name} asks for {wanted}, {lock} has {found}"
            assert wanted.extras <= found.extras, f"{pin.name} asks for {wanted}, {lock} has {found}"


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_the_project_asks_for_is_locked(lock: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    development = project["optional-dependencies"]["dev"] if "dev" in lock else []
    pins = locked(lock)
    for wanted in map(Requirement, project["dependencies"] + development):
        (version,) = pins[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(version.version)


def test_pinning_anew_keeps_the_extras() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "lock"], cwd=CHECKOUT, env=OUTSIDE, capture_output=True, text=True, check=True
    )
    pinning = [line for line in done.stdout.splitlines() if "pip compile" in line]
    assert [line.split()[-1] for line in pinning] == [*LOCKS, "requirements-docs.txt"]
    assert all("--no-strip-extras" in line and "--generate-hashes" in line for line in pinning)


def wheel(name: str, version: str, *metadata: str) -> bytes:
    """A package with nothing in it but what it says of itself."""
    info = f"{name}-{version}.dist-info"
    said = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(said))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


def page(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Answer with a page of an index."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def index() -> Iterator[Publisher]:
    """A package index whose `asking` wants `asked[more]`, of which it has the pinned release and a newer one."""
    wanted = "Requires-Dist: asked[more]>=1"
    packages = {("asking", "1.0"): (wanted,), ("asked", "1.0"): (EXTRA,), ("asked", "2.0"): (EXTRA,)}
    site = Publisher()
    for (name, version), metadata in packages.items():
        file = f"{name}-{version}-py3-none-any.whl"
        site.files[f"/{file}"] = wheel(name, version, *metadata)
        listing = f"/simple/{name}/"
        site.files[listing] = site.files.get(listing, b"") + f'<a href="/{file}">{file}</a>'.encode()
        site.answers[listing] = page
    with serve(site):
        yield site


def test_the_pinned_releases_are_installed_although_the_index_has_newer_ones(index: Publisher, tmp_path: Path) -> None:
    """With this machine's own pip, as `python -m venv` brings it: the pips before 23.3 stumble over the extra."""
    clone, programs = tmp_path / "clone", tmp_path / "bin"
    (clone / "mesh_federation" / "cli").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(CHECKOUT / "mesh", clone / "mesh")
    (clone / "mesh_federation" / "cli" / "__main__.py").write_text(
        "from importlib.metadata import version\nprint(version('asking'), version('asked'))\n", encoding="utf-8"
    )
    files = {"asking==1.0": "/asking-1.0-py3-none-any.whl", "asked==1.0": "/asked-1.0-py3-none-any.whl"}
    lines = [f"{name} --hash=sha256:{sha256(index.files[file]).hexdigest()}" for name, file in files.items()]
    (clone / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    python = programs / "python3.13"  # the first one that the script looks for
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(str(base))} "$@"\n', encoding="utf-8")
    python.chmod(stat.S_IRWXU)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{index.url}/simple/",
        "PIP_NO_CACHE_DIR": "1",
    }
    done = subprocess.run([clone / "mesh"], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1.0 1.0\n"), done.stderr


def test_a_run_of_ci_makes_its_environment_anew(tmp_path: Path) -> None:
    clone, programs = tmp_path / "clone", tmp_path / "bin"
    (clone / ".ci").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(CHECKOUT / ".ci" / "run", clone / ".ci" / "run")
    (clone / ".venv").mkdir()
    (clone / ".venv" / "left").touch()
    (programs / "make").write_text('#!/bin/sh\necho "$PWD" "$*" .v*\n', encoding="utf-8")
    (programs / "make").chmod(stat.S_IRWXU)
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    done = subprocess.run([clone / ".ci" / "run"], env=path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{clone} test .v*\n"
