"""Which backend has a stack's state, and whether it is readable: checked before anything is deleted or created.

A state lists what a stack made, and holds the keys of its authorities. Without it, `up` would recreate everything,
including other roots, over what runs.
"""

import gzip
import json
import shlex
import zlib
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.clusters import journal, kubeconfigs
from mesh_federation.engine.workspace import BACKEND, OWN_STATE, Workspace
from mesh_federation.stack.problem import Problem


@dataclass(frozen=True, order=True)
class StateProblem(Problem):
    """Why a stack's state is unusable.

    Attributes:
        is_final: nothing on this machine can restore it.
    """

    is_final: bool = False


def elsewhere(workspace: Workspace, stack: str) -> StateProblem | None:
    """Return a problem if a stack's state is in another backend than the one in use."""
    noted = _noted(workspace, stack)
    if noted in ("", workspace.backend()):
        return None
    back = "unset it" if noted == OWN_STATE else f"set it to {noted} again, or `pulumi login` there"
    by = BACKEND if workspace.ambient.get(BACKEND) else "the login, or the lack of one,"
    return StateProblem(
        "",
        "state-elsewhere",
        f"the state of {stack} is in {noted}, but {by} selects {workspace.backend()}, which does not know what runs",
        f"{back}; to move the stack, run ./mesh down there first. If that state is lost, delete"
        f" {workspace.backend_note(stack)}",
    )


def stays(workspace: Workspace, stack: str) -> bool:
    """Return whether a stack is in the checkout's own state although the user is logged in to another backend."""
    return not workspace.ambient.get(BACKEND) and workspace.backend() != OWN_STATE == _noted(workspace, stack)


def _noted(workspace: Workspace, stack: str) -> str:
    """Return the backend of a stack's last run; empty if this checkout has nothing of the stack."""
    own, note = workspace.own_state(stack), workspace.backend_note(stack)
    if note.exists() and (own or recorded_clusters(workspace, stack)):
        return note.read_text(encoding="utf-8")
    return OWN_STATE if own else ""


def unreadable(workspace: Workspace, stack: str) -> StateProblem | None:
    """Return a problem if a stack's own state is damaged, or encrypted with a lost passphrase."""
    file = workspace.own_state(stack) if workspace.uses_own_state() else None
    if file and not _is_whole(file):
        copy = file.with_name(f"{file.name}.bak")
        what = f"the state of {stack}, {file}, is empty or truncated"
        if copy.exists() and _is_whole(copy):
            put = f"cp {shlex.quote(str(copy))} {shlex.quote(str(file))}"
            return StateProblem("", "state-unreadable", what, f"restore the backup of the run before: {put}")
        fix = f"restore a backup of your own, or run {_down(stack)}"
        return StateProblem("", "state-unreadable", what, fix, is_final=True)
    if workspace.lacks_passphrase():
        what = f"{workspace.passphrase()} is missing: the secrets in the state cannot be read without this passphrase"
        fix = f"restore it, or set PULUMI_CONFIG_PASSPHRASE to it, or run {_down(stack)}"
        return StateProblem("", "passphrase-lost", what, fix, is_final=True)
    return None


def unknown_to_state(workspace: Workspace, stack: str, recorded: frozenset[str] | None = None) -> StateProblem | None:
    """Return a problem if this checkout has clusters of a stack that its state does not know.

    Args:
        workspace: the checkout.
        stack: name of the stack.
        recorded: real names of the clusters in the state; None without a state. A cluster whose creation was
            interrupted is not in it and has no kubeconfig; the next run continues its creation.
    """
    has_state = recorded is not None
    known_here = set(reached(workspace, stack).values()) if has_state else recorded_clusters(workspace, stack)
    if not (unknown := sorted(known_here - (recorded or frozenset()))):
        return None
    them = "them" if len(unknown) > 1 else "it"
    back = str(workspace.state()) if workspace.uses_own_state() else f"the state that has {them}"
    return StateProblem(
        "",
        "state-lost",
        f"{stack} made {', '.join(unknown)} in this checkout, but {workspace.backend()} does not know {them}: `up`"
        f" would give {them} other authorities and disconnect what runs",
        f"restore {back}, or run {_down(stack)}",
        is_final=True,
    )


def recorded_clusters(workspace: Workspace, stack: str) -> set[str]:
    """Return the real names of a stack's clusters that this checkout has in its journal or has a kubeconfig of."""
    return {entry.name for entry in journal.entries(workspace.home, stack)} | set(reached(workspace, stack).values())


def reached(workspace: Workspace, stack: str) -> dict[str, str]:
    """Return the real names of the clusters with a kubeconfig in this checkout, by logical name."""
    return kubeconfigs.reached(workspace.home, stack)


def made_by_others(workspace: Workspace, stack: str) -> list[str]:
    """Return the logical names of the clusters with a kubeconfig in this checkout that it did not make."""
    made = {entry.name for entry in journal.entries(workspace.home, stack)}
    return sorted(name for name, real in reached(workspace, stack).items() if real not in made)


def _down(stack: str) -> str:
    return (
        f"`./mesh down --stack {shlex.quote(stack)}`, which removes the clusters that this checkout made, and then `up`"
    )


def _is_whole(state: Path) -> bool:
    try:
        text = state.read_bytes()
        document = json.loads(gzip.decompress(text) if ".gz" in state.suffixes else text)
    except (OSError, EOFError, zlib.error, ValueError):
        return False
    return isinstance(document, dict) and isinstance(document.get("checkpoint"), dict)
