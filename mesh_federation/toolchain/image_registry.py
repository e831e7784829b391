"""The registry route: a released container image, fetched by its digest and unpacked, without Docker.

Every document and every layer is checked against its digest, which ends at that of the tag: pinned, or recorded when
the tag was first used. Only what registries give to everybody is fetched; there is nowhere to log in. Layers that are
compressed by anything but gzip are refused.

Of the Python libraries for registries, oras does not check the digests of layers, python-dxf bounds no sizes, and
neither unpacks.

Source: OCI distribution specification 1.1; OCI image specification 1.1; "Token Authentication Specification" of the
Distribution project.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlencode, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel, to_pascal

from mesh_federation.native.image import Image
from mesh_federation.toolchain import download, image_layers
from mesh_federation.toolchain.errors import DownloadFailed, ToolchainError, from_os
from mesh_federation.toolchain.host import Host, Patience
from mesh_federation.toolchain.pins import ReleasedImage

_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_LAYERS = (
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)
_LARGEST_DOCUMENT = 4 * 2**20
"""Bytes: the specification asks registries to take manifests of that size."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class _Platform(_Document):
    os: str
    architecture: str


class _Descriptor(_Document):
    media_type: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int = Field(ge=0)
    platform: _Platform | None = None

    @property
    def sha256(self) -> str:
        return self.digest.removeprefix("sha256:")


class _Index(_Document):
    manifests: tuple[_Descriptor, ...]


class _Manifest(_Document):
    config: _Descriptor
    layers: tuple[_Descriptor, ...]


class _Settings(_Document):
    model_config = ConfigDict(frozen=True, alias_generator=to_pascal)

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    user: str = ""


class _Config(_Document):
    config: _Settings = _Settings()


T = TypeVar("T")


@dataclass(frozen=True)
class Pulled:
    """An image that came.

    Attributes:
        image: what a container of it is started from.
        sha256: digest of what the tag stands for, to be recorded.
    """

    image: Image
    sha256: str


def pull(released: ReleasedImage, recorded: str | None, folder: Path, scratch: Path, host: Host) -> Pulled:
    """Fetch a released image for this machine and unpack it as the folder `root` of its folder.

    Args:
        released: the image.
        recorded: digest that its tag stood for when it was first used; None if it never was.
        folder: of the image; the old `root` in it is replaced.
        scratch: folder for layers that are on their way.
        host: the machine.

    Raises:
        DownloadFailed: the registry does not deliver, or has nothing that runs here.
        ToolchainError: a digest or a layer is wrong, or the disk is full.
    """
    registry = _Registry(released, host.patience)
    tagged, sha256 = registry.manifest(f"sha256:{recorded}" if recorded else released.tag)
    manifest = _for_machine(tagged, registry, host) if isinstance(tagged, _Index) else tagged
    settings = registry.config(manifest.config, scratch)
    root = _unpacked(registry.layers(manifest, scratch), folder)
    return Pulled(_image(settings, root), sha256)


class _Registry:
    """The repository of one image in its registry."""

    def __init__(self, released: ReleasedImage, patience: Patience) -> None:
        self._released = released
        self._patience = patience
        self._base = f"{released.registry}/v2/{released.name}"
        self._challenge = download.challenge(f"{released.registry}/v2/", patience)

    def manifest(self, reference: str) -> tuple[_Index | _Manifest, str]:
        """Return what a tag or a digest stands for, with its digest."""
        url = f"{self._base}/manifests/{reference}"
        headers = {"Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
        text = download.read(url, headers, self._authorization(), _LARGEST_DOCUMENT, self._patience)
        sha256 = hashlib.sha256(text).hexdigest()
        if reference.startswith("sha256:") and reference != f"sha256:{sha256}":
            raise _wrong(url, sha256)
        kind: TypeAdapter[_Index | _Manifest] = TypeAdapter(_Index | _Manifest)
        return _read(kind, text, url), sha256

    def config(self, descriptor: _Descriptor, scratch: Path) -> _Settings:
        """Return what the image says about its processes."""
        if descriptor.size > _LARGEST_DOCUMENT:
            raise image_layers.ImageRefused(f"its configuration has {descriptor.size} bytes")
        file = self._blob(descriptor, scratch)
        return _read(TypeAdapter(_Config), file.read_bytes(), file.name).config

    def layers(self, manifest: _Manifest, scratch: Path) -> list[Path]:
        """Fetch all layers, the lowest first."""
        if unknown := [layer.media_type for layer in manifest.layers if layer.media_type not in _LAYERS]:
            raise self._unusable(f"a layer is of the type {unknown[0]}; only tar and tar with gzip can be unpacked")
        if sum(layer.size for layer in manifest.layers) > image_layers.LARGEST:
            raise image_layers.ImageRefused(f"its layers are larger than {image_layers.LARGEST >> 30} GiB")
        return [self._blob(layer, scratch) for layer in manifest.layers]

    def _unusable(self, why: str) -> DownloadFailed:
        named = f"{self._released.name}:{self._released.tag}"
        return DownloadFailed(f"{named} cannot be used", why, "update mesh_federation/toolchain/pins.toml")

    def _blob(self, descriptor: _Descriptor, scratch: Path) -> Path:
        url, limit = f"{self._base}/blobs/{descriptor.digest}", descriptor.size
        return download.fetch_blob(url, descriptor.sha256, limit, scratch, self._authorization(), self._patience)

    def _authorization(self) -> str:
        """Return a header's value with a new token, for tokens are short-lived; empty where none is asked for."""
        if not self._challenge:
            return ""
        scheme, _, rest = self._challenge.partition(" ")
        words = parse_keqv_list(parse_http_list(rest)) if scheme.lower() == "bearer" else {}
        if "realm" not in words:
            raise self._unusable("its registry gives it to nobody without a password")
        realm = words["realm"]
        if urlsplit(realm).scheme not in ("https", urlsplit(self._base).scheme):
            raise self._unusable(f"its registry sends everybody to {realm} for a token, without TLS")
        asked = {"service": words.get("service", ""), "scope": f"repository:{self._released.name}:pull"}
        text = download.read(f"{realm}?{urlencode(asked)}", {}, "", _LARGEST_DOCUMENT, self._patience)
        token = _read(TypeAdapter(Mapping[str, object]), text, realm)
        return f"Bearer {token.get('token') or token.get('access_token')}"


def _for_machine(index: _Index, registry: _Registry, host: Host) -> _Manifest:
    wanted = _Platform(os=host.system, architecture=host.arch)
    fitting = [descriptor for descriptor in index.manifests if descriptor.platform == wanted]
    if not fitting:
        raise DownloadFailed(
            "no released image for this machine",
            f"there is none for {wanted.os} on {wanted.architecture}",
            "use another machine",
        )
    manifest, _ = registry.manifest(fitting[0].digest)
    if isinstance(manifest, _Index):
        raise image_layers.ImageRefused("an index of it leads to another index")
    return manifest


def _read(kind: TypeAdapter[T], text: bytes, source: str) -> T:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{source} is not the document that a registry has there: {where or 'JSON'}: {first['msg']}"
        raise DownloadFailed("a registry cannot be understood", why, "check for a proxy, then run it again") from error


def _wrong(url: str, sha256: str) -> ToolchainError:
    return ToolchainError(
        f"wrong checksum for {url}",
        f"what arrived has {sha256}; it was thrown away",
        "run it again; if it stays so, something between here and the registry changes files: do not go on",
    )


def _unpacked(layers: list[Path], folder: Path) -> Path:
    """Unpack beside the old folder, then put the new one in its place."""
    root, staged = folder / "root", folder / ".root.new"
    try:
        shutil.rmtree(staged, ignore_errors=True)
        image_layers.unpack(layers, staged)
        shutil.rmtree(root, ignore_errors=True)
        staged.rename(root)
    except OSError as error:
        raise from_os("cannot unpack a container image", folder, error) from error
    return root


def _image(settings: _Settings, root: Path) -> Image:
    user, group = _owner(settings.user, root)
    return Image(
        root=str(root),
        files={},
        entrypoint=settings.entrypoint or (),
        arguments=settings.cmd or (),
        environment=dict(entry.split("=", 1) for entry in settings.env or () if "=" in entry),
        user=user,
        group=group,
    )


def _owner(named: str, root: Path) -> tuple[int, int]:
    """Return the ids of `user` or `user:group`, each a number or a name of the image's own; no user is root."""
    user, _, group = named.partition(":")
    user = user or "0"
    account = _entry("passwd", user, root) or [user, "", user, "0"]
    uid, gid = account[2], account[3]
    if group:
        gid = (_entry("group", group, root) or [group, "", group])[2]
    if not (uid.isdigit() and gid.isdigit()):
        why = f"it runs as {named}, which its /etc/passwd and /etc/group do not have"
        raise DownloadFailed("a released image cannot be used", why, "update mesh_federation/toolchain/pins.toml")
    return int(uid), int(gid)


def _entry(database: str, named: str, root: Path) -> list[str] | None:
    """Return the line of a user or a group, by name or by number."""
    file = image_layers.inside(root, PurePosixPath("etc", database))
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    entries = [line.split(":") for line in lines if line.count(":") >= 3]
    return next((entry for entry in entries if named in (entry[0], entry[2])), None)
