"""Which route a piece takes: found, official, Go module, stand-in."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.toolchain import launchers, pins
from mesh_federation.toolchain.__main__ import line, main, show
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host, cache_folder
from mesh_federation.toolchain.install import Missing, Progress, Toolchain, install, ready
from mesh_federation.toolchain.pins import record_checksum
from tests.unit.toolchain.publisher import KUBECTL, TLS, Publisher, program, publish_all

PROJECT = Path(__file__).resolve().parents[3]


def routes(toolchain: Toolchain) -> dict[str, str]:
    return {place.piece: place.route for place in toolchain.pieces}


def without_plugins(publisher: Publisher) -> None:
    """Everything but the TLS plugin is published."""
    publish_all(publisher)
    del publisher.files[TLS]


def test_what_is_missing_is_named_with_the_fix(host: Host) -> None:
    missing = ready({"kwok"}, host)
    assert isinstance(missing, Missing)
    assert "kubectl" in missing.pieces and "`./mesh install kwok`" in str(missing)


def test_looking_makes_nothing(host: Host) -> None:
    ready({"kwok"}, host)
    assert not host.cache.exists() and not host.launchers.exists()


def test_an_unknown_provisioner_is_refused_with_those_that_exist(host: Host) -> None:
    with pytest.raises(ToolchainError, match=", ".join(PROVIDERS)):
        ready({"abacus"}, host)


def test_an_unreachable_publisher_is_asked_once_for_all_its_pieces(
    host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    host.pins.write_text(host.pins.read_text().replace(publisher.url, "http://127.0.0.1:9"))
    with pytest.raises(ToolchainError) as failed:
        install({"kwok"}, told.append, host)
    assert "pulumi cannot be built" in failed.value.problem.what
    assert (
        "no Go on this machine" in failed.value.problem.why
        and "http://127.0.0.1:9 cannot be reached" in failed.value.problem.why
    )
    assert publisher.requests == []


def test_a_program_of_the_pinned_version_on_the_path_is_used(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    own = program(Path(host.path), "kubectl", "echo Client Version: v1.30.4")
    toolchain = install({"kwok"}, lambda _: None, host)
    assert routes(toolchain)["kubectl"] == "found"
    assert (toolchain.bin / "kubectl").resolve() == own
    assert publisher.asked(KUBECTL) == []
    own.unlink()
    assert not isinstance(ready({"kwok"}, host), Toolchain)


@pytest.mark.parametrize("said", ["v1.30.3", "v1.30.4-dispatcher", "v1.30.40", "nothing"])
def test_a_program_of_another_version_on_the_path_is_left_alone(host: Host, publisher: Publisher, said: str) -> None:
    publish_all(publisher)
    program(Path(host.path), "kubectl", f"echo Client Version: {said}")
    assert routes(install({"kwok"}, lambda _: None, host))["kubectl"] == "official"


@pytest.mark.parametrize(
    ("said", "route"), [("v3.9.1", "found"), ("v3.10.0", "found"), ("v3.8.9", "official"), ("v4.0.0", "official")]
)
def test_the_engine_may_be_newer_within_its_major_version(
    host: Host, publisher: Publisher, said: str, route: str
) -> None:
    publish_all(publisher)
    program(Path(host.path), "pulumi", f"echo {said}")
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi"] == route


def plugin_home(host: Host) -> Path:
    return host.pulumi_home / "plugins" / "resource-tls-v5.0.2"


def test_an_official_plugin_that_pulumi_keeps_is_found(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    program(plugin_home(host), "pulumi-resource-tls", "exit 0")
    toolchain = install({"kwok"}, lambda _: None, host)
    assert routes(toolchain)["pulumi-resource-tls"] == "found"
    assert toolchain.launchers is None


def test_an_interrupted_installation_of_a_plugin_does_not_count(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    program(plugin_home(host), "pulumi-resource-tls", "exit 0")
    plugin_home(host).with_name("resource-tls-v5.0.2.partial").touch()
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi-resource-tls"] == "stand-in"


def test_an_official_plugin_that_comes_later_wins_over_the_stand_in(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi-resource-tls"] == "stand-in"
    program(plugin_home(host), "pulumi-resource-tls", "exit 0")
    assert isinstance(ready({"kwok"}, host), Missing)  # the launcher on the search path would still win
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi-resource-tls"] == "found"
    assert not (host.launchers / "pulumi-resource-tls").exists()


def test_the_launcher_of_another_checkout_is_no_official_plugin(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    piece = next(piece for piece in pins.load(host).pieces if piece.name == "pulumi-resource-tls")
    other = replace(host, checkout=host.checkout.with_name("other"))
    launchers.write(piece, other)
    toolchain = install({"kwok"}, lambda _: None, replace(host, path=str(other.launchers)))
    assert routes(toolchain)["pulumi-resource-tls"] == "stand-in"


def test_a_launcher_among_pulumis_own_plugins_is_no_official_plugin(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    install({"kwok"}, lambda _: None, host)
    plugin_home(host).mkdir(parents=True)
    (plugin_home(host) / "pulumi-resource-tls").symlink_to(host.launchers / "pulumi-resource-tls")
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi-resource-tls"] == "stand-in"


def test_the_language_host_beside_a_found_engine_is_used(host: Host, publisher: Publisher, tmp_path: Path) -> None:
    publish_all(publisher)
    engine = program(tmp_path / "pulumi", "pulumi", "echo v3.9.1")
    program(tmp_path / "pulumi", "pulumi-language-python", "exit 0")
    (Path(host.path) / "pulumi").symlink_to(engine)
    assert routes(install({"kwok"}, lambda _: None, host))["pulumi-language-python"] == "found"


def test_a_launcher_starts_the_checkouts_stand_in_with_the_engines_arguments(host: Host, tmp_path: Path) -> None:
    checkout = tmp_path / "a check'out"  # a quote and a space are names like others
    module = checkout / "mesh_federation" / "toolchain" / "standins" / "tls.py"
    module.parent.mkdir(parents=True)
    module.write_text("import sys\nprint(__file__, sys.argv[1:])\n")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mesh_federation" / "toolchain" / "standins").mkdir(parents=True)
    (elsewhere / "mesh_federation" / "toolchain" / "standins" / "tls.py").write_text(
        "raise SystemExit('of another folder')"
    )
    piece = next(piece for piece in pins.load(host).pieces if piece.name == "pulumi-resource-tls")
    launcher = launchers.write(piece, replace(host, checkout=checkout))
    environment = {"PATH": os.defpath}
    done = subprocess.run(
        [launcher, "127.0.0.1:1", "a b"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    )
    path, _, arguments = done.stdout.strip().rpartition(" [")
    assert Path(path) == module
    assert ast.literal_eval(f"[{arguments}") == ["127.0.0.1:1", "a b"]


def test_all_programs_of_an_environment_name_its_interpreter_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("python", "python3"):
        (tmp_path / name).touch()
        monkeypatch.setattr(sys, "executable", str(tmp_path / name))
        assert Host.current().python == str(tmp_path / "python")


def test_a_launcher_of_an_older_checkout_is_made_anew(host: Host, publisher: Publisher) -> None:
    without_plugins(publisher)
    install({"kwok"}, lambda _: None, host)
    moved = replace(host, python="/usr/bin/another-python")
    assert isinstance(ready({"kwok"}, moved), Missing)
    install({"kwok"}, lambda _: None, moved)
    assert "another-python" in (host.launchers / "pulumi-resource-tls").read_text()


def test_the_environment_puts_the_toolchain_first_and_names_the_charts(
    host: Host, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_plugins(publisher)
    toolchain = install({"kwok"}, lambda _: None, host)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    environment = toolchain.environment()
    assert environment["PATH"].split(":") == [str(toolchain.bin), str(host.launchers), "/usr/bin", "/bin"]
    assert environment["MESH_CHARTS"] == str(toolchain.charts)
    monkeypatch.setenv("PATH", environment["PATH"])
    assert toolchain.environment() == environment  # applied twice, it is the same


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        ({}, Path.home() / ".pulumi"),
        ({"PULUMI_HOME": "/theirs"}, Path("/theirs")),
        ({"PULUMI_HOME": "/mesh/pulumi", "MESH_HOME": "/mesh"}, Path.home() / ".pulumi"),
        ({"PULUMI_HOME": str(PROJECT / ".mesh" / "pulumi")}, Path.home() / ".pulumi"),
        ({"PULUMI_HOME": "/mesh/pulumi", "MESH_HOME": "/mesh", "MESH_USERS_PULUMI_HOME": "/theirs"}, Path("/theirs")),
        ({"PULUMI_HOME": "/new", "MESH_HOME": "/mesh", "MESH_USERS_PULUMI_HOME": "/theirs"}, Path("/new")),
    ],
    ids=["none", "theirs", "a checkout's", "this checkout's", "in a shell of ours", "changed in a shell of ours"],
)
def test_a_checkouts_home_of_pulumi_is_not_the_users(environment: dict[str, str], home: Path) -> None:
    assert Host.current(environment).pulumi_home == home


def test_the_cache_folder_is_the_users_choice(tmp_path: Path) -> None:
    assert cache_folder({"MESH_CACHE": str(tmp_path)}) == tmp_path
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "mesh-federation"
    assert cache_folder({}) == Path.home() / ".cache" / "mesh-federation"


def test_any_other_pin_is_another_cache_folder(host: Host) -> None:
    before = pins.load(host).key
    assert re.fullmatch("[0-9a-f]{12}", before)
    text = host.pins.read_text()
    host.pins.write_text(text + "# a comment\n")
    assert pins.load(host).key == before
    host.pins.write_text(text.replace("1.30.4", "1.30.5"))
    changed = pins.load(host).key
    (host.modules / "engine" / "go.sum").write_text("x")
    assert len({before, changed, pins.load(host).key}) == 3
    assert pins.load(replace(host, arch="arm64")).key != pins.load(host).key


def test_the_first_checksum_of_a_file_is_the_one_that_counts(host: Host) -> None:
    for sha256 in ("a" * 64, "b" * 64):
        record_checksum(host.checksums, "https://x/y", sha256)
    assert pins.load(host).checksums == {"https://x/y": "a" * 64}


def test_a_checksum_in_the_pins_counts_more_than_a_recorded_one(host: Host) -> None:
    record_checksum(host.checksums, "https://x/y", "a" * 64)
    host.pins.write_text(f'{host.pins.read_text()}"https://x/y" = "{"b" * 64}"\n')
    assert pins.load(host).checksums == {"https://x/y": "b" * 64}


@pytest.mark.parametrize("damage", ["\0\udcff", "half a line", "a" * 63 + "  https://x/y", "a" * 64 + "  x y z"])
def test_a_damaged_record_of_checksums_leaves_what_can_be_read(host: Host, damage: str) -> None:
    record_checksum(host.checksums, "https://x/z", "c" * 64)
    with host.checksums.open("ab") as file:
        file.write(damage.encode(errors="surrogateescape") + b"\n")
    record_checksum(host.checksums, "https://x/y", "d" * 64)
    assert pins.load(host).checksums == {"https://x/z": "c" * 64, "https://x/y": "d" * 64}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"kubectl": 1}', '{"kubectl": {"route": "x"}}'])
def test_a_damaged_record_means_that_nothing_is_installed(host: Host, publisher: Publisher, damage: str) -> None:
    publish_all(publisher)
    toolchain = install({"kwok"}, lambda _: None, host)
    (toolchain.bin.parent / "installed.json").write_text(damage)
    assert isinstance(ready({"kwok"}, host), Missing)
    assert install({"kwok"}, lambda _: None, host).bin == toolchain.bin


def test_the_projects_pins_know_a_route_for_every_piece_of_every_provisioner() -> None:
    host = replace(Host.current({}), system="linux", arch="amd64")
    pinned = pins.load(host)
    for piece in pinned.pieces:
        if piece.image:
            assert "{" not in piece.image.released.url
            assert piece.image.parts or piece.image.machine
        elif not piece.is_part:
            assert piece.official is not None and "{" not in "".join(piece.official.urls)
            assert piece.official.checksums or piece.official.url in pinned.checksums
        assert piece.program or piece.source or piece.standin or piece.wheel or piece.image
        for recipe in (piece.program, piece.source):
            assert recipe is None or (host.modules / recipe.module / "go.sum").exists()


def test_what_the_projects_images_are_put_together_from_is_in_its_pins_and_needed_for_nothing_else() -> None:
    pieces = pins.load(Host.current({})).pieces
    named = [part for piece in pieces if piece.image for part in piece.image.parts.values()]
    assert sorted(named) == sorted(piece.name for piece in pieces if piece.is_part)


def test_the_projects_provisioners_need_what_they_run_and_no_more() -> None:
    pinned = pins.load(Host.current({}))
    needed = {name: {piece.name for piece in pinned.needed(frozenset({name}))} for name in PROVIDERS}
    shared = needed["existing"]
    programs = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl"}
    assert needed["kwok"] - shared == programs
    assert needed["kind"] - shared == {"kind", "metallb"}
    assert needed["k3d"] - shared == {"k3d", "metallb"}
    native = {piece.name for piece in pinned.needed(frozenset({"native"}))}
    images = {"image-pilot", "image-proxyv2", "image-httpbin", "image-curl"}
    assert native - shared == programs | images | {"kube-proxy", "coredns"}
    assert len(shared) == 11 and all(shared <= pieces for pieces in needed.values())


def test_a_preview_of_the_projects_stacks_needs_no_program_that_makes_clusters() -> None:
    pinned = pins.load(Host.current({}))
    shown = {name: {piece.name for piece in pinned.previewed(frozenset({name}))} for name in PROVIDERS}
    assert shown["kwok"] == shown["existing"]
    assert shown["kind"] == shown["k3d"] == shown["existing"] | {"metallb"}


def test_the_projects_pins_are_the_versions_of_its_python_packages_and_go_modules() -> None:
    versions = pins.load(Host.current({})).versions
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {"pulumi": "pulumi", "kubernetes-provider": "pulumi-kubernetes"}
    wanted |= {"command-provider": "pulumi-command", "tls-provider": "pulumi-tls"}
    for release, package in wanted.items():
        assert f"{package}=={versions[release]}" in packages
    modules = Host.current({}).modules
    expected = {
        "pulumi": f"github.com/pulumi/pulumi/pkg/v3 v{versions['pulumi']}",
        "etcd": f"go.etcd.io/etcd/server/v3 v{versions['etcd']}",
        "kubernetes": f"k8s.io/kubernetes v{versions['kubernetes']}",
        "kwok": f"sigs.k8s.io/kwok v{versions['kwok']}",
        "helm": f"helm.sh/helm/v3 v{versions['helm']}",
        "kind": f"sigs.k8s.io/kind v{versions['kind']}",
        "k3d": f"github.com/k3d-io/k3d/v5 v{versions['k3d']}",
        "metallb": f"go.universe.tf/metallb v{versions['metallb']}",
        "gateway-api": f"sigs.k8s.io/gateway-api v{versions['gateway-api']}",
        "coredns": f"github.com/coredns/coredns v{versions['coredns']}",
        "go-httpbin": f"github.com/mccutchen/go-httpbin/v2 v{versions['go-httpbin']}",
    }
    for module, requirement in expected.items():
        assert requirement in (modules / module / "go.mod").read_text()


def test_a_line_of_progress_names_the_piece_its_route_and_its_seconds() -> None:
    shown = line(Progress("kubectl", "1.30.4", "ready", "module", 12.34, "why"))
    assert shown.split() == ["kubectl", "1.30.4", "from", "its", "Go", "module", "12.3", "s", "why"]
    assert "another run" in line(Progress("", "", "waits", note="another run is installing"))


def test_an_error_on_the_command_line_has_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abacus"]) == 1
    output = capsys.readouterr()
    assert output.err.startswith("error: unknown provider abacus")
    assert "Traceback" not in output.err


def test_looking_for_the_toolchain_imports_no_engine() -> None:
    code = "import sys; from mesh_federation.toolchain.install import ready; ready({'kwok'}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not {"pulumi", "grpc", "yaml", "filelock"} & set(done.stdout.split())


def test_a_log_tells_of_a_build_when_it_begins_and_of_all_else_when_it_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(Progress("etcd", "3.6.16", "begins", "official"))
    show(Progress("etcd", "3.6.16", "begins", "module"))
    show(Progress("etcd", "3.6.16", "ready", "module", 12.0))
    begun, ready = capsys.readouterr().err.splitlines()
    assert begun.split() == ["etcd", "3.6.16", "from", "its", "Go", "module", "..."]
    assert "12.0 s" in ready
