"""The command `mesh`: each command is a few lines over the rooms that do the work."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mesh_federation import __version__
from mesh_federation.cli import streams
from mesh_federation.clusters import registry
from mesh_federation.diagrams.formats import Format, TrustFormat
from mesh_federation.engine.workspace import Workspace

if TYPE_CHECKING:
    from mesh_federation.engine.pulumi import Engine
    from mesh_federation.engine.state_owner import Trouble
    from mesh_federation.plan.hierarchy import Made
    from mesh_federation.stack.config import Federation
    from mesh_federation.toolchain.install import Choice, Toolchain

DEFAULT_STACK = "embedded"
INTERRUPTED = 130
"""Exit status that Typer makes of Ctrl-C."""
NOT_RUN = 2
"""Exit status of a verification that could not look; 1 says that it found something."""
UNWRITTEN = 2
"""Exit status where what there is to say cannot be written, so that it counts as unknown."""
STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Source: Pulumi's rule for names of stacks."""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
errors = Console(stderr=True)


class Refused(Exception):
    """Something that a person asked for and cannot have."""

    def __init__(self, what: str, fix: str) -> None:
        """Say what, and what to do instead."""
        super().__init__(f"{what}\n  -> {fix}")
        self.what = what
        self.fix = fix


class CouldNotRun(Refused):
    """The same, of a verification: nothing is known, which is no failure."""


class Form(StrEnum):
    """What a report is written as."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    HTML = "html"


def _stack_name(said: str) -> str:
    """Refuse what the engine takes for no name of a stack, before it becomes part of a path or is shown."""
    if not STACK_NAME.fullmatch(said):
        from mesh_federation.stack.text import excerpt

        raise Refused(
            f"{excerpt(said)} cannot be the name of a stack",
            "write 1 to 100 letters, digits, hyphens, underscores or dots: what stands in Pulumi.<stack>.yaml",
        )
    return said


Stack = Annotated[
    str, typer.Option("--stack", "-s", help="Which stack file: Pulumi.<stack>.yaml.", callback=_stack_name)
]
Overlay = Annotated[
    Path | None,
    typer.Option("--overlay", "-o", help="Lay this file over the stack file; MESH_OVERLAY does the same."),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Compare with what the clusters really hold first.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def _show_version(shown: bool) -> None:
    if shown:
        print(f"mesh {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Federate Istio meshes from one declared model."""
    if not Workspace.current().is_checkout():
        raise Refused(
            "this `mesh` is installed outside a checkout of mesh-federation, which has the Pulumi program and stacks",
            "run ./mesh in a checkout, or install the checkout itself: pip install --editable CHECKOUT",
        )


@app.command()
def up(stack: Stack = DEFAULT_STACK, overlay: Overlay = None, refresh: Refresh = False, yes: Yes = False) -> None:
    """Bring the federation up, or bring it to what the stack file says now."""
    from mesh_federation.cli import summary
    from mesh_federation.engine import clusters, crds, exports, tokens

    workspace, federation = _declared(stack, overlay)
    engine = _opened(workspace, stack, _toolchain(_providers(federation)), changes=True)
    clusters.wake(engine, _tell)
    exports.compare(engine, federation)
    flags = ["--yes", "--skip-preview"] if yes or not sys.stdin.isatty() else []
    renewed = tokens.renewing(engine, _tell) if federation.discovery else []
    refreshed = ["--refresh", *crds.restoring(engine, _tell)] if refresh else []
    _exit_on_failure(engine.stream("up", *flags, *refreshed, *renewed))
    if engine.workspace.overlay:
        print(f"{stack} is up with {engine.workspace.overlay} laid over its stack file")
    running = summary.running(engine)
    clusters.sweep(engine, {cluster["name"] for cluster in running.values()}, _tell)
    summary.summarize(engine, running, Console())


@app.command()
def preview(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None, refresh: Refresh = False,
    diff: Annotated[bool, typer.Option(help="Show bodies.")] = False,
) -> None:  # fmt: skip
    """Show every object that would change, in every cluster. Needs no cluster, no Docker and no network."""
    from mesh_federation.engine import crds
    from mesh_federation.toolchain.pins import Pins

    workspace, federation = _declared(stack, overlay)
    engine = _opened(workspace, stack, _toolchain(_providers(federation), Pins.previewed))
    refreshed = ["--refresh", *crds.restoring(engine, _tell)] if refresh else []
    raise typer.Exit(engine.stream("preview", *(["--diff"] if diff else []), *refreshed))


@app.command()
def call(stack: Stack = DEFAULT_STACK, overlay: Overlay = None) -> None:
    """Make a real request for each import or discovery that a sample may use, and show both identities."""
    from mesh_federation.cli.call import call as make
    from mesh_federation.engine import clusters

    workspace = _workspace(stack, overlay)
    federation = _sound(workspace, stack)
    toolchain = _toolchain(_providers(federation))
    environment = workspace.environment(toolchain)
    if any(cluster.is_existing for cluster in federation.clusters.values()):
        clusters.reach(_engine(workspace, stack, toolchain), federation, _tell)
    kubeconfigs = workspace.home / "kubeconfigs" / stack
    raise typer.Exit(make(federation, kubeconfigs, {**workspace.ambient, **environment}, Console()))


@app.command()
def verify(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A check, a group of checks, or a place in the stack file; repeatable.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="What the report is written as.")] = Form.TEXT,
    drill: Annotated[bool, typer.Option(help="Also take pods away and look who answers; they come back.")] = False,
    watch: Annotated[bool, typer.Option(help="Go on until Ctrl-C, and tell what changes.")] = False,
    warn_days: Annotated[
        int | None, typer.Option(min=0, help="How early the end of an authority is complained of, not trust.warnDays.")
    ] = None,
) -> None:  # fmt: skip
    """Prove that what runs is what is declared: who may call is answered, and nobody else is."""
    from mesh_federation.cli import verify as verifying
    from mesh_federation.engine.pulumi import EngineError

    with _unverified():
        workspace, federation = _declared(stack, overlay)
        engine = _engine(workspace, stack, _toolchain(_providers(federation)))
        _refuse_without_state(engine)
    days = federation.trust.warn_days if warn_days is None else warn_days
    asked = verifying.VerifyOptions(tuple(only or ()), form, drill, watch, timedelta(days=days))
    try:
        raise typer.Exit(verifying.verify(engine, federation, asked, Console(), errors))
    except verifying.NotUp as reason:
        raise CouldNotRun(f"{stack} cannot be verified: {reason}", f"./mesh up --stack {stack}") from None
    except EngineError as error:
        raise CouldNotRun(f"{stack} cannot be verified: {error}", "./mesh preview shows what the engine says") from None
    except verifying.UnknownChecks as unknown:
        raise CouldNotRun(str(unknown), f"name one of: {', '.join(unknown.known)}") from None


@app.command()
def down(stack: Stack = DEFAULT_STACK, yes: Yes = False) -> None:
    """Remove everything that `up` made."""
    from mesh_federation.engine import clusters

    workspace = _named(stack)
    engine = _engine(workspace, stack, _toolchain(_needed_to_remove(workspace, stack)))
    engine.end_workers()
    asks = not yes and sys.stdin.isatty()
    if trouble := _without_state(engine):
        _remove_by_notes(engine, trouble, asks)
        return
    if not engine.exists():
        print(f"{stack}: nothing of it is up")
        return
    _refuse_beside_another(engine)
    _unlock(engine)
    clusters.reach(engine, _still_sound(workspace, stack), _tell)
    _exit_on_failure(engine.destroy(*([] if asks else ["--yes", "--skip-preview"])))
    clusters.sweep(engine, (), _tell)
    engine.close()
    shutil.rmtree(engine.workspace.home / "kubeconfigs" / stack, ignore_errors=True)
    print(f"{stack}: nothing is left")


def _remove_by_notes(engine: "Engine", trouble: "Trouble", asks: bool) -> None:
    """Remove the clusters that this checkout made for a stack whose state says nothing any more."""
    from mesh_federation.engine import clusters, state_owner

    if not trouble.is_final:
        raise Refused(trouble.what, trouble.fix)
    _tell(trouble.what)
    if asks:
        typer.confirm("Remove the clusters that this checkout made for it, by its own notes?", abort=True)
    staying = state_owner.of_others(engine.workspace, engine.stack)
    clusters.sweep(engine, (), _tell, "which this checkout made")
    if staying:
        raise Refused(
            f"what {engine.stack} made in {', '.join(staying)} stays: only its state says what that is",
            "put the state and its passphrase back, then ./mesh down; or remove by hand there what has the label"
            f" mesh-federation/stack={engine.stack}, and here {engine.workspace.home / 'kubeconfigs' / engine.stack}",
        )
    engine.forsake()
    shutil.rmtree(engine.workspace.home / "kubeconfigs" / engine.stack, ignore_errors=True)
    if not engine.workspace.uses_own_state() and engine.exists():
        _tell(f"its state stays in {engine.workspace.backend()}: pulumi stack rm --force {engine.stack} removes it")
    print(f"{engine.stack}: nothing is left")


@app.command()
def validate(stack: Stack = DEFAULT_STACK, overlay: Overlay = None) -> None:
    """Check a stack file: types, and every fact that spans clusters. Needs no engine and no cluster."""
    from mesh_federation.cli.validate import validate as check

    workspace = Workspace.current().laying(overlay)
    raise typer.Exit(check(workspace.stack_file(stack), Console(), workspace.overlay))


@app.command()
def topology(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    format: Annotated[Format | None, typer.Option(help="Left out: what the output's name says, else svg.")] = None,
    live: Annotated[
        Path | None, typer.Option(help="Report of `mesh verify` (JSON) whose results colour the picture.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the picture; left out: standard output.")] = None,
) -> None:  # fmt: skip
    """Draw the federation as the stack file has it: clusters, gateways, exports, imports and trust. Needs nothing."""
    from mesh_federation.cli.topology import chosen, draw, put

    workspace, federation = _declared(stack, overlay)
    wanted = chosen(format, output)
    file = put(draw(federation, stack, wanted, live), wanted, output, workspace.home / "topology", stack)
    if file:
        _tell(f"{stack} is drawn in {file}")


@app.command()
def trust(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    form: Annotated[
        TrustFormat | None, typer.Option("--format", help="Left out: what the output's name says, else text.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write it; left out: standard output.")] = None,
) -> None:  # fmt: skip
    """Explain the certificate hierarchy: who signs and trusts whom, what a rotation does next, what stays open."""
    from mesh_federation.cli import topology
    from mesh_federation.cli import trust as telling
    from mesh_federation.plan.hierarchy import hierarchy

    workspace, federation = _declared(stack, overlay)
    wanted = telling.chosen(form, output)
    told = hierarchy(federation, stack, _made(workspace, stack))
    if wanted is TrustFormat.TEXT and output is None:
        telling.show(told, Console())
        return
    written = telling.written(told, wanted)
    file = topology.put(written, wanted, output, workspace.home / "trust", stack)
    if file:
        _tell(f"the trust of {stack} is told in {file}")


def _made(workspace: Workspace, stack: str) -> "Made":
    """Read what a stack's last `up` made; a toolchain that is not there is not got for that."""
    from mesh_federation.cli.trust import made
    from mesh_federation.engine import state_owner
    from mesh_federation.engine.pulumi import Engine
    from mesh_federation.plan.hierarchy import Made
    from mesh_federation.toolchain.install import Missing, ready
    from mesh_federation.toolchain.pins import Pins

    found = ready({registry.DEFAULT}, pieces=Pins.asking)
    if isinstance(found, Missing):
        return Made({}, f"the state cannot be read without the engine ({found}), so no fingerprints are shown")
    kept = workspace.with_own_state() if state_owner.stays(workspace, stack) else workspace
    return made(Engine(kept, found, stack))


@app.command()
def doctor() -> None:
    """Show what was found where, and what is missing for which provider."""
    from mesh_federation.cli.doctor import doctor as examine

    raise typer.Exit(examine(Console()))


@app.command()
def install(
    provider: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(registry.PROVIDERS)}.")] = None,
) -> None:
    """Get the toolchain. Commands that need it do it by themselves."""
    from mesh_federation.toolchain.__main__ import main

    raise typer.Exit(main(provider or [registry.DEFAULT]))


@app.command()
def env() -> None:
    """Print what a shell needs so that `pulumi` works by hand: eval "$(./mesh env)"."""
    toolchain = _toolchain({registry.DEFAULT})
    workspace = Workspace.current()
    workspace.prepare(toolchain)
    for name, value in workspace.environment(toolchain).items():
        print(f"export {name}={shlex.quote(value)}")


@contextmanager
def _unverified() -> Iterator[None]:
    """Tell what keeps a verification from beginning apart from a check that fails, by the exit status."""
    try:
        yield
    except Refused as refused:
        raise CouldNotRun(refused.what, refused.fix) from None
    except typer.Exit:
        raise typer.Exit(NOT_RUN) from None


def _workspace(stack: str, overlay: Path | None) -> Workspace:
    workspace = Workspace.current().laying(overlay)
    file = workspace.stack_file(stack)
    if not file.exists():
        raise Refused(f"there is no {file.name}", f"choose one of: {', '.join(workspace.stacks())}")
    return workspace


def _named(stack: str) -> Workspace:
    """Return the checkout for a stack that is to go: one that is up may have lost its file."""
    from mesh_federation.engine import state_owner

    workspace = Workspace.current()
    if workspace.own_state(stack) or not workspace.uses_own_state() or state_owner.standing(workspace, stack):
        return workspace
    return _workspace(stack, None)


def _sound(workspace: Workspace, stack: str) -> "Federation":
    """Read what a stack declares; ends here, with all findings, when it is not sound."""
    from mesh_federation.cli.validate import named, read
    from mesh_federation.stack.problem import InvalidModel, report

    file = workspace.stack_file(stack)
    try:
        return read(file, workspace.overlay)
    except InvalidModel as invalid:
        _tell(report(named(file, workspace.overlay), invalid.problems).rstrip("\n"))
        raise typer.Exit(1) from None


def _declared(stack: str, overlay: Path | None) -> tuple[Workspace, "Federation"]:
    """Return a checkout with a sound stack, and what that declares."""
    workspace = _workspace(stack, overlay)
    federation = _sound(workspace, stack)
    if workspace.overlay:
        _tell(f"{workspace.overlay} is laid over {workspace.stack_file(stack).name}")
    return workspace, federation


def _needed_to_remove(workspace: Workspace, stack: str) -> set[str]:
    """Return what a stack's clusters are made by: those that it declares, and those in the journal."""
    from mesh_federation.clusters import journal

    recorded = {entry.job for entry in journal.entries(workspace.home, stack)}
    federation = _still_sound(workspace, stack)
    return recorded | (_providers(federation) if federation else set()) or {registry.DEFAULT}


def _still_sound(workspace: Workspace, stack: str) -> "Federation | None":
    """Read what a stack declares; a stack file that is gone or no longer sound must not keep its clusters alive."""
    from mesh_federation.cli.validate import read
    from mesh_federation.stack.problem import InvalidModel

    try:
        return read(workspace.stack_file(stack), workspace.overlay)
    except InvalidModel:
        return None


def _providers(federation: "Federation") -> set[str]:
    return {cluster.provider.name for cluster in federation.clusters.values()}


def _opened(workspace: Workspace, stack: str, toolchain: "Toolchain", changes: bool = False) -> "Engine":
    """Put everything in place to bring a stack to what is declared: the toolchain, the state, a lock that is free."""
    engine = _engine(workspace, stack, toolchain)
    _refuse_without_state(engine)
    if changes:
        _refuse_beside_another(engine)
    engine.open()
    _unlock(engine)
    return engine


def _engine(workspace: Workspace, stack: str, toolchain: "Toolchain") -> "Engine":
    from mesh_federation.engine import state_owner
    from mesh_federation.engine.pulumi import Engine

    if state_owner.stays(workspace, stack):
        _tell(f"{stack} is kept in this checkout's own state, and not where you are logged in")
        workspace = workspace.with_own_state()
    if trouble := state_owner.elsewhere(workspace, stack):
        raise Refused(trouble.what, trouble.fix)
    workspace.prepare(toolchain)
    return Engine(workspace, toolchain, stack)


def _refuse_without_state(engine: "Engine") -> None:
    """End where nobody knows what of a stack runs: what is made anew then would go over it."""
    if trouble := _without_state(engine):
        raise Refused(trouble.what, trouble.fix)


def _without_state(engine: "Engine") -> "Trouble | None":
    """Say why a stack's state tells nothing of what runs: it cannot be read, or it is not there."""
    from mesh_federation.engine import state_owner

    trouble = state_owner.unreadable(engine.workspace, engine.stack)
    if trouble is None and not engine.exists():
        trouble = state_owner.lost(engine.workspace, engine.stack)
    return trouble


def _refuse_beside_another(engine: "Engine") -> None:
    """End where an engine changes the stack, maybe one that goes on after its `mesh` was killed."""
    if working := engine.at_work():
        raise Refused(
            f"an engine is at work on {engine.stack}: process {working[0]}, of another run or of one that was killed",
            f"wait until it has ended, or stop it in order: kill -INT {working[0]}",
        )


def _unlock(engine: "Engine") -> None:
    for pid in engine.clear_stale_lock():
        engine.end_workers()
        _tell(f"a run that was killed (process {pid}) still held the lock of {engine.stack}: cleared")


def _toolchain(providers: set[str], pieces: "Choice | None" = None) -> "Toolchain":
    from mesh_federation.toolchain.__main__ import show
    from mesh_federation.toolchain.install import Missing, ready
    from mesh_federation.toolchain.install import install as get
    from mesh_federation.toolchain.pins import Pins

    chosen = pieces or Pins.needed
    found = ready(providers, pieces=chosen)
    if not isinstance(found, Missing):
        return found
    _tell(f"Getting what the toolchain lacks, which takes minutes where it must be built: {', '.join(found.pieces)}")
    return get(providers, show, pieces=chosen)


def _exit_on_failure(status: int) -> None:
    if status:
        raise typer.Exit(status)


def _tell(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; what a person can mend is told in three parts, never as a traceback."""
    try:
        streams.settle()
        status = _status()
        streams.flush()
    except streams.OutputClosed:
        _tell("error: standard output is closed, so nothing can be shown\n  -> give it a terminal, a file or /dev/null")
        status = UNWRITTEN
    except OSError as error:
        streams.give_up()
        _tell(f"error: {_unwritten(error)}")
        status = UNWRITTEN
    sys.exit(status)


def _status() -> int | str | None:
    """Run the command, and return how the process is to end."""
    from mesh_federation.diagrams.errors import TopologyError
    from mesh_federation.engine.pulumi import EngineError
    from mesh_federation.toolchain.errors import ToolchainError

    try:
        app(prog_name="mesh")
    except (Refused, ToolchainError, EngineError, TopologyError) as error:
        _tell(f"error: {error}")
        return NOT_RUN if isinstance(error, CouldNotRun) else 1
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _tell("stopped; run it again: it goes on where it stopped")
        return ended.code
    return 0


def _unwritten(error: OSError) -> str:
    """Say what the machine refused: a file, or the output where none is named."""
    what = str(error.filename) if error.filename else "what there is to show"
    return f"{what} cannot be read or written: {error.strerror or error}\n  -> make room, or see to its permissions"


if __name__ == "__main__":
    main()
