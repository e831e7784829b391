"""What is there, by which route it came, and what each provisioner still lacks."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from toolchain import build, pins
from toolchain.errors import ToolchainError
from toolchain.host import Host
from toolchain.install import survey
from toolchain.locate import Located
from toolchain.pins import PROVISIONERS, Pins

DEFAULT = "kwok"
GIB = 2**30
ROUTES = {
    "found": "found on this machine",
    "official": "official release",
    "module": "Go module",
    "stand-in": "stand-in",
}
# Free memory, in GiB, with which two clusters come up.
MEMORY = {"kwok": 2, "kind": 6, "k3d": 4, "existing": 1}
# What a provisioner needs that the toolchain does not install.
TOOLS = {"kind": ("docker", "kind"), "k3d": ("docker", "k3d")}
INSTALL = {
    "docker": "install Docker: https://docs.docker.com/engine/install/",
    "kind": "install kind: https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "k3d": "install k3d: https://k3d.io/#installation",
}


@dataclass(frozen=True)
class Lack:
    """Something that a provisioner cannot do without.

    Attributes:
        what: what is missing.
        fix: what to do.
    """

    what: str
    fix: str


@dataclass(frozen=True)
class Machine:
    """What doctor sees of the machine.

    Attributes:
        memory: bytes that are free to use.
        docker: why Docker cannot be used, None when it can.
        go: version of Go, None when there is none.
        tools: where each program is that the toolchain does not install, None when it is nowhere.
    """

    memory: int
    docker: Lack | None
    go: tuple[int, int, int] | None
    tools: Mapping[str, str | None]


def doctor(console: Console) -> int:
    """Print what is there and what is missing; 0 when the default provisioner can run."""
    host = Host.current()
    try:
        pinned = pins.load(host)
        found = survey(pinned, pinned.pieces, host)
        machine = look(host)
    except (ToolchainError, OSError, ValueError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        return 1
    console.print(_pieces(pinned, found))
    console.print(_machine(machine, host))
    lacks = {name: lacking(name, pinned, found, machine) for name in PROVISIONERS}
    console.print(_provisioners(lacks))
    for fix in dict.fromkeys(lack.fix for group in lacks.values() for lack in group):
        console.print(f"  -> {fix}", markup=False, highlight=False, soft_wrap=True)
    return 1 if lacks[DEFAULT] else 0


def look(host: Host) -> Machine:
    """Ask the machine."""
    tools = {name: shutil.which(name, path=host.path) for name in INSTALL}
    return Machine(
        memory=psutil.virtual_memory().available,
        docker=_docker(tools["docker"]),
        go=build.go_version(host),
        tools=tools,
    )


def lacking(provisioner: str, pinned: Pins, found: Mapping[str, Located | None], machine: Machine) -> list[Lack]:
    """What keeps a provisioner from running."""
    pieces = [piece.name for piece in pinned.needed(frozenset({provisioner})) if found[piece.name] is None]
    lacks = [Lack(name, f"get it: python -m toolchain {provisioner}") for name in pieces]
    for tool in TOOLS.get(provisioner, ()):
        if machine.tools[tool] is None:
            lacks.append(Lack(f"{tool} is not on PATH", INSTALL[tool]))
        elif tool == "docker" and machine.docker:
            lacks.append(machine.docker)
    if machine.memory < MEMORY[provisioner] * GIB:
        needed = MEMORY[provisioner]
        lacks.append(
            Lack(
                f"{machine.memory / GIB:.1f} GiB of memory free, {needed} needed",
                f"free some memory: {needed} GiB for two clusters of {provisioner}",
            )
        )
    return lacks


def _docker(command: str | None) -> Lack | None:
    if command is None:
        return Lack("docker is not on PATH", INSTALL["docker"])
    try:
        asked = [command, "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return Lack("Docker does not answer", "restart Docker, then run doctor again")
    except OSError as error:
        return Lack(f"docker cannot be run: {error.strerror}", INSTALL["docker"])
    if done.returncode == 0:
        return None
    if "permission denied" in done.stderr.lower():
        return Lack("Docker refuses this user", "add yourself to the group docker, then log in again")
    return Lack("Docker does not run", "start Docker (for example `sudo systemctl start docker`)")


def _pieces(pinned: Pins, found: Mapping[str, Located | None]) -> Table:
    where = Column("where", overflow="fold")
    table = Table("piece", "version", "route", where, title="Toolchain", title_justify="left", box=None)
    for piece in pinned.pieces:
        place = found[piece.name]
        if place is None:
            table.add_row(piece.name, piece.version, "[yellow]missing[/yellow]", "")
        else:
            table.add_row(piece.name, place.version, ROUTES[place.route], escape(_short(place.path)))
    return table


def _short(path: Path) -> str:
    """Write a path below the home folder with a tilde."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _machine(machine: Machine, host: Host) -> Table:
    table = Table("what", "found", title="\nMachine", title_justify="left", box=None)
    table.add_row("memory free", f"{machine.memory / GIB:.1f} GiB")
    nearest = next(path for path in (host.cache, *host.cache.parents) if path.exists())
    table.add_row("disk free", f"{shutil.disk_usage(nearest).free / GIB:.1f} GiB in {escape(str(host.cache))}")
    table.add_row("Docker", escape(machine.docker.what) if machine.docker else "reachable")
    go = ".".join(map(str, machine.go)) if machine.go else "none (only needed where official releases are out of reach)"
    table.add_row("Go", go)
    for name in ("kind", "k3d"):
        table.add_row(name, escape(machine.tools[name] or "none"))
    return table


def _provisioners(lacks: Mapping[str, list[Lack]]) -> Table:
    table = Table("provisioner", "state", "missing", title="\nProvisioners", title_justify="left", box=None)
    for name, group in lacks.items():
        state = "[yellow]lacks something[/yellow]" if group else "[green]ready[/green]"
        label = f"{name} (default)" if name == DEFAULT else name
        table.add_row(label, state, escape("; ".join(lack.what for lack in group)))
    return table
