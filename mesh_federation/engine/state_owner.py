"""Whose state a stack's is, and whether it can be read: known before anything is deleted, adopted or made anew.

A state says what a stack made, and holds the keys of its authorities. Without it, `up` would make all of it a second
time, other roots among it, over what runs.
"""

import gzip
import json
import shlex
import zlib
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.clusters import journal, kubeconfigs
from mesh_federation.engine.workspace import BACKEND, OWN_STATE, Workspace


@dataclass(frozen=True)
class Trouble:
    """Why a stack's state is not to be relied on.

    Attributes:
        what: that, in a sentence.
        fix: the way on.
        is_final: nothing that this machine has would mend it.
    """

    what: str
    fix: str
    is_final: bool = False


def elsewhere(workspace: Workspace, stack: str) -> Trouble | None:
    """Say whether a stack's state is in another backend than the one in use."""
    noted = _noted(workspace, stack)
    if noted in ("", workspace.backend()):
        return None
    back = "unset it" if noted == OWN_STATE else f"name {noted} again, or `pulumi login` there"
    by = BACKEND if workspace.ambient.get(BACKEND) else "the login, or the lack of one,"
    return Trouble(
        f"{stack} is kept in {noted}, and {by} leads to {workspace.backend()}, which does not know what runs",
        f"{back}; to move: ./mesh down there first. Where that state is gone for good, remove"
        f" {workspace.backend_note(stack)}",
    )


def stays(workspace: Workspace, stack: str) -> bool:
    """Say whether a stack is kept in the checkout's own state although somebody is logged in to another backend."""
    return not workspace.ambient.get(BACKEND) and workspace.backend() != OWN_STATE == _noted(workspace, stack)


def _noted(workspace: Workspace, stack: str) -> str:
    """Return the backend of a stack's last run; empty where nothing that this checkout has is of the stack."""
    own, note = workspace.own_state(stack), workspace.backend_note(stack)
    if note.exists() and (own or standing(workspace, stack)):
        return note.read_text(encoding="utf-8")
    return OWN_STATE if own else ""


def unreadable(workspace: Workspace, stack: str) -> Trouble | None:
    """Say whether a stack's own state is damaged, or encrypted with a passphrase that is lost."""
    file = workspace.own_state(stack) if workspace.uses_own_state() else None
    if file and not _is_whole(file):
        copy = file.with_name(f"{file.name}.bak")
        what = f"the state of {stack}, {file}, is empty or ends in the middle"
        if copy.exists() and _is_whole(copy):
            put = f"cp {shlex.quote(str(copy))} {shlex.quote(str(file))}"
            return Trouble(what, f"its copy of the run before is whole, put it back: {put}")
        return Trouble(what, f"put a copy of your own back, or {_down(stack)}", is_final=True)
    if workspace.lacks_passphrase():
        what = f"{workspace.passphrase()} is gone, the passphrase without which nobody reads the secrets in the state"
        return Trouble(what, f"put it back, or set PULUMI_CONFIG_PASSPHRASE to it, or {_down(stack)}", is_final=True)
    return None


def lost(workspace: Workspace, stack: str, recorded: frozenset[str] = frozenset()) -> Trouble | None:
    """Say whether clusters of a stack stand here that its state does not know.

    Args:
        workspace: the checkout.
        stack: name of the stack.
        recorded: real names of the clusters that the state has; none where there is no state. A cluster whose making
            was cut short is in none, and goes on being made; there is no kubeconfig of it.
    """
    known_here = set(reached(workspace, stack).values()) if recorded else standing(workspace, stack)
    if not (unknown := sorted(known_here - recorded)):
        return None
    them = "them" if len(unknown) > 1 else "it"
    back = str(workspace.state()) if workspace.uses_own_state() else f"the state that made {them}"
    return Trouble(
        f"{stack} made {', '.join(unknown)} in this checkout, and {workspace.backend()} does not know {them}: `up`"
        f" would give {them} other authorities, and cut off what runs",
        f"put {back} back, or {_down(stack)}",
        is_final=True,
    )


def standing(workspace: Workspace, stack: str) -> set[str]:
    """Return the real names of a stack's clusters of which this checkout has something."""
    return {entry.name for entry in journal.entries(workspace.home, stack)} | set(reached(workspace, stack).values())


def reached(workspace: Workspace, stack: str) -> dict[str, str]:
    """Return the real names of the clusters whose kubeconfigs lie here, existing ones among them, by logical name."""
    return kubeconfigs.reached(workspace.home, stack)


def of_others(workspace: Workspace, stack: str) -> list[str]:
    """Return the logical names of the clusters that are reached from here and that this checkout did not make."""
    made = {entry.name for entry in journal.entries(workspace.home, stack)}
    return sorted(name for name, real in reached(workspace, stack).items() if real not in made)


def _down(stack: str) -> str:
    return (
        f"`./mesh down --stack {shlex.quote(stack)}`, which removes the clusters that this checkout made, and then up"
    )


def _is_whole(state: Path) -> bool:
    try:
        text = state.read_bytes()
        document = json.loads(gzip.decompress(text) if ".gz" in state.suffixes else text)
    except (OSError, EOFError, zlib.error, ValueError):
        return False
    return isinstance(document, dict) and isinstance(document.get("checkpoint"), dict)
