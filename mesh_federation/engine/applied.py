"""Which declaration a stack's state has in full: noted by each complete `up`, so that nobody needs to ask the engine.

The note names the declaration by a hash of everything that the Pulumi program reads, and the state by the time at which
it was saved. If either changes, by whomever, the note says nothing any more.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from mesh_federation.engine.pulumi import Engine
from mesh_federation.plan.federation import Plan, plan
from mesh_federation.stack.config import Federation

PROGRAM = ("__main__.py", "Pulumi.yaml", "requirements.txt", "components", "mesh_federation")
"""Files and folders of a checkout that say what a stack file means."""
CACHES = "__pycache__"
"""Name of folders in them that say nothing."""
OFFICIAL = "official"


def declaration(engine: Engine, federation: Federation) -> str:
    """Return a hash of everything from which the Pulumi program computes what it declares.

    Args:
        engine: the engine of the stack.
        federation: as the stack file and the overlay declare it; private keys count by their certificates.
    """
    workspace, tools = engine.workspace, engine.toolchain
    read = sha256(workspace.stack_file(engine.stack).read_bytes())
    read.update(federation.model_dump_json().encode())
    read.update(repr([(each.piece, each.version, str(each.path)) for each in tools.pieces]).encode())
    read.update(f"{tools.charts} {tools.manifests} {tools.images}".encode())
    program = (workspace.checkout / name for name in PROGRAM)
    for path in (*program, *_own_sources(plan(federation, engine.stack))):
        for file in _files(path):
            read.update(f"{file} {sha256(file.read_bytes()).hexdigest()}\n".encode())
    return read.hexdigest()


def remember(engine: Engine, declared: str, saved: str) -> None:
    """Note that a state has a declaration in full.

    Args:
        engine: the engine of the stack.
        declared: hash of the declaration.
        saved: when the state was saved.
    """
    engine.workspace.applied_note(engine.stack).write_text(f"{declared} {saved}", encoding="utf-8")


def is_current(engine: Engine, declared: str, saved: str) -> bool:
    """Say whether a state is known to have a declaration in full.

    Args:
        engine: the engine of the stack.
        declared: hash of the declaration.
        saved: when the state was saved.
    """
    note = engine.workspace.applied_note(engine.stack)
    return bool(saved) and note.exists() and note.read_text(encoding="utf-8") == f"{declared} {saved}"


def _own_sources(planned: Plan) -> Iterator[Path]:
    """Return the charts and manifests that a stack file names in place of the toolchain's."""
    sources = planned.sources
    charts = {each.istio_charts.replace("{version}", each.charts_version) for each in planned.clusters.values()}
    for path in sorted({*charts, sources.metallb, sources.gateway_api or OFFICIAL} - {OFFICIAL}):
        yield Path(path).expanduser()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and CACHES not in file.parts)
