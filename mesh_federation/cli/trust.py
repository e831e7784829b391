"""`mesh trust`: explains who signs whom, who trusts whom, and what that does not protect against."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.segment import Segment, Segments
from rich.text import Text
from rich.tree import Tree

from mesh_federation.cli import stacks, topology
from mesh_federation.cli.streams import tell
from mesh_federation.cli.surroundings import CURRENT
from mesh_federation.clusters import registry
from mesh_federation.diagrams.formats import Format, TrustFormat
from mesh_federation.diagrams.render import render_hierarchy
from mesh_federation.engine import state_owner
from mesh_federation.engine.pulumi import Engine, EngineError
from mesh_federation.engine.workspace import Workspace
from mesh_federation.plan.hierarchy import (
    NOTHING,
    Bound,
    Certificate,
    Change,
    Cluster,
    Hierarchy,
    Made,
    Record,
    Root,
    Rotation,
    hierarchy,
)
from mesh_federation.stack.text import escape_unprintable
from mesh_federation.toolchain.install import Missing
from mesh_federation.toolchain.pins import Pins

WIDTH = 120
"""Line length of a text in a file, in columns."""
LONGEST = 10_000
"""Line length that no line of a tree reaches, in columns."""
STYLES = {Change.STAYS: "bold", Change.COMES: "bold green", Change.GOES: "bold yellow"}


class TrustOutputs(BaseModel):
    """The stack's output `trust`; other outputs are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trust: dict[str, Record]


def trust(stack: str, overlay: Path | None, form: TrustFormat | None, output: Path | None) -> None:
    """Explain the trust of a stack: print it, or write it to a file."""
    workspace, federation = stacks.declared(stack, overlay)
    chosen_form = chosen(form, output)
    told = hierarchy(federation, stack, _made(workspace, stack))
    if chosen_form is TrustFormat.TEXT and output is None:
        show(told, Console())
        return
    file = topology.put(written(told, chosen_form), chosen_form, output, workspace.home / "trust", stack)
    if file:
        tell(f"the trust of {stack} is explained in {file}")


def _made(workspace: Workspace, stack: str) -> Made:
    """Read what the last `up` of a stack recorded, without installing a missing toolchain."""
    tools = CURRENT.get().ready({registry.DEFAULT}, pieces=Pins.asking)
    if isinstance(tools, Missing):
        return Made({}, f"the state cannot be read without the engine ({tools}), so no fingerprints are shown")
    kept = workspace.with_own_state() if state_owner.stays(workspace, stack) else workspace
    return made(Engine(kept, tools, stack))


def made(engine: Engine) -> Made:
    """Read what the last `up` recorded, from the state alone: no cluster is queried, and no secret is read."""
    try:
        if engine.workspace.uses_own_state() and not engine.exists():
            return NOTHING  # without making a folder
        engine.workspace.prepare(engine.toolchain)
        if not engine.exists():
            return NOTHING
        told = engine.ask("stack", "output", "--json", f"--stack={engine.stack}")
        return Made(TrustOutputs.model_validate_json(told).trust)
    except EngineError as error:
        last = str(error).strip().splitlines()[-1:]
        return Made({}, f"the state cannot be read, so no fingerprints are shown: {''.join(last)}")
    except ValidationError:
        return Made({}, "the last up was interrupted, or made by another release: fingerprints are known after up")


def chosen(form: TrustFormat | None, output: Path | None) -> TrustFormat:
    """Return the format: the requested one, else that of the file's suffix, else text.

    Raises:
        TopologyError: the suffix is unknown.
    """
    if form or output is None or output.suffix == ".txt":
        return form or TrustFormat.TEXT
    return TrustFormat(topology.chosen(None, output).value)


def written(told: Hierarchy, form: TrustFormat) -> bytes:
    """Return a hierarchy as the content of a file.

    Raises:
        TopologyError: this machine cannot draw this format.
    """
    if form is TrustFormat.JSON:
        return f"{told.model_dump_json(by_alias=True, indent=2)}\n".encode()
    if form is TrustFormat.TEXT:
        file = io.StringIO()
        show(told, Console(file=file, width=WIDTH))
        return file.getvalue().encode()
    return render_hierarchy(told, Format(form.value))


def show(told: Hierarchy, console: Console) -> None:
    """Print a hierarchy: authorities as a tree, who accepts whom, a rotation, and what it does not protect against."""
    count = f"{len(told.roots)} root{'' if len(told.roots) == 1 else 's'}"
    reach = "for each link" if told.scope == "link" else "by the whole mesh"
    console.print(Text.assemble((told.stack, "bold"), f": trust model {told.model}, {count}, trust {reach}"))
    for root in told.roots:
        console.print()
        _print_whole(_tree(root, told), console)
    console.print()
    if told.unmade:
        _say(told.unmade, console)
    elif first := told.first_to_end:
        _say(f"first to expire: {escape_unprintable(first.ends_first)}, on {first.ends}", console)
    if told.bound:
        _print_bound(told.bound, console)
    if told.rotation:
        _tell(told.rotation, console)
    console.print(Text("\nWhat this does not protect against", "bold"))
    for sentence in told.limits:
        _say(f"- {sentence}", console)


def _print_bound(bound: Sequence[Bound], console: Console) -> None:
    """Print who accepts whom under whose authority; nothing else in these meshes accepts another cluster."""
    console.print(Text("\nWho accepts whom", "bold"))
    for each in bound:
        console.print(Text(f"  {each.cluster}, {each.where}"), soft_wrap=True)
        for accepted in each.accepts:
            _say(f"- {accepted.trust_domain} under {' or '.join(accepted.under)}", console)


def _print_whole(tree: Tree, console: Console) -> None:
    """Print a tree without wrapping its lines: Rich would cut fingerprints off at the edge of a terminal."""
    lines = console.render_lines(tree, console.options.update(width=LONGEST), pad=False)
    console.print(Segments([part for line in lines for part in (*line, Segment.line())]), end="", soft_wrap=True)


def _tree(root: Root, told: Hierarchy) -> Tree:
    tree = Tree(_lines(*_of_root(root, is_rotating=told.rotation is not None)))
    for cluster in (each for each in told.clusters if each.root == root.name):
        branch = tree
        for link in reversed(cluster.chain):
            branch = branch.add(_lines(Text(link.name), *_of(link)))
        branch.add(_lines(*_of_cluster(cluster, told)))
    return tree


def _of_root(root: Root, is_rotating: bool) -> Iterator[Text]:
    change = f"  {root.change}" if is_rotating else ""
    yield Text.assemble((root.name, STYLES[root.change]), "  root", change)
    yield from _of(root.certificate)
    signs = f"signs for {', '.join(root.signs)}" if root.signs else "signs for no cluster"
    yield Text(f"{signs}; trusted by {', '.join(root.trusted_by)}")


def _of(certificate: Certificate) -> Iterator[Text]:
    """Yield what is known of a certificate."""
    if certificate.is_encrypted:
        yield Text("encrypted in the stack file: only the engine can read it")
        return
    yield Text(f"{certificate.subject} · {certificate.life}")
    if certificate.fingerprint:
        yield _hash("SHA-256", certificate.fingerprint)


def _of_cluster(cluster: Cluster, told: Hierarchy) -> Iterator[Text]:
    yield Text.assemble((cluster.intermediate.name, "bold"), f"  intermediate of {cluster.name}")
    yield from _of(cluster.intermediate)
    yield Text(f"trust domain {cluster.trust_domain}: mints {cluster.identities}")
    yield Text(f"trusts {', '.join(cluster.trusts)}")
    yield Text(f"accepts {', '.join(cluster.accepts) or 'no foreign trust domain'}")
    if cluster.made:
        yield from _of_made(cluster.made, cluster.is_made, told)
    elif not told.unmade:
        yield Text("not created yet: run ./mesh up", "yellow")


def _of_made(record: Record, is_declared: bool | None, told: Hierarchy) -> Iterator[Text]:
    names = {root.certificate.fingerprint: root.name for root in told.roots}
    if is_declared is False:
        yield Text("up: differs from the stack file: run ./mesh up", "yellow")
    yield _hash("up: signs with", record.authority)
    for trusted in record.trusted:
        marks = [names.get(trusted, ""), "its own" if trusted == record.root else ""]
        yield _hash("up: trusts    ", trusted).append("".join(f"  {mark}" for mark in marks if mark))
    yield Text(f"up: first to expire is {escape_unprintable(record.ends_first)}, on {record.ends}")


def _hash(what: str, fingerprint: str) -> Text:
    return Text.assemble(f"{what} ", (fingerprint, "dim"))


def _lines(*lines: Text) -> Text:
    return Text("\n").join(lines)


def _tell(rotation: Rotation, console: Console) -> None:
    console.print(Text.assemble(("\nRotation", "bold"), f", phase {rotation.phase}"))
    _say(rotation.does, console)
    for restart in rotation.restarts:
        _say(f"- restarts in {restart.cluster}: {', '.join(restart.what)}", console)
    if not rotation.restarts:
        _say("- restarts nothing", console)
    _say(rotation.others, console)
    _say(rotation.then, console)
    for line in rotation.write.splitlines():
        console.print(Text(f"    {line}"), soft_wrap=True)


def _say(sentence: str, console: Console) -> None:
    """Print an indented sentence; further lines of a list item are aligned with its first."""
    first = f"  {sentence[:2]}" if sentence.startswith("- ") else "  "
    rest, margin = sentence.removeprefix("- "), " " * len(first)
    lines = wrap(rest, console.width, initial_indent=first, subsequent_indent=margin, break_on_hyphens=False)
    console.print(Text("\n".join(lines)), soft_wrap=True)
