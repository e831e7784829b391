"""The project's own pins against every publisher's real layout and real kind of checksum list."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import Progress, Toolchain, install
from mesh_federation.toolchain.pins import Piece, Pins
from tests.unit.toolchain.publisher import (
    IMAGES,
    LAYOUT,
    Publisher,
    archive,
    digest,
    lines,
    publish_releases,
    served,
    sha1_lines,
)

PROJECT = Host.current({})
PIECES = {piece.name: piece for piece in pins.load(replace(PROJECT, system="linux", arch="amd64")).pieces}
STAND_INS = sorted(name for name, piece in PIECES.items() if piece.standin)
BUILT = ["pulumi", "kubectl", "chart-base", "gateway-api"]
"""One of each kind of Go module: with variables, of several programs, a folder, a file."""


@pytest.fixture
def host(host: Host, publisher: Publisher) -> Host:
    """A machine with nothing on it, the project's pins, and all publishers behind one address."""
    publish_releases(publisher, {name: piece.version for name, piece in PIECES.items()})
    text = PROJECT.pins.read_text()
    for name in ("metallb", "gateway-api"):  # the server's files have other content than those that are pinned
        url = LAYOUT[name].url.format(version=PIECES[name].version)
        pinned = digest(publisher.files[served(url)])
        text = re.sub(rf'("{re.escape(url)}" = )"[0-9a-f]{{64}}"', rf'\1"{pinned}"', text)
    host.pins.write_text(text.replace("https://", f"{publisher.url}/"))
    for module in PROJECT.modules.iterdir():
        (host.modules / module.name).mkdir(exist_ok=True)
        (host.modules / module.name / "go.mod").write_bytes((module / "go.mod").read_bytes())
    return host


def only(name: str) -> Callable[[Pins, frozenset[str]], list[Piece]]:
    return lambda pinned, _: [piece for piece in pinned.pieces if piece.name == name]


def got(name: str, host: Host, told: list[Progress]) -> Toolchain:
    return install(PROVIDERS, told.append, host, only(name))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_layout_of_every_piece_is_known() -> None:
    """But of what images are put together from where their publishers' are out of reach."""
    assert {*LAYOUT, *IMAGES} == {name for name, piece in PIECES.items() if not piece.is_part}


@pytest.mark.parametrize("name", [*LAYOUT, *IMAGES])
def test_the_pins_follow_the_publisher(name: str, host: Host, told: list[Progress]) -> None:
    (place,) = got(name, host, told).pieces
    assert (place.piece, place.route, place.version) == (name, "official", PIECES[name].version)
    assert place.path.is_file()
    assert [step.note for step in told if step.state == "ready"] == [""]


def test_all_of_it_comes_officially_and_leaves_the_checkout_as_it_is(host: Host, told: list[Progress]) -> None:
    before = everything(host.checkout)
    toolchain = install(PROVIDERS, told.append, host)
    assert {place.route for place in toolchain.pieces} == {"official"}
    assert toolchain.launchers is None
    assert everything(host.checkout) == before


def no_file(publisher: Publisher, file: str, listed: str | None) -> str:
    del publisher.files[file]
    return "answers 404"


def no_list(publisher: Publisher, file: str, listed: str | None) -> str:
    publisher.files.pop(listed or file)
    return "answers 404"


def another_list(publisher: Publisher, file: str, listed: str | None) -> str:
    if listed is None:
        return no_file(publisher, file, listed)
    publisher.files[listed] = lines({"another-file": b""}).encode()
    return "does not list it"


def another_digest(publisher: Publisher, file: str, listed: str | None) -> str:
    if listed is None:
        return no_file(publisher, file, listed)
    publisher.files[listed] = sha1_lines({file.rsplit("/", 1)[-1]: publisher.files[file]}).encode()
    return "lists it without a SHA-256 checksum"


def another_page(publisher: Publisher, file: str, listed: str | None) -> str:
    if listed is None:
        return no_file(publisher, file, listed)
    publisher.files[listed] = b"<html>please log in</html>"
    return "does not list it"


def another_archive(publisher: Publisher, file: str, listed: str | None) -> str:
    if listed is None or not file.endswith("gz"):
        return no_file(publisher, file, listed)
    publisher.files[file] = archive({"moved/elsewhere": b""})
    publisher.files[listed] = lines({file.rsplit("/", 1)[-1]: publisher.files[file]}).encode()
    return "arranges it otherwise"


MOVES = [no_file, no_list, another_list, another_digest, another_page, another_archive]
Move = Callable[[Publisher, str, str | None], str]


def moved(name: str, move: Move, publisher: Publisher) -> str:
    """Let a publisher move something; returns what is to be told of it."""
    words = {"version": PIECES[name].version}
    listed = LAYOUT[name].listed
    return move(publisher, served(LAYOUT[name].url.format(**words)), served(listed.format(**words)) if listed else None)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("name", STAND_INS)
def test_what_a_publisher_moved_is_stood_in_for_and_told(
    name: str, move: Move, host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    why = moved(name, move, publisher)
    (place,) = got(name, host, told).pieces
    assert place.route == "stand-in"
    assert why in place.note
    assert [why in step.note for step in told if step.state == "ready"] == [True]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("name", BUILT)
def test_what_a_publisher_moved_is_built_and_told(
    name: str, move: Move, host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    """There is no Go here, which the error says beside what the publisher did."""
    why = moved(name, move, publisher)
    with pytest.raises(ToolchainError, match="there is no Go on this machine") as failed:
        got(name, host, told)
    assert why in failed.value.problem.why
    assert "install it from https://go.dev/dl" in failed.value.problem.fix


def test_what_has_no_other_route_is_an_error_with_what_to_do(
    host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    why = moved("pulumi-resource-tls", another_digest, publisher)
    host.pins.write_text(host.pins.read_text().replace('standin = "mesh_federation.toolchain.standins.tls"', ""))
    with pytest.raises(ToolchainError, match="pulumi-resource-tls cannot be got") as failed:
        got("pulumi-resource-tls", host, told)
    assert why in failed.value.problem.why
    assert "update mesh_federation/toolchain/pins.toml" in failed.value.problem.fix


def test_a_publisher_that_lists_another_checksum_is_no_reason_for_another_route(
    host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    file = served(LAYOUT["pulumi-resource-tls"].url.format(version=PIECES["pulumi-resource-tls"].version))
    publisher.files[file] += b"changed"
    with pytest.raises(ToolchainError, match="wrong checksum"):
        got("pulumi-resource-tls", host, told)
    assert not host.launchers.exists()
