"""Builds programs from pinned Go modules, verified by their go.sum, if official releases cannot be downloaded."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from mesh_federation import process
from mesh_federation.toolchain.errors import ToolchainError, from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import GoProgram, GoSource

_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")
# Beyond the size of the programs: what compiling them leaves in Go's caches.
_FIX_GO = "install it from https://go.dev/dl or with your package manager, then run it again"


def program(piece: str, recipe: GoProgram, executable: Path, scratch: Path, host: Host) -> None:
    """Build one program and install it.

    Raises:
        ToolchainError: no Go, an old Go, a full disk, a module that does not come or whose hash is wrong.
    """
    ready_to_build(piece, recipe.module, host)
    folder = scratch / recipe.module
    built = scratch / f"{piece}.new"
    try:
        _copy_module(host.modules / recipe.module, folder)
        if recipe.embeds_module:
            origin = _module_folder(piece, recipe.embeds_module, folder, host)
            for file in recipe.embeds:
                target = folder / Path(file).name
                target.unlink(missing_ok=True)
                shutil.copyfile(origin / file, target)  # not its mode: module folders are read-only
        settings = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in recipe.variables.items())])
        # The same flags wherever these modules are built, so that Go's build cache serves them all.
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", settings]
        _go(piece, ["build", *flags, "-o", str(built), recipe.package], folder, host)
        executable.parent.mkdir(parents=True, exist_ok=True)
        built.chmod(0o755)  # whatever the umask is: containers run it as other users
        os.replace(built, executable)
    except OSError as error:
        raise from_os(f"cannot build {piece}", scratch, error) from error


def chart(piece: str, recipe: GoSource, version: str, target: Path, scratch: Path, host: Host) -> None:
    """Copy a chart out of its module and give it the version that its release would have."""
    ready_to_build(piece, recipe.module, host)
    folder = scratch / recipe.module
    staged = target.with_name(f".{target.name}.new")
    try:
        _copy_module(host.modules / recipe.module, folder)
        origin = _module_folder(piece, recipe.package, folder, host) / recipe.path
        shutil.rmtree(staged, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy_files(origin, staged)
        description = staged / "Chart.yaml"
        text = description.read_text()
        # The source tree carries a placeholder; a diff should name the release.
        description.write_text(re.sub(r"^(version|appVersion):.*$", rf"\1: {version}", text, flags=re.MULTILINE))
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)
    except OSError as error:
        raise from_os(f"cannot stage {piece}", target.parent, error) from error


def manifest(piece: str, recipe: GoSource, pinned: str | None, target: Path, scratch: Path, host: Host) -> None:
    """Copy a manifest out of its module; if the publisher's file is pinned, the bytes must be equal."""
    ready_to_build(piece, recipe.module, host)
    folder = scratch / recipe.module
    staged = target.with_name(f".{target.name}.new")
    try:
        _copy_module(host.modules / recipe.module, folder)
        content = _content(_module_folder(piece, recipe.package, folder, host), recipe)
        if pinned is not None and (actual := hashlib.sha256(content).hexdigest()) != pinned:
            raise ToolchainError(
                f"{piece} is not the file that is pinned",
                f"[checksums] in mesh_federation/toolchain/pins.toml lists {pinned};"
                f" {recipe.path} of {recipe.package} has {actual}",
                f"find out which one is the publisher's, then correct that line or"
                f" mesh_federation/toolchain/modules/{recipe.module}",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(content)
        staged.chmod(0o644)
        staged.replace(target)
    except OSError as error:
        raise from_os(f"cannot stage {piece}", target.parent, error) from error


def _content(origin: Path, recipe: GoSource) -> bytes:
    """Return a manifest, or join it as the publisher's release script does: a header, then each file under its name."""
    if recipe.head is None:
        return (origin / recipe.path).read_bytes()
    parts = [(origin / recipe.head).read_bytes(), f"#\n# {recipe.title}\n#\n".encode()]
    for file in sorted(origin.glob(recipe.path)):
        parts += [f"---\n#\n# {file.relative_to(origin).as_posix()}\n#\n".encode(), file.read_bytes()]
    return b"".join(parts)


def ready_to_build(piece: str, module: str, host: Host) -> None:
    """Raise an error early if there is no Go, or if it is too old and may not download a newer one."""
    needed = required_go(host.modules / module / "go.mod")
    found = go_version(host)
    if found is None:
        raise ToolchainError(
            f"{piece} cannot be built", f"there is no Go on this machine; {_text(needed)} or newer is needed", _FIX_GO
        )
    # From 1.21 on Go fetches the version that a module asks for, unless it was told not to.
    if found < needed and (found < (1, 21, 0) or _setting(host, "GOTOOLCHAIN").startswith(("local", "path"))):
        raise ToolchainError(
            f"{piece} cannot be built", f"Go is {_text(found)}, {_text(needed)} or newer is needed", _FIX_GO
        )


def required_go(go_mod: Path) -> tuple[int, int, int]:
    """Return the Go version that a module requires."""
    match = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?", go_mod.read_text(), re.MULTILINE)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (1, 21, 0)


def go_version(host: Host) -> tuple[int, int, int] | None:
    """Return the version of the Go on the search path; None if there is none."""
    command = shutil.which(host.go, path=host.path)
    if command is None:
        return None
    try:
        # `local`: the version of this very Go, not of one that it would fetch.
        shown = process.run([command, "version"], variables={"GOTOOLCHAIN": "local"}, timeout=20).stdout
    except (OSError, process.ProgramMissing, process.ProgramTimeout):
        return None
    match = _VERSION.search(shown)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _setting(host: Host, name: str) -> str:
    command = shutil.which(host.go, path=host.path) or host.go
    return process.run([command, "env", name]).stdout.strip()


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def _copy_module(module: Path, folder: Path) -> None:
    """Return a temporary copy: a build never writes into the checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in ("go.mod", "go.sum", "*.go"):
        for file in module.glob(pattern):
            shutil.copyfile(file, folder / file.name)


def _copy_files(origin: Path, target: Path) -> None:
    """Copy contents without modes: module folders are read-only, and the copies would be too."""
    for file in sorted(origin.rglob("*")):
        if file.is_file():
            copy = target / file.relative_to(origin)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _module_folder(piece: str, package: str, folder: Path, host: Host) -> Path:
    shown = _go(piece, ["mod", "download", "-json", package], folder, host)
    return Path(json.loads(shown)["Dir"])


def _go(piece: str, arguments: list[str], folder: Path, host: Host) -> str:
    command = shutil.which(host.go, path=host.path) or host.go
    variables = {"PATH": host.path, "CGO_ENABLED": "0", "GOWORK": "off"}
    done = process.run([command, *arguments], folder=folder, variables=variables)
    if done.returncode == 0:
        return done.stdout
    said = f"{done.stderr}\n{done.stdout}".strip()
    raise _explain(piece, said, done.returncode)


def _explain(piece: str, said: str, code: int) -> ToolchainError:
    """Return the error for Go's output, with what the user can do about it."""
    what = f"{piece} cannot be built from its Go module"
    last = " / ".join(line.strip() for line in said.splitlines()[-3:]) or f"go ended with {code}"
    if "no space left on device" in said or "file too large" in said:
        fix = "free about 8 GiB (`go env GOCACHE GOMODCACHE` names Go's folders), then run it again: it goes on"
        return ToolchainError(what, "no space left on the disk", fix)
    if "SECURITY ERROR" in said or "checksum mismatch" in said:
        fix = "`go clean -modcache`, then run it again; if it stays so, do not go on: a module is not what it was"
        return ToolchainError(what, f"a module's hash is not the one in go.sum: {last}", fix)
    if code < 0 or "signal: killed" in said:
        return ToolchainError(what, f"the build was stopped: {last}", "give it 4 GiB of memory, then run it again")
    if any(sign in said for sign in ("dial tcp", "no such host", "i/o timeout", "403 Forbidden", "404 Not Found")):
        return ToolchainError(
            what, f"a module does not come: {last}", "see to the network or to GOPROXY, then run it again"
        )
    return ToolchainError(what, last, "run it again; if it stays so, report it with what is said here")
