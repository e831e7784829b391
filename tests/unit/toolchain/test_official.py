"""The official route, against a local server with the publishers' layouts."""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_federation.toolchain import download, pins
from mesh_federation.toolchain.archive import take_folder, take_programs
from mesh_federation.toolchain.download import fetch, listed, reachable
from mesh_federation.toolchain.errors import DownloadFailed, ToolchainError
from mesh_federation.toolchain.host import Host, Patience
from mesh_federation.toolchain.install import Progress, Toolchain, install, ready
from mesh_federation.toolchain.pins import Official
from tests.unit.toolchain.publisher import (
    CHART,
    ENGINE,
    ETCD,
    KUBECTL,
    TLS,
    Publisher,
    archive,
    held,
    publish_all,
    truncated,
)

QUICK = Patience(reach=10, stall=10, attempts=1)


def official(publisher: Publisher, path: str = "/file") -> Official:
    return Official(publisher.url + path, f"{publisher.url}{path}.sha256")


Get = Callable[..., Path]


@pytest.fixture(params=["listed by the publisher", "pinned"])
def get(request: pytest.FixtureRequest, publisher: Publisher, tmp_path: Path) -> Get:
    """Fetches /file into the test's folder, held to either kind of checksum."""

    def fetched(patience: Patience = QUICK) -> Path:
        listed = official(publisher)
        if request.param == "pinned":
            publisher.files.pop("/file.sha256", None)
            pinned = hashlib.sha256(publisher.files["/file"]).hexdigest()
            return fetch(Official(listed.url, None), tmp_path, pinned, patience)[0]
        return fetch(listed, tmp_path, None, patience)[0]

    return fetched


def test_every_piece_comes_from_its_publisher_where_that_answers(
    host: Host, publisher: Publisher, told: list[Progress]
) -> None:
    publish_all(publisher)
    toolchain = install({"kwok"}, told.append, host)
    assert {place.route for place in toolchain.pieces} == {"official"}
    assert sorted(path.name for path in toolchain.bin.iterdir()) == [
        "etcd",
        "kubectl",
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-tls",
    ]
    assert all(path.stat().st_mode & stat.S_IXUSR for path in toolchain.bin.iterdir())
    assert (toolchain.charts / "base" / "files" / "crd.yaml").read_text() == "kind: CRD\n"
    assert toolchain.launchers is None
    assert sorted(step.piece for step in told if step.state == "ready") == sorted(p.piece for p in toolchain.pieces)


def test_a_file_that_several_pieces_come_from_is_fetched_once(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    assert len(publisher.asked(ENGINE)) == 1


def test_a_provisioner_gets_only_what_it_needs(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    install({"existing"}, lambda _: None, host)
    assert publisher.asked(ETCD) == []
    assert isinstance(ready({"existing"}, host), Toolchain)
    assert not isinstance(ready({"kwok"}, host), Toolchain)


def test_a_second_run_asks_nobody_and_writes_nothing(host: Host, publisher: Publisher, told: list[Progress]) -> None:
    publish_all(publisher)
    first = install({"kwok"}, lambda _: None, host)
    publisher.requests.clear()
    before = {path: path.lstat().st_mtime_ns for path in host.cache.rglob("*")}
    assert install({"kwok"}, told.append, host) == first
    assert ready({"kwok"}, host) == first
    assert (publisher.requests, told) == ([], [])
    assert {path: path.lstat().st_mtime_ns for path in host.cache.rglob("*")} == before


def test_a_file_that_changed_in_the_cache_is_got_again(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    toolchain = install({"kwok"}, lambda _: None, host)
    (toolchain.bin / "kubectl").write_bytes(b"not kubectl")
    publisher.requests.clear()
    install({"kwok"}, lambda _: None, host)
    assert (toolchain.bin / "kubectl").read_bytes() == publisher.files[KUBECTL]
    assert publisher.asked(ENGINE) == []


def test_a_corrupt_file_is_refused_and_thrown_away(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    publisher.files[KUBECTL] = b"something else"
    with pytest.raises(ToolchainError) as refused:
        install({"kwok"}, lambda _: None, host)
    assert "wrong checksum" in refused.value.problem.what and KUBECTL in refused.value.problem.what
    assert "do not go on" in refused.value.problem.fix
    assert not [path for path in host.cache.rglob("kubectl*") if path.is_file()]


def test_a_wrong_checksum_never_falls_back_to_another_route(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    publisher.files[TLS] = archive({"pulumi-resource-tls": b"other"})
    with pytest.raises(ToolchainError, match="wrong checksum"):
        install({"kwok"}, lambda _: None, host)
    assert not host.launchers.exists()


def test_a_truncated_file_is_taken_up_where_it_stopped(get: Get, publisher: Publisher) -> None:
    content = os.urandom(500_000)
    publisher.offer("/file", content)
    publisher.answers["/file"] = truncated(200_000)
    with pytest.raises(DownloadFailed) as broken:
        get()
    assert "goes on where it stopped" in broken.value.problem.fix
    del publisher.answers["/file"]
    path = get()
    assert path.read_bytes() == content
    assert publisher.asked("/file") == [None, "bytes=200000-"]


def test_a_line_that_breaks_is_taken_up_in_the_same_run(get: Get, publisher: Publisher) -> None:
    content = os.urandom(500_000)
    publisher.offer("/file", content)
    publisher.answers["/file"] = truncated(200_000)
    path = get(Patience(stall=10, attempts=3))
    assert path.read_bytes() == content
    assert publisher.asked("/file") == [None, "bytes=200000-", "bytes=400000-"]


def test_a_part_of_another_file_is_replaced_by_the_whole(get: Get, tmp_path: Path, publisher: Publisher) -> None:
    publisher.offer("/file", b"right" * 100)
    (tmp_path / "file.part").write_bytes(b"wrong" * 10)
    path = get()
    assert path.read_bytes() == b"right" * 100


@pytest.mark.parametrize("extra", [0, 7])
def test_a_part_as_long_as_the_file_or_longer_ends_well(
    get: Get, tmp_path: Path, publisher: Publisher, extra: int
) -> None:
    publisher.offer("/file", b"right" * 100)
    (tmp_path / "file.part").write_bytes(b"right" * 100 + b"x" * extra)
    path = get()
    assert path.read_bytes() == b"right" * 100


def test_a_missing_file_names_its_address_and_what_to_do(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    del publisher.files[KUBECTL]
    with pytest.raises(ToolchainError) as missing:
        install({"kwok"}, lambda _: None, host)
    assert "404" in missing.value.problem.why and KUBECTL in missing.value.problem.why
    assert missing.value.problem.fix


def test_a_piece_with_another_route_does_without_a_missing_file(host: Host, publisher: Publisher) -> None:
    publish_all(publisher)
    del publisher.files[TLS]
    toolchain = install({"kwok"}, lambda _: None, host)
    assert {p.piece: p.route for p in toolchain.pieces}["pulumi-resource-tls"] == "stand-in"


def test_a_publisher_that_stalls_is_not_waited_for(get: Get, tmp_path: Path, publisher: Publisher) -> None:
    publisher.offer("/file", b"x" * 1000)
    publisher.answers["/file"] = held(publisher, after=100)
    with pytest.raises(DownloadFailed) as slow:
        get(Patience(stall=0.2, attempts=1))
    assert "too slow" in slow.value.problem.what
    assert (tmp_path / "file.part").stat().st_size == 100


def test_checksums_are_recorded_in_the_cache_on_first_use_and_nothing_else_changes(
    host: Host, publisher: Publisher
) -> None:
    publish_all(publisher)
    before = host.pins.read_text()
    key = pins.load(host).key
    install({"kwok"}, lambda _: None, host)
    after = pins.load(host)
    assert host.pins.read_text() == before
    assert after.key == key
    assert after.checksums == {
        publisher.url + path: hashlib.sha256(publisher.files[path]).hexdigest()
        for path in (ENGINE, TLS, KUBECTL, CHART, ETCD)
    }


def test_a_file_that_changed_upstream_after_its_first_use_is_refused(host: Host, publisher: Publisher) -> None:
    """Whatever else the pins say by now: another version of one program is another folder in the same cache."""
    publish_all(publisher)
    install({"kwok"}, lambda _: None, host)
    changed = b"released again, with its checksum"
    publisher.files[KUBECTL] = changed
    publisher.files[f"{KUBECTL}.sha256"] = hashlib.sha256(changed).hexdigest().encode()
    host.pins.write_text(host.pins.read_text().replace('istio = "1.29.3"', 'istio = "1.29.4"'))
    with pytest.raises(ToolchainError) as refused:
        install({"kwok"}, lambda _: None, host)
    assert "is not the file that it was" in refused.value.problem.what
    assert "checksums.txt in the cache folder" in refused.value.problem.fix


def test_a_record_that_cannot_be_written_is_said_and_no_error(
    host: Host, publisher: Publisher, told: list[Progress], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    publish_all(publisher)
    monkeypatch.setattr(pins, "record_checksum", refuse)
    install({"kwok"}, told.append, host)
    assert any("checksum not recorded" in step.note for step in told)


def test_a_list_without_the_file_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    publisher.offer("/file", b"content")
    publisher.files["/file.sha256"] = b"<html>please log in</html>"
    with pytest.raises(ToolchainError, match="no checksum for file"):
        fetch(official(publisher), tmp_path, None, QUICK)


SUM = hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        f"{SUM}  kwok-linux-amd64\n",
        f"{'0' * 64}  kwok-linux-arm64\n{SUM} *./dist/kwok-linux-amd64\n",
        SUM,
        f"{SUM.upper()}\n",
        f'{{"assets": [{{"name": "kwok-linux-amd64", "digest": "sha256:{SUM}"}}]}}',
        f"apiVersion: v1\nentries:\n  kwok:\n  - digest: {SUM}\n    urls: ['https://x/y/kwok-linux-amd64']\n",
    ],
    ids=["sha256sum", "many", "bare", "upper-case", "github-release", "helm-index"],
)
def test_every_publishers_form_of_a_checksum_list_is_read(text: str) -> None:
    assert listed(text, "kwok-linux-amd64") == SUM


@pytest.mark.parametrize("text", ["", "{}", f"{SUM}  kwok-linux-amd64.tar", f"{SUM[:-1]}", "entries: {}"])
def test_a_list_that_does_not_name_the_file_gives_no_checksum(text: str) -> None:
    assert listed(text, "kwok-linux-amd64") is None


def test_sites_that_do_not_answer_are_told_from_those_that_do(publisher: Publisher) -> None:
    closed = "http://127.0.0.1:9"
    urls = [f"{publisher.url}/a", f"{publisher.url}/b", f"{closed}/c"]
    assert reachable(urls, Patience(reach=10)) == {download.site_of(publisher.url)}


def tar_with(name: str, link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        if link is not None:
            info.type, info.linkname = tarfile.SYMTYPE, link
        tar.addfile(info, io.BytesIO(b""))
        tar.addfile(tarfile.TarInfo("tool/tool"), io.BytesIO(b""))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["../outside", "/outside", "tool/../../outside"])
def test_an_archive_that_reaches_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    source = tmp_path / "tool.tar.gz"
    source.write_bytes(tar_with(name))
    with pytest.raises(ToolchainError, match="is refused"):
        take_programs(source, ("tool",), tmp_path / "bin")
    with pytest.raises(ToolchainError, match="is refused"):
        take_folder(source, "tool", tmp_path / "charts" / "tool")
    assert not (tmp_path / "outside").exists()


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    source = tmp_path / "tool.tar.gz"
    source.write_bytes(tar_with("tool/kubectl", link="/etc/passwd"))
    with pytest.raises(ToolchainError, match="does not hold kubectl"):
        take_programs(source, ("kubectl",), tmp_path / "bin")


def test_a_file_that_is_no_archive_is_an_error_in_words(tmp_path: Path) -> None:
    source = tmp_path / "tool.tar.gz"
    source.write_bytes(b"<html>")
    with pytest.raises(ToolchainError, match="is not an archive"):
        take_programs(source, ("tool",), tmp_path / "bin")
