"""`mesh up` and `mesh preview`: run the engine on a stack."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from mesh_federation.cli import stacks, summary
from mesh_federation.cli.call import call
from mesh_federation.cli.card import keep, lost
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.fleet import refuse_members
from mesh_federation.cli.streams import tell
from mesh_federation.engine import applied, clusters, crds, exports, tokens
from mesh_federation.plan.calls import calls
from mesh_federation.toolchain.pins import Pins


def up(stack: str, overlay: Path | None, refresh: bool, yes: bool, calling: bool) -> None:
    """Bring a stack to what its stack file declares, and print its clusters.

    Args:
        stack: its name.
        overlay: file to merge over its stack file.
        refresh: whether to compare the state with the clusters first.
        yes: whether to go on without asking.
        calling: whether to send requests then, if samples can.
    """
    workspace, federation = stacks.declared(stack, overlay)
    refuse_members(workspace, stack)
    stacks.refuse_machine(workspace, stack, federation)
    engine = stacks.opened(workspace, stack, stacks.toolchain(stacks.providers(federation)), changes=True)
    if problem := lost(engine, federation):
        raise Refused(problem)
    known = clusters.start_all(engine, tell)
    unasked = yes or not sys.stdin.isatty()
    is_new = unasked and not known
    with clusters.begun(engine, clusters.ours(engine, federation) if is_new else ()):
        exports.compare(engine, federation)
        declared = applied.declaration(engine, federation)
        flags = ["--yes", "--skip-preview"] if unasked else []
        renewed = tokens.renewing(engine, tell) if federation.discovery else []
        refreshed = ["--refresh", *crds.restoring(engine, tell)] if refresh else []
        if status := engine.stream("up", *flags, *refreshed, *renewed):
            raise typer.Exit(status)
    applied.remember(engine, declared, engine.saved())
    if refresh:
        from mesh_federation.cli import added_items  # checks take time to load

        if not added_items.take_out(engine, federation, tell):
            raise typer.Exit(1)
    if engine.workspace.overlay:
        print(f"{stack} is up with {engine.workspace.overlay} merged over its stack file")
    running = summary.running(engine)
    clusters.remove_orphans(engine, {cluster.name for cluster in running.values()}, tell)
    keep(engine, federation)
    console = Console()
    summary.summarize(engine, running, console)
    if calling and any(calls(federation)):
        from mesh_federation.cli.verify import show_refusals  # likewise

        kubeconfigs = workspace.home / "kubeconfigs" / stack
        status = call(federation, kubeconfigs, engine.environment, console)
        raise typer.Exit(status or show_refusals(engine, federation, console))


def preview(stack: str, overlay: Path | None, refresh: bool, diff: bool) -> int:
    """Show what would change; returns the engine's exit status."""
    workspace, federation = stacks.declared(stack, overlay)
    engine = stacks.opened(workspace, stack, stacks.toolchain(stacks.providers(federation), Pins.previewed))
    if problem := lost(engine, federation):
        tell(f"up would be refused: {problem}")
    refreshed = ["--refresh", *crds.restoring(engine, tell)] if refresh else []
    if refresh:
        from mesh_federation.cli import added_items  # likewise

        added_items.show(engine, federation, tell)
    return engine.stream("preview", *(["--diff"] if diff else []), *refreshed)
