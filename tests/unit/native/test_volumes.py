"""Files of volumes: what is in them, and that an update is seen at once or not at all."""

import os
import stat
import time
from pathlib import Path

import pytest

from mesh_federation.native.pod_spec import VolumeSource
from mesh_federation.native.variables import Content, Downward, SourceMissing
from mesh_federation.native.volumes import DATA, PodVolumes, VolumeFile, content_files, write_payload
from tests.unit.native.example_pods import container, pod_object, pod_spec


def test_an_update_replaces_all_files_by_one_link(tmp_path: Path) -> None:
    write_payload(tmp_path, {"a": VolumeFile(b"1", 0o644), "deep/b": VolumeFile(b"2", 0o600)}, None)
    before = os.readlink(tmp_path / DATA)
    with (tmp_path / "a").open("rb") as reader:
        write_payload(tmp_path, {"a": VolumeFile(b"3", 0o644), "c": VolumeFile(b"4", 0o644)}, None)
        assert reader.read() == b"1"
    assert os.readlink(tmp_path / DATA) != before
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(entry.name for entry in tmp_path.iterdir() if not entry.name.startswith("..")) == ["a", "c"]
    assert len([entry for entry in tmp_path.iterdir() if entry.name.startswith("..")]) == 2


def test_files_have_their_mode_and_are_readable_for_the_pods_group(tmp_path: Path) -> None:
    write_payload(tmp_path, {"a": VolumeFile(b"", 0o400)}, os.getgid())
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o440


def test_items_choose_keys_paths_and_modes() -> None:
    spec = pod_spec(volumes=[{"name": "v", "configMap": {
        "name": "settings", "defaultMode": 0o600,
        "items": [{"key": "a", "path": "x/y", "mode": 0o400}, {"key": "b", "path": "z"}],
    }}])  # fmt: skip
    files = content_files(spec.volumes[0].sources[0], {"a": b"1", "b": b"2", "c": b"3"})
    assert files == {"x/y": VolumeFile(b"1", 0o400), "z": VolumeFile(b"2", 0o600)}


def test_what_is_missing_is_an_error_unless_it_is_optional() -> None:
    source = VolumeSource("secret", 0o644, name="missing")
    with pytest.raises(SourceMissing, match='secret "missing" not found'):
        content_files(source, None)
    assert content_files(VolumeSource("secret", 0o644, name="missing", optional=True), None) == {}


def volumes_of(tmp_path: Path, seconds: float, **spec: object) -> tuple[PodVolumes, Downward, list[str]]:
    """Return volumes with a token in them, and the audiences that were asked for."""
    token = {"serviceAccountToken": {"path": "token", "audience": "istio-ca"}}
    spec = {"volumes": [{"name": "all", "projected": {"sources": [token]}}], **spec}
    asked: list[str] = []

    def issue(source: VolumeSource) -> tuple[str, float]:
        asked.append(source.audience)
        return f"token {len(asked)}", seconds

    def nothing(kind: str, name: str) -> Content | None:
        return None

    read = pod_spec(**spec)
    downward = Downward(pod_object(**spec), read, "10.10.0.5", "node", "172.30.0.2")
    return PodVolumes(read, tmp_path / "disk", tmp_path / "memory", nothing, issue), downward, asked


def test_a_token_is_asked_for_once_and_again_at_four_fifths_of_its_life(tmp_path: Path) -> None:
    volumes, downward, asked = volumes_of(tmp_path, 1000)
    volumes.refresh(downward)
    volumes.refresh(downward)
    assert asked == ["istio-ca"]
    renewal = volumes.renewal()
    assert renewal and 790 < renewal - time.monotonic() <= 800
    assert (tmp_path / "memory" / "all" / "token").read_text() == "token 1"


def test_a_token_at_the_end_of_its_life_is_replaced(tmp_path: Path) -> None:
    volumes, downward, asked = volumes_of(tmp_path, 0)
    volumes.refresh(downward)
    volumes.refresh(downward)
    assert len(asked) == 2
    assert (tmp_path / "memory" / "all" / "token").read_text() == "token 2"


def test_a_token_belongs_to_the_user_of_all_containers(tmp_path: Path) -> None:
    user = os.getuid()
    volumes, downward, _ = volumes_of(
        tmp_path, 1000, securityContext={"runAsUser": user}, containers=[container(), container()]
    )
    volumes.refresh(downward)
    status = (tmp_path / "memory" / "all" / "token").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, user)


def test_a_sub_path_does_not_lead_out_of_its_volume(tmp_path: Path) -> None:
    spec = pod_spec(
        volumes=[{"name": "v", "emptyDir": {}}],
        containers=[container(volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "link/x"}])],
    )
    (tmp_path / "disk" / "v").mkdir(parents=True)
    (tmp_path / "disk" / "v" / "link").symlink_to("/etc")
    volumes = PodVolumes(
        spec, tmp_path / "disk", tmp_path / "memory", lambda kind, name: None, lambda source: ("", 0.0)
    )
    with pytest.raises(SourceMissing, match="leads out of the volume v"):
        volumes.source(spec.containers[0].mounts[0], "link/x")
