"""The command `mesh`: options and help of each command; the modules beside it do the work, and are loaded by need."""

import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mesh_federation import __version__
from mesh_federation.cli import streams
from mesh_federation.cli.errors import UNWRITTEN, Refused
from mesh_federation.cli.options import (
    AT_ONCE,
    DEFAULT_STACK,
    All,
    AtOnce,
    Overlay,
    ProblemFormat,
    Refresh,
    ReportFormat,
    Stack,
    Yes,
)
from mesh_federation.cli.surroundings import CURRENT, Surroundings
from mesh_federation.clusters import registry
from mesh_federation.diagrams.formats import Format, TrustFormat
from mesh_federation.interruption import INTERRUPTED
from mesh_federation.stack.problem import Problem, ProblemError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


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
    if not CURRENT.get().workspace().is_checkout():
        what = "this `mesh` is installed outside a checkout of mesh-federation, which has the Pulumi program and stacks"
        fix = "run ./mesh in a checkout, or install the checkout itself: pip install --editable CHECKOUT"
        raise Refused(Problem("", "no-checkout", what, fix))


@app.command()
def up(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None, refresh: Refresh = False, yes: Yes = False,
    call: Annotated[bool, typer.Option("--call", help="Then send real requests, admitted and refused ones.")] = False,
    every: All = False, at_once: AtOnce = AT_ONCE,
) -> None:  # fmt: skip
    """Bring the federation up, or update it to what the stack file declares."""
    if every:
        from mesh_federation.cli.fleet import up_all

        if call:
            fix = "leave it out, and run mesh call for each stack"
            raise Refused(Problem("", "one-stack", "--call sends requests of one stack, not of a fleet", fix))
        up_all(stack, overlay, refresh, yes, at_once)
        return
    from mesh_federation.cli.up import up

    up(stack, overlay, refresh, yes, call)


@app.command()
def preview(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None, refresh: Refresh = False,
    diff: Annotated[bool, typer.Option(help="Show the bodies of objects.")] = False,
    every: All = False, at_once: AtOnce = AT_ONCE,
) -> None:  # fmt: skip
    """Show every object that would change, in every cluster. Needs no cluster, no Docker and no network."""
    if every:
        from mesh_federation.cli.fleet import preview_all

        flags = ["--refresh"] * refresh + ["--diff"] * diff
        raise typer.Exit(preview_all(stack, overlay, flags, at_once))
    from mesh_federation.cli.up import preview

    raise typer.Exit(preview(stack, overlay, refresh, diff))


@app.command()
def call(stack: Stack = DEFAULT_STACK, overlay: Overlay = None) -> None:
    """Send a real request for each import or discovered service that a sample may call, and show both identities."""
    from mesh_federation.cli.call import call_stack

    raise typer.Exit(call_stack(stack, overlay))


@app.command()
def verify(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Id or group of checks, or key path of the stack file; repeatable.")
    ] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="Format of the report.")] = ReportFormat.TEXT,
    drill: Annotated[bool, typer.Option(help="Also test failover: scale pods down temporarily.")] = False,
    watch: Annotated[bool, typer.Option(help="Repeat until Ctrl-C, and print changes.")] = False,
    warn_days: Annotated[
        int | None, typer.Option(min=0, help="Fail if an authority expires within this time; default trust.warnDays.")
    ] = None,
    every: All = False, at_once: AtOnce = AT_ONCE,
) -> None:  # fmt: skip
    """Check that what runs is what is declared: admitted callers are answered, and all others are refused."""
    if every:
        from mesh_federation.cli.fleet import verify_all

        if watch or form is not ReportFormat.TEXT:
            fix = "leave it out, or run mesh verify for each stack"
            raise Refused(Problem("", "one-stack", "--watch and --format are for one stack, not for a fleet", fix))
        flags = [f"--only={each}" for each in only or ()] + ["--drill"] * drill
        flags += [] if warn_days is None else [f"--warn-days={warn_days}"]
        raise typer.Exit(verify_all(stack, overlay, flags, at_once))
    from mesh_federation.cli.verify import verify_stack

    warning = None if warn_days is None else timedelta(days=warn_days)
    raise typer.Exit(verify_stack(stack, overlay, tuple(only or ()), form, drill, watch, warning))


@app.command()
def down(stack: Stack = DEFAULT_STACK, yes: Yes = False, every: All = False, at_once: AtOnce = AT_ONCE) -> None:
    """Remove everything that `up` made."""
    if every:
        from mesh_federation.cli.fleet import down_all

        down_all(stack, yes, at_once)
        return
    from mesh_federation.cli.down import down

    down(stack, yes)


@app.command()
def card(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    cluster: Annotated[str, typer.Option(help="Default: the only one.")] = "",
    partner: Annotated[str, typer.Option(help="Only what this partner may call; default: what any partner may.")] = "",
    output: Annotated[Path | None, typer.Option(help="File for the card; default: standard output.")] = None,
) -> None:  # fmt: skip
    """Write what a mesh tells its partners, who run stacks of their own: identity, gateway and exports, no secret."""
    from mesh_federation.cli.card import card

    card(stack, overlay, cluster, partner, output)


@app.command()
def observe(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    rbac: Annotated[
        str, typer.Option(metavar="SUBJECT", help="Print the roles that this User:NAME, Group:NAME or"
                          " ServiceAccount:NAMESPACE/NAME needs to observe, link and verify; read nothing.")
    ] = "",
    cluster: Annotated[str, typer.Option(help="With --rbac: in which cluster; default: the only one.")] = "",
) -> None:  # fmt: skip
    """Read the Istio that belongs to others, and write what a plan must know of it beside the stack file."""
    if rbac:
        from mesh_federation.cli.rights import print_rights

        print_rights(stack, overlay, rbac, cluster)
        return
    from mesh_federation.cli.observe import observe

    raise typer.Exit(observe(stack, overlay))


@app.command()
def twin(certificate: Path, key: Path) -> None:
    """Print the twin of an authority, which vouches for its mesh alone where other meshes have its root too."""
    from mesh_federation.cli.twin import print_twin

    print_twin(certificate, key)


@app.command()
def validate(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    form: Annotated[ProblemFormat, typer.Option("--format", help="Format of the result.")] = ProblemFormat.TEXT,
) -> None:  # fmt: skip
    """Check a stack file: types, and every rule that spans clusters. Needs no engine and no cluster."""
    from mesh_federation.cli.validate import validate

    workspace = CURRENT.get().workspace().laying(overlay)
    raise typer.Exit(validate(workspace.stack_file(stack), Console(), workspace.overlay, form))


@app.command()
def topology(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    format: Annotated[Format | None, typer.Option(help="Default: by the name of the output, else svg.")] = None,
    live: Annotated[
        Path | None, typer.Option(help="Report of `mesh verify` (JSON) whose results colour the picture.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File for the picture; default: standard output.")] = None,
) -> None:  # fmt: skip
    """Draw the declared federation: clusters, gateways, exports, imports and trust. Needs no cluster."""
    from mesh_federation.cli.topology import topology

    topology(stack, overlay, format, live, output)


@app.command()
def trust(
    stack: Stack = DEFAULT_STACK, overlay: Overlay = None,
    form: Annotated[
        TrustFormat | None, typer.Option("--format", help="Default: by the name of the output, else text.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File for the result; default: standard output.")] = None,
) -> None:  # fmt: skip
    """Explain the certificate hierarchy: who signs, who trusts whom, and the next step of a rotation."""
    from mesh_federation.cli.trust import trust

    trust(stack, overlay, form, output)


@app.command()
def doctor() -> None:
    """Show which programs are installed, and what each provider lacks."""
    from mesh_federation.cli.doctor import doctor

    raise typer.Exit(doctor(Console()))


@app.command()
def install(
    provider: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(registry.PROVIDERS)}.")] = None,
) -> None:
    """Install the toolchain. Commands that need it do so themselves."""
    from mesh_federation.toolchain.__main__ import main

    raise typer.Exit(main(provider or [registry.DEFAULT]))


@app.command()
def env() -> None:
    """Print the environment in which `pulumi` works in a shell: eval "$(./mesh env)"."""
    from mesh_federation.cli.env import env

    env()


def main(surroundings: Surroundings | None = None) -> None:
    """Run the command line; an error is a message with its remedy, never a traceback.

    Args:
        surroundings: the checkout and the toolchain; default: those of this process.
    """
    CURRENT.set(surroundings or Surroundings())
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: drills scale their pods up again
    try:
        streams.settle()
        status = _status()
        streams.flush()
    except streams.OutputClosed:
        streams.tell("error: standard output is closed\n  -> connect it to a terminal, a file or /dev/null")
        status = UNWRITTEN
    except OSError as error:
        streams.give_up()
        streams.tell(f"error: {_io_problem(error)}")
        status = UNWRITTEN
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(status)


def _status() -> int | str | None:
    """Run the command and return the exit status of the process."""
    try:
        app(prog_name="mesh")
    except ProblemError as error:
        streams.tell(f"error: {error}")
        return error.code if isinstance(error, Refused) else 1
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            streams.tell("stopped; run it again to continue")
        return ended.code
    return 0


def _io_problem(error: OSError) -> Problem:
    what = str(error.filename) if error.filename else "the output"
    problem = f"{what} cannot be read or written: {error.strerror or error}"
    return Problem("", "input-output", problem, "free some space, or check its permissions")


if __name__ == "__main__":
    main()
