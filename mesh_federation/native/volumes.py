"""Volumes of a pod: empty folders, and files from ConfigMaps, Secrets, tokens and the pod's own fields."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mesh_federation.native.pod_spec import MountSpec, PodDescription, VolumeSource, VolumeSpec
from mesh_federation.native.variables import Content, Downward, Lookup, SourceMissing

DATA = "..data"
"""The link to the folder with the present files. It is replaced at once, so that no reader sees half an update."""
RENEW_AT = 0.8
"""Share of a token's life after which the next one is asked for."""
PRIVATE_MODE = 0o600

IssueToken = Callable[[VolumeSource], tuple[str, float]]
"""Asks the API server for a token: the token, and seconds for which it is valid."""


@dataclass(frozen=True)
class VolumeFile:
    """A file of a volume; `owner` is a user's id, None for root."""

    content: bytes
    mode: int
    owner: int | None = None


Payload = Mapping[str, VolumeFile]
"""The files of a volume by their path in it."""


def content_files(source: VolumeSource, content: Content | None) -> dict[str, VolumeFile]:
    """Return the files of a source of kind configMap or secret.

    Raises:
        SourceMissing: the object, or a key of it, is not there, and is not optional.
    """
    if content is None:
        if source.optional:
            return {}
        raise SourceMissing(f'{source.kind.lower()} "{source.name}" not found')
    if not source.items:
        return {key: VolumeFile(value, source.mode) for key, value in content.items()}
    files = {}
    for item in source.items:
        if item.key in content:
            files[item.path] = VolumeFile(content[item.key], source.mode if item.mode is None else item.mode)
        elif not source.optional:
            raise SourceMissing(f'{source.kind.lower()} "{source.name}" has no key {item.key}')
    return files


def downward_files(source: VolumeSource, downward: Downward) -> dict[str, VolumeFile]:
    """Return the files of a source of kind downwardAPI. Raises SourceMissing."""
    return {
        item.path: VolumeFile(downward.value(item.source).encode(), source.mode if item.mode is None else item.mode)
        for item in source.items
        if item.source
    }


def write_payload(folder: Path, payload: Payload, group: int | None) -> None:
    """Replace the files of a volume at once, as a kubelet does: names link to `..data`, which links to the files.

    Args:
        folder: of the volume.
        payload: all its files.
        group: which may read them; None for root's.
    """
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    fresh.chmod(0o755)
    for path, file in payload.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        os.chown(target, -1 if file.owner is None else file.owner, -1 if group is None else group)
        target.chmod(file.mode if group is None else file.mode | 0o440)
    previous = os.readlink(folder / DATA) if (folder / DATA).is_symlink() else ""
    (folder / f"{DATA}_new").symlink_to(fresh.name)
    (folder / f"{DATA}_new").rename(folder / DATA)
    names = {path.split("/")[0] for path in payload}
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{DATA}/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    if previous:
        shutil.rmtree(folder / previous)


@dataclass
class _Token:
    text: str
    renew_at: float


@dataclass
class PodVolumes:
    """The volumes of one pod on this machine.

    Attributes:
        spec: the pod.
        disk: folder for volumes on disk.
        memory: folder for volumes in memory, where all Secrets are.
        lookup: reads ConfigMaps and Secrets.
        issue: asks for tokens.
    """

    spec: PodDescription
    disk: Path
    memory: Path
    lookup: Lookup
    issue: IssueToken
    _written: dict[str, Payload] = field(default_factory=dict)
    _tokens: dict[VolumeSource, _Token] = field(default_factory=dict)

    def refresh(self, downward: Downward) -> None:
        """Make the volumes, or bring their files up to date.

        Raises:
            SourceMissing: something that they need is not there.
            ApiError, OSError: it could not be read.
        """
        for volume in self.spec.volumes:
            folder = self._folder(volume)
            if not folder.exists():
                self._make(folder)
            if volume.sources:
                payload = self._payload(volume, downward)
                if self._written.get(volume.name) != payload:
                    write_payload(folder, payload, self.spec.fs_group)
                    self._written[volume.name] = payload

    def renewal(self) -> float | None:
        """Return when the next token must be renewed (of `time.monotonic`); None if there is none."""
        return min((token.renew_at for token in self._tokens.values()), default=None)

    def uses(self, kind: str, name: str) -> bool:
        """Say whether a volume has files from a ConfigMap or Secret."""
        return any((source.kind, source.name) == (kind, name) for item in self.spec.volumes for source in item.sources)

    def source(self, mount: MountSpec, sub_path: str) -> Path:
        """Return the file or folder that a mount shows.

        Raises:
            SourceMissing: the path below the volume leads out of it.
        """
        folder = self._folder(next(volume for volume in self.spec.volumes if volume.name == mount.volume))
        if not sub_path:
            return folder
        target = Path(os.path.realpath(folder / sub_path))
        if not target.is_relative_to(os.path.realpath(folder)):
            raise SourceMissing(f"subPath {sub_path} leads out of the volume {mount.volume}")
        if not target.exists():
            self._make(target)
        return target

    def remove(self) -> None:
        """Remove everything that was written."""
        for folder in (self.disk, self.memory):
            with suppress(FileNotFoundError):
                shutil.rmtree(folder)

    def _folder(self, volume: VolumeSpec) -> Path:
        return (self.memory if volume.in_memory else self.disk) / volume.name

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        if self.spec.fs_group is not None:
            os.chown(folder, -1, self.spec.fs_group)
            folder.chmod(0o2777)

    def _payload(self, volume: VolumeSpec, downward: Downward) -> Payload:
        files: dict[str, VolumeFile] = {}
        for source in volume.sources:
            if source.kind == "serviceAccountToken":
                files[source.path] = self._token_file(source)
            elif source.kind == "downwardAPI":
                files.update(downward_files(source, downward))
            else:
                files.update(content_files(source, self.lookup(source.kind, source.name)))
        return files

    def _token_file(self, source: VolumeSource) -> VolumeFile:
        """Return the file of a token, for its user alone where all containers have the same."""
        token = self._tokens.get(source)
        if token is None or time.monotonic() >= token.renew_at:
            text, seconds = self.issue(source)
            token = self._tokens[source] = _Token(text, time.monotonic() + RENEW_AT * seconds)
        owner = self.spec.common_user
        shared = owner is None and self.spec.fs_group is None
        return VolumeFile(token.text.encode(), source.mode if shared else PRIVATE_MODE, owner)
