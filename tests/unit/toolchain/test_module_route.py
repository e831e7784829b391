"""The Go route, with a Go that the test wrote and, where there is one, with the real Go."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.toolchain import build
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import GoProgram, GoSource
from tests.unit.toolchain.publisher import program

RECIPE = GoProgram("engine", ".", {"main.version": "3.9.1"})


def go(host: Host, *, version: str = "1.26.3", toolchain: str = "auto", otherwise: str = "exit 0") -> None:
    """Put a Go on the host's path; `otherwise` is what it does to build or download."""
    lines = [
        'case "$1" in',
        f"version) echo go version go{version} linux/amd64;;",
        f"env) echo {toolchain};;",
        f"*) {otherwise};;",
        "esac",
    ]
    program(Path(host.path), "go", "\n".join(lines))


def built(host: Host, tmp_path: Path) -> Path:
    executable = tmp_path / "bin" / "pulumi"
    build.program("pulumi", RECIPE, executable, tmp_path / "build", host)
    return executable


def failing(text: str, status: int = 1) -> str:
    return f"echo '{text}' >&2; exit {status}"


def test_a_machine_without_go_is_told_which_go_to_install(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as missing:
        built(host, tmp_path)
    assert "no Go on this machine; 1.21.0 or newer" in missing.value.problem.why
    assert "https://go.dev/dl" in missing.value.problem.fix


@pytest.mark.parametrize(("version", "toolchain"), [("1.20.7", "auto"), ("1.20", "local")])
def test_a_go_that_is_too_old_is_told_apart(host: Host, tmp_path: Path, version: str, toolchain: str) -> None:
    go(host, version=version, toolchain=toolchain)
    with pytest.raises(ToolchainError, match="Go is 1.20.* 1.21.0 or newer is needed"):
        built(host, tmp_path)


def newer_module(host: Host) -> None:
    (host.modules / "engine" / "go.mod").write_text("module engine\n\ngo 1.26.0\n")


def test_an_older_go_that_may_fetch_a_newer_one_is_let_try(host: Host) -> None:
    newer_module(host)
    go(host, version="1.22.1", toolchain="auto")
    build.ready_to_build("pulumi", "engine", host)


def test_an_older_go_that_may_not_fetch_a_newer_one_is_refused(host: Host) -> None:
    newer_module(host)
    go(host, version="1.22.1", toolchain="local")
    with pytest.raises(ToolchainError, match="Go is 1.22.1, 1.26.0 or newer is needed"):
        build.ready_to_build("pulumi", "engine", host)


@pytest.mark.parametrize(
    ("said", "why", "fix"),
    [
        ("write /x/pkg.a: no space left on device", "no space left", "free about 8 GiB"),
        ("verifying x: checksum mismatch\nSECURITY ERROR", "not the one in go.sum", "go clean -modcache"),
        ("x: signal: killed", "was stopped", "memory"),
        ("dial tcp: lookup proxy: no such host", "does not come", "GOPROXY"),
        ("main.go:1: undefined: x", "undefined: x", "report it"),
    ],
    ids=["full-disk", "wrong-hash", "out-of-memory", "no-network", "anything"],
)
def test_what_go_says_is_sorted_by_what_to_do(host: Host, tmp_path: Path, said: str, why: str, fix: str) -> None:
    go(host, otherwise=failing(said))
    with pytest.raises(ToolchainError) as failed:
        built(host, tmp_path)
    assert why in failed.value.problem.why
    assert fix in failed.value.problem.fix
    assert not (tmp_path / "bin" / "pulumi").exists()


def test_the_flags_are_those_that_share_gos_build_cache(host: Host, tmp_path: Path) -> None:
    log = tmp_path / "log"
    go(host, otherwise=f'echo "$CGO_ENABLED $*" > {log}; while [ "$1" != -o ]; do shift; done; echo made > "$2"')
    built(host, tmp_path)
    out = tmp_path / "build" / "pulumi.new"
    assert log.read_text().strip() == (
        f"0 build -mod=readonly -trimpath -buildvcs=false -ldflags -s -w -X main.version=3.9.1 -o {out} ."
    )


def test_files_that_a_program_embeds_are_taken_from_their_module_and_not_into_the_checkout(
    host: Host, tmp_path: Path
) -> None:
    origin = tmp_path / "module" / "cmd"
    origin.mkdir(parents=True)
    (origin / "schema.json").write_text("{}")
    (origin / "schema.json").chmod(0o444)  # as Go leaves its module folders
    answer = f'{{"Dir": "{origin.parent}"}}'
    script = f"if [ $1 = mod ]; then echo '{answer}'; else /bin/cp schema.json \"$8\"; fi"
    go(host, otherwise=script)
    recipe = GoProgram("engine", ".", {}, "example.org/provider", ("cmd/schema.json",))
    for _ in range(2):  # the second time the copy is there already
        build.program("plugin", recipe, tmp_path / "bin" / "plugin", tmp_path / "build", host)
    assert (tmp_path / "bin" / "plugin").read_text() == "{}"
    assert not (host.modules / "engine" / "schema.json").exists()


def test_a_chart_from_the_module_names_the_release_it_is_and_is_writable(host: Host, tmp_path: Path) -> None:
    origin = tmp_path / "module" / "manifests" / "charts" / "base"
    (origin / "files").mkdir(parents=True)
    (origin / "Chart.yaml").write_text("name: base\nversion: 1.0.0\nappVersion: 1.0.0\n")
    (origin / "files" / "crd.yaml").write_text("version: v1\n")
    for path in (origin / "files", origin):
        path.chmod(0o555)
    go(host, otherwise=f'echo \'{{"Dir": "{tmp_path / "module"}"}}\'')
    target = tmp_path / "charts" / "base"
    recipe = GoSource("istio", "istio.io/istio", "manifests/charts/base")
    for _ in range(2):
        build.chart("chart-base", recipe, "1.29.3", target, tmp_path / "build", host)
    assert (target / "Chart.yaml").read_text() == "name: base\nversion: 1.29.3\nappVersion: 1.29.3\n"
    assert (target / "files" / "crd.yaml").read_text() == "version: v1\n"
    assert (target / "files").stat().st_mode & 0o200
    for path in (origin, origin / "files"):
        path.chmod(0o755)  # so that the test's folder can be removed


@pytest.fixture
def copied(host: Host, tmp_path: Path) -> Callable[[str | None], Path]:
    """Copies a manifest out of a module that holds `kind: Namespace`, held to a checksum."""
    origin = tmp_path / "module" / "config" / "native.yaml"
    origin.parent.mkdir(parents=True)
    origin.write_text("kind: Namespace\n")
    origin.chmod(0o444)  # as Go leaves its modules
    go(host, otherwise=f'echo \'{{"Dir": "{tmp_path / "module"}"}}\'')
    target = tmp_path / "manifests" / "metallb.yaml"
    recipe = GoSource("metallb", "example.org/metallb", "config/native.yaml")

    def copy(pinned: str | None) -> Path:
        build.manifest("metallb", recipe, pinned, target, tmp_path / "build", host)
        return target

    return copy


@pytest.mark.parametrize("pinned", [None, hashlib.sha256(b"kind: Namespace\n").hexdigest()])
def test_a_manifest_from_the_module_is_the_modules_file_and_writable(
    copied: Callable[[str | None], Path], pinned: str | None
) -> None:
    for _ in range(2):  # the second time the copy is there already
        manifest = copied(pinned)
    assert manifest.read_text() == "kind: Namespace\n"
    assert manifest.stat().st_mode & 0o200
    assert [path.name for path in manifest.parent.iterdir()] == ["metallb.yaml"]


def test_a_manifest_of_other_bytes_than_the_publishers_is_refused(
    copied: Callable[[str | None], Path], tmp_path: Path
) -> None:
    with pytest.raises(ToolchainError) as refused:
        copied("0" * 64)
    assert (
        "0" * 64 in refused.value.problem.why
        and hashlib.sha256(b"kind: Namespace\n").hexdigest() in refused.value.problem.why
    )
    assert "mesh_federation/toolchain/modules/metallb" in refused.value.problem.fix
    assert not (tmp_path / "manifests").exists()


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on this machine")
def test_the_real_go_builds_a_program_that_says_its_version(host: Host, tmp_path: Path) -> None:
    source = "package main\n\nvar version string\n\nfunc main() { println(version) }\n"
    (host.modules / "engine" / "main.go").write_text(source)
    real = replace(host, path=str(Path(str(shutil.which("go"))).parent))
    executable = tmp_path / "bin" / "pulumi"
    build.program("pulumi", RECIPE, executable, tmp_path / "build", real)
    assert subprocess.run([executable], capture_output=True, text=True, check=True).stderr == "3.9.1\n"
