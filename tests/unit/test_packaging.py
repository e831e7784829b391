"""The project can be installed: its wheel holds both packages with their data, and the command `mesh`."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

from mesh_federation import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INFO = f"mesh_federation-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with ZipFile(file) as opened:
        yield opened


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: ZipFile) -> None:
    assert {name.partition("/")[0] for name in wheel.namelist()} == {"mesh_federation", "components", INFO}


@pytest.mark.parametrize(
    "file",
    [
        "components/py.typed",
        "mesh_federation/py.typed",
        "mesh_federation/stack/federation.schema.json",
        "mesh_federation/toolchain/modules/pulumi/go.mod",
        "mesh_federation/toolchain/modules/pulumi/go.sum",
        "mesh_federation/toolchain/modules/kubernetes-provider/main.go",
        "mesh_federation/toolchain/pins.toml",
        "mesh_federation/verify/reports/page.html",
    ],
)
def test_the_wheel_holds_the_files_that_the_packages_read(wheel: ZipFile, file: str) -> None:
    assert file in wheel.namelist()


def test_the_wheel_installs_the_command_and_the_license(wheel: ZipFile) -> None:
    assert b"mesh = mesh_federation.cli.__main__:main" in wheel.read(f"{INFO}/entry_points.txt")
    assert wheel.read(f"{INFO}/licenses/LICENSE") == (CHECKOUT / "LICENSE").read_bytes()


def test_the_wheel_says_what_it_is_and_what_it_needs(wheel: ZipFile) -> None:
    metadata = message_from_bytes(wheel.read(f"{INFO}/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("mesh-federation", __version__)
    assert (metadata["License-Expression"], metadata["Author"]) == ("Apache-2.0", "The mesh-federation authors")
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) == len(PROJECT["dependencies"])


def test_the_command_shows_its_version() -> None:
    command = [sys.executable, "-m", "mesh_federation.cli", "--version"]
    shown = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    assert shown.stdout == f"mesh {__version__}\n"


def test_packages_without_their_checkout_refuse_with_the_way_to_install_them(wheel: ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    command = [sys.executable, "-P", "-m", "mesh_federation.cli", "validate"]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: this `mesh` is installed outside a checkout")
    assert "pip install --editable" in done.stderr
