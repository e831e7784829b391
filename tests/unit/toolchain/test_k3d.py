"""What only the provisioner k3d needs: a program that says two versions, from a list that names files in a folder."""

import stat
from pathlib import Path

import pytest

from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Missing, Toolchain, install, ready
from mesh_federation.toolchain.pins import Pins
from tests.unit.toolchain.publisher import K3D, Publisher, program, publish_all, publish_for_k3d


def route(toolchain: Toolchain) -> tuple[str, str]:
    """How k3d came, and its version."""
    [place] = [place for place in toolchain.pieces if place.piece == "k3d"]
    return place.route, place.version


def test_k3d_comes_from_its_publisher_whose_checksums_name_files_in_a_folder(
    k3d_host: Host, publisher: Publisher
) -> None:
    publish_for_k3d(publisher)
    toolchain = install({"k3d"}, lambda _: None, k3d_host)
    assert route(toolchain) == ("official", "1.30.4")
    assert (toolchain.bin / "k3d").read_bytes() == publisher.files[K3D]
    assert (toolchain.bin / "k3d").stat().st_mode & stat.S_IXUSR


def test_a_k3d_of_another_checksum_is_refused(k3d_host: Host, publisher: Publisher) -> None:
    publish_for_k3d(publisher)
    publisher.files[K3D] = b"another"
    with pytest.raises(ToolchainError, match="wrong checksum"):
        install({"k3d"}, lambda _: None, k3d_host)


@pytest.mark.parametrize(("version", "expected"), [("1.30.4", "found"), ("1.30.5", "official"), ("1.33.4", "official")])
def test_a_k3d_on_the_path_is_known_by_its_own_version_and_not_by_that_of_its_k3s(
    k3d_host: Host, publisher: Publisher, version: str, expected: str
) -> None:
    publish_for_k3d(publisher)
    program(Path(k3d_host.path), "k3d", f"echo k3d version v{version}; echo 'k3s version v1.30.4 (default)'")
    assert route(install({"k3d"}, lambda _: None, k3d_host))[0] == expected


def test_where_nobody_delivers_k3d_both_routes_are_named(k3d_host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    with pytest.raises(ToolchainError) as failed:
        install({"k3d"}, lambda _: None, k3d_host)
    assert failed.value.problem.what == "k3d cannot be built"
    assert "no Go on this machine" in failed.value.problem.why and "404" in failed.value.problem.why


def test_a_preview_needs_no_k3d(k3d_host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    shown = install({"k3d"}, lambda _: None, k3d_host, Pins.previewed)
    assert "k3d" not in {place.piece for place in shown.pieces}
    assert ready({"k3d"}, k3d_host, Pins.previewed) == shown
    missing = ready({"k3d"}, k3d_host)
    assert isinstance(missing, Missing) and missing.pieces == ("k3d",)
