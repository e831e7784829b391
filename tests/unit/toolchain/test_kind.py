"""What only the provisioner kind needs: a bare program, and a manifest whose checksum the project pins itself."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.toolchain import pins
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host, Patience
from mesh_federation.toolchain.install import Progress, Toolchain, install, ready
from tests.unit.toolchain.publisher import (
    ETCD,
    KIND,
    MANIFEST,
    METALLB,
    Publisher,
    held,
    program,
    publish_for_kind,
    truncated,
)


def routes(toolchain: Toolchain) -> dict[str, str]:
    return {place.piece: place.route for place in toolchain.pieces}


def go_with_manifest(host: Host, tmp_path: Path, content: bytes = MANIFEST) -> None:
    """A Go whose only module holds the manifest."""
    file = tmp_path / "module" / "config" / "manifests" / "metallb-native.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    answers = f'version) echo go version go1.26.0;; *) echo \'{{"Dir": "{tmp_path / "module"}"}}\';;'
    program(Path(host.path), "go", f'case "$1" in {answers} esac')


def test_kind_gets_its_program_and_metallbs_manifest_from_their_publishers(
    kind_host: Host, publisher: Publisher
) -> None:
    publish_for_kind(publisher)
    toolchain = install({"kind"}, lambda _: None, kind_host)
    assert set(routes(toolchain).values()) == {"official"}
    assert (toolchain.bin / "kind").read_bytes() == publisher.files[KIND]
    assert (toolchain.bin / "kind").stat().st_mode & stat.S_IXUSR
    assert toolchain.manifests is not None
    assert (toolchain.manifests / "metallb.yaml").read_bytes() == MANIFEST
    assert not (toolchain.manifests / "metallb.yaml").stat().st_mode & stat.S_IXUSR
    assert publisher.asked(ETCD) == []


def test_a_second_run_for_kind_asks_nobody_and_needs_no_docker(
    kind_host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    publish_for_kind(publisher)
    first = install({"kind"}, lambda _: None, kind_host)
    publisher.requests.clear()
    publisher.files.clear()
    assert install({"kind"}, told.append, kind_host) == first
    assert ready({"kind"}, kind_host) == first
    assert (publisher.requests, told) == ([], [])


def test_the_pinned_checksum_of_a_manifest_is_not_recorded_again(kind_host: Host, publisher: Publisher) -> None:
    publish_for_kind(publisher)
    before = pins.load(kind_host).checksums
    install({"kind"}, lambda _: None, kind_host)
    assert kind_host.pins.read_text().count(METALLB) == 1
    assert pins.load(kind_host).checksums.items() >= before.items()


def test_a_manifest_of_another_checksum_than_the_pinned_one_is_refused_and_thrown_away(
    kind_host: Host, publisher: Publisher, tmp_path: Path
) -> None:
    publish_for_kind(publisher)
    publisher.files[METALLB] = b"kind: Namespace, but another"
    go_with_manifest(kind_host, tmp_path)  # never a way around a wrong checksum
    with pytest.raises(ToolchainError) as refused:
        install({"kind"}, lambda _: None, kind_host)
    assert "wrong checksum" in refused.value.problem.what and METALLB in refused.value.problem.what
    assert "[checksums] in mesh_federation/toolchain/pins.toml lists" in refused.value.problem.why
    assert "do not go on" in refused.value.problem.fix and "changed that line" in refused.value.problem.fix
    assert not [path for path in kind_host.cache.rglob("metallb*") if path.is_file()]


def test_a_manifest_without_a_pinned_checksum_is_refused_before_it_is_fetched(
    kind_host: Host, publisher: Publisher
) -> None:
    publish_for_kind(publisher)
    lines = kind_host.pins.read_text().splitlines(keepends=True)
    kind_host.pins.write_text("".join(line for line in lines if METALLB not in line))
    with pytest.raises(ToolchainError) as refused:
        install({"kind"}, lambda _: None, kind_host)
    assert f"no checksum for {publisher.url}{METALLB}" in refused.value.problem.what
    assert "[checksums] in mesh_federation/toolchain/pins.toml" in refused.value.problem.fix
    assert publisher.asked(METALLB) == []


def test_a_program_of_another_checksum_than_its_publisher_lists_is_refused(
    kind_host: Host, publisher: Publisher
) -> None:
    publish_for_kind(publisher)
    publisher.files[KIND] = b"another kind"
    with pytest.raises(ToolchainError, match="wrong checksum") as refused:
        install({"kind"}, lambda _: None, kind_host)
    assert KIND in refused.value.problem.what and "its publisher lists" in refused.value.problem.why
    assert not [path for path in kind_host.cache.rglob("kind*") if path.is_file()]


@pytest.mark.parametrize("fault", ["missing", "truncated", "slow"])
def test_a_manifest_that_its_publisher_does_not_deliver_is_copied_from_its_module(
    kind_host: Host, publisher: Publisher, tmp_path: Path, fault: str
) -> None:
    publish_for_kind(publisher)
    go_with_manifest(kind_host, tmp_path)
    host = kind_host
    if fault == "missing":
        del publisher.files[METALLB]
    elif fault == "truncated":
        publisher.answers[METALLB] = truncated(100)
    else:
        publisher.answers[METALLB] = held(publisher, after=100)
        host = replace(kind_host, patience=Patience(reach=10, stall=0.5, attempts=1))
    toolchain = install({"kind"}, lambda _: None, host)
    assert routes(toolchain)["metallb"] == "module" and routes(toolchain)["kind"] == "official"
    assert toolchain.manifests is not None
    assert (toolchain.manifests / "metallb.yaml").read_bytes() == MANIFEST


def test_a_modules_manifest_is_held_to_the_checksum_of_the_publishers(
    kind_host: Host, publisher: Publisher, tmp_path: Path
) -> None:
    publish_for_kind(publisher)
    del publisher.files[METALLB]
    go_with_manifest(kind_host, tmp_path, b"kind: Namespace, but another")
    with pytest.raises(ToolchainError, match="metallb is not the file that is pinned"):
        install({"kind"}, lambda _: None, kind_host)


def test_a_manifest_that_nobody_delivers_names_both_routes(kind_host: Host, publisher: Publisher) -> None:
    publish_for_kind(publisher)
    del publisher.files[METALLB]
    with pytest.raises(ToolchainError) as failed:
        install({"kind"}, lambda _: None, kind_host)
    assert "no Go on this machine" in failed.value.problem.why and "404" in failed.value.problem.why


def test_a_manifest_that_changed_in_the_cache_is_got_again(kind_host: Host, publisher: Publisher) -> None:
    publish_for_kind(publisher)
    toolchain = install({"kind"}, lambda _: None, kind_host)
    assert toolchain.manifests is not None
    (toolchain.manifests / "metallb.yaml").write_text("edited by hand")
    publisher.requests.clear()
    install({"kind"}, lambda _: None, kind_host)
    assert (toolchain.manifests / "metallb.yaml").read_bytes() == MANIFEST
    assert publisher.asked(KIND) == []


@pytest.mark.parametrize(
    ("said", "route"),
    [("kind v1.30.4 go1.26.8 linux/amd64", "found"), ("kind v1.30.3 go1.30.4 linux/amd64", "official")],
)
def test_a_kind_on_the_path_is_used_when_it_is_of_the_pinned_version(
    kind_host: Host, publisher: Publisher, said: str, route: str
) -> None:
    publish_for_kind(publisher)
    program(Path(kind_host.path), "kind", f"echo {said}")
    assert routes(install({"kind"}, lambda _: None, kind_host))["kind"] == route


def test_the_environment_names_the_manifests_of_kind(kind_host: Host, publisher: Publisher) -> None:
    publish_for_kind(publisher)
    toolchain = install({"kind"}, lambda _: None, kind_host)
    folder = Path(toolchain.environment()["MESH_MANIFESTS"])
    assert (folder / "metallb.yaml").read_bytes() == MANIFEST


def test_the_environment_of_another_provisioner_names_the_manifests_once_they_are_there(
    kind_host: Host, publisher: Publisher
) -> None:
    publish_for_kind(publisher)
    before = install({"kwok"}, lambda _: None, kind_host)
    assert "MESH_MANIFESTS" not in before.environment()
    assert publisher.asked(METALLB) == []
    with_manifests = install({"kind"}, lambda _: None, kind_host).manifests
    after = ready({"kwok"}, kind_host)
    assert isinstance(after, Toolchain)
    assert after.environment()["MESH_MANIFESTS"] == str(with_manifests)
    assert routes(after) == routes(before)
