"""`mesh doctor`: the installed programs, and what each provider lacks."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from mesh_federation.cli.streams import say
from mesh_federation.clusters import machine_limits
from mesh_federation.clusters.machine_limits import GIB, Limits, Shortage
from mesh_federation.clusters.provider import Provider
from mesh_federation.clusters.registry import DEFAULT, PROVIDERS
from mesh_federation.stack.problem import Problem
from mesh_federation.toolchain import build, images, pins
from mesh_federation.toolchain.errors import ToolchainError
from mesh_federation.toolchain.host import Host
from mesh_federation.toolchain.install import survey
from mesh_federation.toolchain.locate import Located, shelf
from mesh_federation.toolchain.pins import Pins

ROUTES = {
    "found": "found on this machine",
    "official": "official release",
    "module": "Go module",
    "wheel": "wheel",
    "assembled": "put together here",
    "stand-in": "stand-in",
}


@dataclass(frozen=True)
class Machine:
    """The machine as doctor examines it.

    Attributes:
        limits: limits of its kernel.
        go: version of Go; None if there is none.
        obstacles: what keeps a provider from running here, beside missing pieces and limits, by its name.
    """

    limits: Limits
    go: tuple[int, int, int] | None
    obstacles: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)

    @property
    def docker(self) -> Problem | None:
        """Why Docker cannot be used; None if it can."""
        in_docker = (name for name, provider in PROVIDERS.items() if provider.in_docker)
        return next((each for name in in_docker for each in self.obstacles.get(name, ())), None)


def doctor(console: Console, host: Host | None = None, machine: Machine | None = None) -> int:
    """Print what is installed and what is missing; returns 0 if the default provider can run.

    Args:
        console: for the output.
        host: the machine to install on; default: this one.
        machine: its kernel and what keeps providers from running; default: of this one.
    """
    host = host or Host.current()
    try:
        pinned = pins.load(host)
        found = survey(pinned, pinned.pieces, host)
        machine = machine or look(host)
    except (ToolchainError, OSError, ValueError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        return 1
    console.print(_pieces(pinned, found))
    for why, names in _reasons(found).items():
        line = f"  {', '.join(names)}: not the official release; at installation: {why}"
        say(console, line)
    if said := _envoy(pinned, host):
        say(console, f"  {said}")
    console.print(_machine(machine, host))
    lacks = {name: lacking(provider, pinned, found, machine) for name, provider in PROVIDERS.items()}
    doubts = {name: doubtful(provider, machine) for name, provider in PROVIDERS.items()}
    console.print(_providers(lacks, doubts))
    for fix in dict.fromkeys(lack.fix for group in (*lacks.values(), *doubts.values()) for lack in group):
        say(console, f"  -> {fix}")
    return 1 if lacks[DEFAULT] else 0


def look(host: Host) -> Machine:
    """Examine this machine."""
    return Machine(
        limits=machine_limits.read(),
        go=build.go_version(host),
        obstacles={name: provider.obstacles() for name, provider in PROVIDERS.items()},
    )


def lacking(provider: Provider, pinned: Pins, found: Mapping[str, Located | None], machine: Machine) -> list[Problem]:
    """Return the problems that keep a provider from running."""
    pieces = [piece.name for piece in pinned.needed(frozenset({provider.name})) if found[piece.name] is None]
    lacks = [Problem("", "not-installed", name, f"./mesh install {provider.name}") for name in pieces]
    lacks += machine.obstacles.get(provider.name, ())
    memory, needed = machine.limits.memory, provider.memory
    if memory is not None and memory < needed * GIB:
        lacks.append(
            Problem(
                "",
                "memory",
                f"{memory / GIB:.1f} GiB of memory free, {needed:g} needed",
                f"free some memory: {needed:g} GiB for two clusters of {provider.name}",
            )
        )
    return [*lacks, *(short for short in _inotify(provider, machine) if short.fatal)]


def doubtful(provider: Provider, machine: Machine) -> list[Problem]:
    """Return the problems that keep a provider from running more than a small lab."""
    return [short for short in _inotify(provider, machine) if not short.fatal]


def _inotify(provider: Provider, machine: Machine) -> list[Shortage]:
    """Return the inotify limits that are too low for containers, which share those of the machine."""
    return machine_limits.inotify(machine.limits) if provider.in_docker else []


def _pieces(pinned: Pins, found: Mapping[str, Located | None]) -> Table:
    where = Column("where", overflow="fold")
    table = Table("piece", "version", "route", where, title="Toolchain", title_justify="left", box=None)
    for piece in pinned.pieces:
        place = found[piece.name]
        if place is None and piece.is_part:
            continue  # needed only where its image is put together
        if place is None:
            table.add_row(piece.name, piece.version, "[yellow]missing[/yellow]", "")
        else:
            table.add_row(piece.name, place.version, ROUTES[place.route], escape(_short(place.path)))
    return table


def _reasons(found: Mapping[str, Located | None]) -> dict[str, list[str]]:
    """Return why programs were built or replaced by stand-ins: their names by reason."""
    reasons: dict[str, list[str]] = {}
    for place in found.values():
        if place and place.note and place.route in ("module", "wheel", "assembled", "stand-in"):
            reasons.setdefault(place.note, []).append(place.piece)
    return reasons


def _envoy(pinned: Pins, host: Host) -> str:
    """Return which Envoy the proxies of native clusters run; empty if none is installed."""
    is_istios = images.has_istios_envoy(shelf(pinned, host))
    if is_istios is None:
        return ""
    if is_istios:
        return "Envoy of native clusters: Istio's own, of its released image"
    return (
        f"Envoy of native clusters: upstream Envoy {pinned.versions.get('envoy', '')}, without Istio's extensions:"
        " no metrics of Istio's telemetry, no exchange of metadata between proxies, no ALPN filter;"
        " traffic, mutual TLS and policies are the same"
    )


def _short(path: Path) -> str:
    """Abbreviate the home folder in a path with a tilde."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _machine(machine: Machine, host: Host) -> Table:
    table = Table("what", "found", title="\nMachine", title_justify="left", box=None)
    memory, instances, watches = machine.limits.memory, machine.limits.instances, machine.limits.watches
    table.add_row("memory free", "unknown" if memory is None else f"{memory / GIB:.1f} GiB")
    table.add_row("inotify", f"{_or_unknown(instances)} instances, {_or_unknown(watches)} watches")
    nearest = next(path for path in (host.cache, *host.cache.parents) if path.exists())
    table.add_row("disk free", f"{shutil.disk_usage(nearest).free / GIB:.1f} GiB in {escape(str(host.cache))}")
    table.add_row("Docker", escape(machine.docker.what) if machine.docker else "reachable")
    go = ".".join(map(str, machine.go)) if machine.go else "none (only needed where official releases are out of reach)"
    table.add_row("Go", go)
    return table


def _or_unknown(number: int | None) -> str:
    return "unknown" if number is None else str(number)


def _providers(lacks: Mapping[str, list[Problem]], doubts: Mapping[str, list[Problem]]) -> Table:
    table = Table("provider", "state", "missing or low", title="\nProviders", title_justify="left", box=None)
    for name, group in lacks.items():
        label = f"{name} (default)" if name == DEFAULT else name
        missing = "; ".join(lack.what for lack in (*group, *doubts[name]))
        table.add_row(label, _state(group, doubts[name]), escape(missing))
    return table


def _state(lacks: list[Problem], doubts: list[Problem]) -> str:
    if lacks:
        return "[yellow]lacks something[/yellow]"
    return "[yellow]ready for a small lab[/yellow]" if doubts else "[green]ready[/green]"
