"""The shell script `mesh`: it makes the Python environment where it must, and then gets out of the way."""

import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PYTHON = """#!/bin/sh
# A Python that records; as `python -m venv FOLDER` it copies itself there.
here='HERE'
printf '%s|%s\\n' "${PYTHONPATH:-}" "$*" >> "$here/calls"
[ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || touch "$here/uncompiled"
case "$*" in
    "-I -m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-I -m pip "*) [ ! -e "$here/offline" ] || { echo "no route to the index" >&2; exit 1; } ;;
    "-I -c "*) [ ! -e "$here/old" ] ;;
    "-P -m mesh_federation.cli "*) exit 7 ;;
esac
"""


@dataclass(frozen=True)
class Fresh:
    """A clone with nothing but the script and pinned packages.

    Attributes:
        folder: where it is.
    """

    folder: Path

    def mesh(self, *arguments: str, script: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the script from somewhere else, as people do; by its own path or by another."""
        path = f"{self.folder.parent / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            [str(script or self.folder / "mesh"), *arguments],
            cwd="/",
            env={"PATH": path, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What Python was called with, after its search path."""
        log = self.folder.parent / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def said(self, name: str) -> None:
        """Let the stub be as told: offline or old."""
        (self.folder.parent / name).touch()


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """A clone in a folder whose name has a space."""
    clone, programs = tmp_path / "a clone", tmp_path / "bin"
    clone.mkdir()
    programs.mkdir()
    shutil.copy(CHECKOUT / "mesh", clone / "mesh")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (clone / name).write_text(f"{name}: pinned\n", encoding="utf-8")
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        (programs / name).write_text(PYTHON.replace("HERE", str(tmp_path)), encoding="utf-8")
        (programs / name).chmod(stat.S_IRWXU)
    return Fresh(clone)


def installs(fresh: Fresh) -> list[str]:
    return [call for call in fresh.calls() if "pip install" in call]


def test_the_first_run_makes_the_environment_from_hashed_pins_and_then_runs_the_command(fresh: Fresh) -> None:
    done = fresh.mesh("up", "--stack", "a b")
    assert done.returncode == 7  # the command's own
    assert done.stdout == ""
    (install,) = installs(fresh)
    assert "--require-hashes" in install and "--no-deps" in install
    assert f"--requirement {fresh.folder}/requirements.txt" in install
    assert fresh.calls()[-1] == f"{fresh.folder}|-P -m mesh_federation.cli up --stack a b"


def test_the_next_run_installs_nothing_and_says_nothing(fresh: Fresh) -> None:
    fresh.mesh("doctor")
    done = fresh.mesh("doctor")
    assert len(installs(fresh)) == 1
    assert done.stderr == ""


def test_changed_pins_are_installed(fresh: Fresh) -> None:
    fresh.mesh("doctor")
    (fresh.folder / "requirements.txt").write_text("another pin\n", encoding="utf-8")
    fresh.mesh("doctor")
    assert len(installs(fresh)) == 2


def test_the_packages_for_development_are_a_set_of_their_own(fresh: Fresh) -> None:
    fresh.mesh("doctor")
    fresh.mesh("doctor", MESH_REQUIREMENTS="requirements-dev.txt")
    assert [call.rsplit("/", 1)[-1] for call in installs(fresh)] == ["requirements.txt", "requirements-dev.txt"]


def test_modules_are_compiled_once_whatever_the_shell_says(fresh: Fresh) -> None:
    fresh.mesh("doctor")
    fresh.mesh("doctor", PYTHONDONTWRITEBYTECODE="1")
    assert len(fresh.calls()) > 2 and not (fresh.folder.parent / "uncompiled").exists()


def test_the_program_is_compiled_when_its_packages_are_installed(fresh: Fresh) -> None:
    fresh.mesh("doctor")
    fresh.mesh("doctor")
    (compiled,) = [call for call in fresh.calls() if "compileall" in call]
    assert compiled.endswith(f"{fresh.folder}/mesh_federation {fresh.folder}/components")


def test_without_arguments_help_is_shown(fresh: Fresh) -> None:
    fresh.mesh()
    assert fresh.calls()[-1].endswith("|-P -m mesh_federation.cli --help")


def test_packages_that_cannot_be_had_are_an_error_with_a_way_out_and_tried_again(fresh: Fresh) -> None:
    fresh.said("offline")
    for _ in range(2):
        done = fresh.mesh("up")
        assert done.returncode == 1
        assert "no route to the index" in done.stderr
        assert "error: the Python packages could not be installed" in done.stderr and "  -> " in done.stderr
    assert not [call for call in fresh.calls() if "-m mesh_federation.cli" in call]


def test_a_machine_whose_python_is_too_old_is_told_what_to_install(fresh: Fresh) -> None:
    fresh.said("old")
    done = fresh.mesh("up")
    assert done.returncode == 1
    assert "error: no Python 3.11 or newer was found\n  -> install it" in done.stderr
    assert not installs(fresh)


def test_the_script_works_through_a_link_to_itself(fresh: Fresh) -> None:
    shortcut = fresh.folder.parent / "my bin" / "mesh"
    shortcut.parent.mkdir()
    shortcut.symlink_to("../a clone/mesh")
    assert fresh.mesh("doctor", script=shortcut).returncode == 7
    assert list(shortcut.parent.iterdir()) == [shortcut]
    assert fresh.calls()[-1] == f"{fresh.folder}|-P -m mesh_federation.cli doctor"


def test_runs_that_begin_at_once_install_once(fresh: Fresh) -> None:
    """Each waits for the one before it, and then finds that nothing is left to install."""
    with ThreadPoolExecutor() as pool:
        ended = [run.result() for run in [pool.submit(fresh.mesh, "doctor") for _ in range(4)]]
    assert [done.returncode for done in ended] == [7] * 4
    assert len(installs(fresh)) == 1


MODULES = ("mesh_federation", "components", "yaml", "typer", "venv", "pip", "sys_of_theirs")


def test_no_code_of_the_folder_that_it_is_called_from_runs(tmp_path: Path) -> None:
    """A cloned folder may hold anything, under the names of packages that this program imports."""
    clone, hostile = tmp_path / "clone", tmp_path / "hostile"
    (clone / "mesh_federation" / "cli").mkdir(parents=True)
    (clone / "mesh_federation" / "cli" / "__main__.py").write_text(
        "import importlib.util\n"
        f"origins = [spec.origin for spec in map(importlib.util.find_spec, {MODULES!r}) if spec]\n"
        "assert origins and not any('hostile' in str(origin) for origin in origins), origins\n"
    )
    for module in MODULES:
        (hostile / module).mkdir(parents=True)
        for file in ("__init__.py", "__main__.py"):
            (hostile / module / file).write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    shutil.copy(CHECKOUT / "mesh", clone / "mesh")
    (clone / "requirements.txt").write_text("")
    done = subprocess.run([str(clone / "mesh")], cwd=hostile, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "owned").exists()
