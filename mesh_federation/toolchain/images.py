"""Container images: what each is started from, and the table of all, which the agents of native clusters read.

The table names a repository only if a pinned image is there for it. An image of another hub or of the user's own is no
entry: a pod that asks for it is refused with that reason, and never runs something else under its name.
"""

import shutil
from pathlib import Path
from typing import TypeVar

from mesh_federation import document
from mesh_federation.native.image import PROXY, Image, ImageTable
from mesh_federation.toolchain.errors import ToolchainError, from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.locate import Shelf, main_file
from mesh_federation.toolchain.pins import Piece, Pins

T = TypeVar("T")


def assemble(piece: Piece, pins: Pins, store: Shelf, host: Host) -> Image:
    """Return an image that is put together: its parts and programs of this machine, on this machine's own /usr.

    Raises:
        ToolchainError: this machine lacks a program.
    """
    recipe = piece.image
    assert recipe
    parts = {part.name: main_file(part, store) for part in pins.parts(recipe)}
    files = {path: str(parts[name]) for path, name in recipe.parts.items()}
    for path, name in recipe.machine.items():
        files[path] = _of_machine(piece, name, host)
    return Image(
        root="",
        files=files,
        entrypoint=recipe.entrypoint,
        arguments=recipe.arguments,
        environment={},
        user=recipe.user,
        group=recipe.group,
    )


def keep(piece: Piece, image: Image, pins: Pins, store: Shelf) -> None:
    """Write the image's own document, then the table of all images that are there; the caller holds the lock."""
    file = main_file(piece, store)
    _write(file, document.write(image))
    if not image.root:
        shutil.rmtree(file.with_name("root"), ignore_errors=True)  # of a released one that it takes the place of
    recipes = {each.image.repository: main_file(each, store) for each in pins.pieces if each.image}
    images = {repository: _read(Image, file) for repository, file in recipes.items()}
    there = {repository: found for repository, found in images.items() if found}
    _write(store.image_table, document.write(ImageTable(there)))


def has_istios_envoy(store: Shelf) -> bool | None:
    """Return whether the proxies of native clusters run Istio's own Envoy; None if there is no image of them."""
    table = _read(ImageTable, store.image_table)
    return table.has_istios_envoy if table and table.find(PROXY) else None


def _read(kind: type[T], file: Path) -> T | None:
    """Read a document; None if it is not there, or is damaged."""
    try:
        return document.read(kind, file.read_text(), str(file))
    except (OSError, ValueError):
        return None


def _of_machine(piece: Piece, name: str, host: Host) -> str:
    found = shutil.which(name, path=host.path)
    if found is None:
        raise ToolchainError(
            f"{piece.name} cannot be put together",
            f"there is no {name} on this machine",
            f"install {name} with your package manager, then run it again",
        )
    return found


def _write(path: Path, text: str) -> None:
    """Write a document whole or not at all."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text)
        scratch.replace(path)
    except OSError as error:
        raise from_os(f"cannot keep {path.name}", path.parent, error) from error
