"""The pins: which version of what, from where. Loaded from pins.toml, the only place that names them."""

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host

Kind = Literal["engine", "language", "plugin", "tool", "chart", "manifest", "template", "image"]

_RECORD = re.compile(r"[0-9a-f]{64}  \S+")


@dataclass(frozen=True)
class Official:
    """A publisher's own download.

    Attributes:
        url: the file: a program, a manifest, or an archive.
        checksums: the publisher's list of checksums, None where it has none and the pins hold the file's own.
    """

    url: str
    checksums: str | None

    @property
    def urls(self) -> tuple[str, ...]:
        """All URLs that are requested from the publisher."""
        return (self.url, self.checksums) if self.checksums else (self.url,)


@dataclass(frozen=True)
class GoProgram:
    """A program that is built from a pinned Go module.

    Attributes:
        module: folder in mesh_federation/toolchain/modules with its go.mod and go.sum.
        package: import path of its main package.
        variables: what the linker sets.
        embeds_module: module whose files must lie beside main.go before it is built.
        embeds: those files.
    """

    module: str
    package: str
    variables: Mapping[str, str]
    embeds_module: str | None = None
    embeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoSource:
    """A folder or a file of a pinned Go module that is used as it is.

    Attributes:
        module: folder in mesh_federation/toolchain/modules with its go.mod and go.sum.
        package: the module that holds it.
        path: where it lies in there; a pattern where a manifest is joined from several files.
        head: file that begins a joined manifest, None where it is one file.
        title: what the publisher writes above a joined manifest.
    """

    module: str
    package: str
    path: str
    head: str | None = None
    title: str = ""


@dataclass(frozen=True)
class Wheel:
    """A program that a wheel of a Python package index holds.

    Attributes:
        package: name of the package; the version is the piece's.
        file: where the program lies in the wheel.
        sha256: checksums of the wheels that are accepted, one for each platform.
    """

    package: str
    file: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class ReleasedImage:
    """A container image in its publisher's registry.

    Attributes:
        registry: address of the registry's API, `https://registry-1.docker.io`.
        name: of the repository in that registry, `istio/proxyv2`.
        tag: of the release.
    """

    registry: str
    name: str
    tag: str

    @property
    def url(self) -> str:
        """Address of its manifest, by which its digest is pinned or recorded."""
        return f"{self.registry}/v2/{self.name}/manifests/{self.tag}"


@dataclass(frozen=True)
class ImageRecipe:
    """A container image: where it is released, and what it is put together from where that is out of reach.

    Attributes:
        repository: by which pods ask for it, in full: `docker.io/istio/proxyv2`.
        released: in its publisher's registry.
        parts: names of pieces, by their path in the container.
        machine: names of programs of this machine, by their path in the container.
        entrypoint: of the image that is put together, as the released one has it; so are the next three.
        arguments: those that follow the entrypoint.
        user: id.
        group: id.
    """

    repository: str
    released: ReleasedImage
    parts: Mapping[str, str]
    machine: Mapping[str, str]
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    user: int
    group: int


@dataclass(frozen=True)
class Piece:
    """One piece of the toolchain: a program, a plugin, a chart or a manifest.

    Attributes:
        name: its name, for programs that of the executable.
        version: pinned version.
        kind: what it is to the engine.
        providers: those that need it.
        executables: the files that it brings; the first is the one that is asked for.
        probe: arguments with which it prints its version.
        chart: name of the chart's folder.
        manifest: name of the manifest's file.
        template: name of the file of a template that a program of an image reads.
        image: how the image is got.
        official: the publisher's download, where there is one for this machine.
        program: how to build it from a Go module.
        source: where it lies in a Go module.
        wheel: the wheel that holds it.
        standin: Python module that stands in for it where no other route leads.
    """

    name: str
    version: str
    kind: Kind
    providers: frozenset[str]
    executables: tuple[str, ...]
    probe: tuple[str, ...] = ()
    chart: str | None = None
    manifest: str | None = None
    template: str | None = None
    image: ImageRecipe | None = None
    official: Official | None = None
    program: GoProgram | None = None
    source: GoSource | None = None
    wheel: Wheel | None = None
    standin: str | None = None

    @property
    def makes_clusters(self) -> bool:
        """Whether it only runs when a cluster is made or runs."""
        return self.kind in ("tool", "image") and self.providers != frozenset(PROVIDERS)

    @property
    def is_part(self) -> bool:
        """Whether it is only needed where an image is put together."""
        return not self.providers


@dataclass(frozen=True)
class Pins:
    """All pins of one checkout for one machine.

    Attributes:
        pieces: every piece, in the order in which it is got.
        versions: version by release.
        checksums: SHA-256 by URL, pinned in the file or recorded in the cache on first use.
        key: 12 hex digits that change with any pin; the checksums are not part of it.
    """

    pieces: tuple[Piece, ...]
    versions: Mapping[str, str]
    checksums: Mapping[str, str]
    key: str

    def needed(self, providers: frozenset[str]) -> tuple[Piece, ...]:
        """Return the pieces that these providers need."""
        return tuple(piece for piece in self.pieces if piece.providers & providers)

    def parts(self, image: ImageRecipe) -> tuple[Piece, ...]:
        """The pieces that an image is put together from."""
        return tuple(piece for piece in self.pieces if piece.name in image.parts.values())

    def previewed(self, providers: frozenset[str]) -> tuple[Piece, ...]:
        """Return those of them that a preview needs."""
        return tuple(piece for piece in self.needed(providers) if not piece.makes_clusters)

    def asking(self, providers: frozenset[str]) -> tuple[Piece, ...]:
        """Return those of them that are needed to read the state of a stack."""
        return tuple(piece for piece in self.needed(providers) if piece.kind == "engine")


def load(host: Host) -> Pins:
    """Read the pins of the host's checkout, and the checksums that this machine recorded."""
    text = host.pins.read_text()
    document = tomllib.loads(text)
    versions: dict[str, str] = document["versions"]
    tables: dict[str, dict[str, Any]] = document["pieces"]
    return Pins(
        pieces=tuple(_piece(name, tables, versions, host) for name in tables),
        versions=versions,
        checksums={**_recorded(host.checksums), **document.get("checksums", {})},
        key=_key(host, document),
    )


def record_checksum(record: Path, url: str, sha256: str) -> None:
    """Add the checksum of an official file to the record. One line in one write, so that runs at once lose nothing."""
    record.parent.mkdir(parents=True, exist_ok=True)
    with record.open("a") as file:
        file.write(f"{sha256}  {url}\n")


def _recorded(record: Path) -> dict[str, str]:
    """SHA-256 by URL. The first record of a file counts; a line that was not written to its end is none."""
    try:
        lines = record.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {url: sha256 for sha256, url in reversed([line.split() for line in lines if _RECORD.fullmatch(line)])}


def checked(providers: Collection[str]) -> frozenset[str]:
    """The providers as a set, refused when one is not known."""
    chosen = frozenset(providers)
    if unknown := sorted(chosen - set(PROVIDERS)):
        raise ToolchainError(
            f"unknown provider {', '.join(unknown)}",
            "the toolchain knows what each provider needs only for those it has",
            f"use one of {', '.join(PROVIDERS)}",
        )
    return chosen


def _piece(name: str, tables: dict[str, dict[str, Any]], versions: Mapping[str, str], host: Host) -> Piece:
    table = tables[name]
    version = versions[table["release"]]
    major, minor, *_ = version.split(".")
    words = {**versions, "version": version, "major": major, "minor": minor, "os": host.system, "arch": host.arch}
    chart: str | None = table.get("chart")
    manifest: str | None = table.get("manifest")
    template: str | None = table.get("template")
    is_program = not (chart or manifest or template or "image" in table)
    return Piece(
        name=name,
        version=version,
        kind=table["kind"],
        providers=frozenset(table.get("provisioners", PROVIDERS)),
        executables=tuple(table.get("executables", [name])) if is_program else (),
        probe=tuple(table.get("probe", [])),
        chart=chart,
        manifest=manifest,
        template=template,
        image=_image(table.get("image"), words),
        official=_official(table.get("official"), words, host),
        program=_program(table.get("go"), tables, words),
        source=GoSource(**table["source"]) if "source" in table else None,
        wheel=_wheel(table.get("wheel")),
        standin=table.get("standin"),
    )


def _official(table: dict[str, Any] | None, words: dict[str, str], host: Host) -> Official | None:
    if table is None or host.system not in table.get("systems", [host.system]):
        return None
    words = {**words, "arch": table.get("arch", {}).get(host.arch, host.arch)}
    checksums: str | None = table.get("checksums")
    return Official(
        url=table.get(host.system, table["url"]).format(**words),
        checksums=checksums.format(**words) if checksums else None,
    )


def _program(
    table: dict[str, Any] | None, tables: dict[str, dict[str, Any]], words: dict[str, str]
) -> GoProgram | None:
    if table is None:
        return None
    variables = table.get("variables", {})
    if isinstance(variables, str):  # the same as those of the piece it names
        variables = tables[variables]["go"]["variables"]
    embeds = table.get("embeds", {})
    return GoProgram(
        module=table["module"],
        package=table["package"],
        variables={name: value.format(**words) for name, value in variables.items()},
        embeds_module=embeds.get("module"),
        embeds=tuple(embeds.get("files", [])),
    )


def _wheel(table: dict[str, Any] | None) -> Wheel | None:
    return Wheel(table["package"], table["file"], tuple(table["sha256"])) if table else None


def _image(table: dict[str, Any] | None, words: dict[str, str]) -> ImageRecipe | None:
    if table is None:
        return None
    return ImageRecipe(
        repository=table["repository"],
        released=ReleasedImage(table["registry"], table["name"], table["tag"].format(**words)),
        parts=table.get("parts", {}),
        machine=table.get("machine", {}),
        entrypoint=tuple(table.get("entrypoint", [])),
        arguments=tuple(table.get("arguments", [])),
        user=table.get("user", 0),
        group=table.get("group", 0),
    )


def _key(host: Host, document: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{host.system}/{host.arch}".encode())
    pinned = {name: table for name, table in document.items() if name not in ("checksums", "pieces")}
    pinned["pieces"] = {name: _stored(table) for name, table in document["pieces"].items()}
    digest.update(json.dumps(pinned, sort_keys=True).encode())
    for pattern in ("go.mod", "go.sum", "*.go"):
        for file in sorted(host.modules.glob(f"*/{pattern}")):
            digest.update(file.relative_to(host.modules).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _stored(table: dict[str, Any]) -> dict[str, Any]:
    """Return what of a piece decides what the cache holds: stand-ins lie in the checkout."""
    return {key: value for key, value in table.items() if key != "standin"}
