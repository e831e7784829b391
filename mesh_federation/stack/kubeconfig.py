"""Kubeconfigs as people have them, read as kubectl reads them: lists, variables, and paths beside the file.

Source: client-go, tools/clientcmd (loading rules, relative paths of a kubeconfig, which entry of a list wins).
"""

import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh_federation.stack import yaml_reader

Entry = Mapping[str, object]
"""A cluster, user or context, as the file has it."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_EMBEDDED = ("certificate-authority", "client-certificate", "client-key")
"""Files whose content goes into the kubeconfig itself: one that names them looks unchanged when they change."""
_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class Unusable(Exception):
    """A kubeconfig that leads to no cluster.

    Attributes:
        fix: what to do.
    """

    def __init__(self, problem: str, fix: str) -> None:
        """Say what is wrong with it, and what to do."""
        super().__init__(problem)
        self.fix = fix


@dataclass(frozen=True)
class _Held:
    """An entry and the folder that its paths are relative to."""

    entry: Entry
    folder: Path


def files(written: str, environment: Mapping[str, str], folder: Path) -> list[Path]:
    """Return the files that a stack file's `kubeconfig` names: one, or a list as in KUBECONFIG.

    Args:
        written: as it stands in the stack file, with `~` and variables.
        environment: the values of those.
        folder: what relative paths are relative to.

    Raises:
        Unusable: a variable has no value, or none of the files is there.
    """
    named = [folder / os.path.expanduser(_expanded(each, environment)) for each in written.split(os.pathsep) if each]
    there = [each for each in named if each.is_file()]
    if not there:
        listed = " and ".join(map(str, named)) or "it"
        raise Unusable(f"there is no such file: {listed}", "name the kubeconfig file by which kubectl reaches it")
    return there


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environment:
            raise Unusable(f"{path} names the variable {name}, which is not set", f"set {name}, or write the path out")
        return environment[name]

    return _VARIABLE.sub(value, path)


def cut(sources: Sequence[Path], context: str, name: str, read: Callable[[Path], bytes] = Path.read_bytes) -> Entry:
    """Return the part of kubeconfigs that leads to one cluster, as a kubeconfig of its own.

    It means the same wherever it is kept: certificates are in it, and paths of plugins and tokens are absolute.

    Args:
        sources: the files; where several have an entry of one name, the first one counts.
        context: which is meant; empty: the current one.
        name: what cluster, user and context are called in the result.
        read: reads a file.

    Raises:
        Unusable: they do not lead to a cluster.
    """
    documents = [(file.parent.absolute(), _document(file, read)) for file in sources]
    shown = " and ".join(map(str, sources))
    currents = (str(document.get("current-context") or "") for _, document in documents)
    chosen = context or next(filter(None, currents), "")
    if not chosen:
        raise Unusable(f"{shown} has no current context", "write `context` beside `kubeconfig`")
    contexts = _entries(documents, "contexts")
    if chosen not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise Unusable(f"{shown} has no context {chosen}; it has {known}", "write one of these as `context`")
    meant = contexts[chosen].entry
    cluster = _named(_entries(documents, "clusters"), meant, "cluster", shown, chosen)
    user = _named(_entries(documents, "users"), meant, "user", shown, chosen) if meant.get("user") else None
    own = {"cluster": name, "user": name, **{key: meant[key] for key in ("namespace",) if meant.get(key)}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _whole(cluster, read)}],
        "users": [{"name": name, "user": _whole(user, read) if user else {}}],
        "contexts": [{"name": name, "context": own}],
        "current-context": name,
    }


def _document(file: Path, read: Callable[[Path], bytes]) -> Entry:
    fix = "look at it with kubectl config view"
    try:
        document = yaml_reader.read(read(file))
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}", "make it readable for you") from None
    except yaml_reader.Unreadable:
        raise Unusable(f"{file} is no YAML", fix) from None
    if not isinstance(document, Mapping):
        raise Unusable(f"{file} is no kubeconfig", fix)
    return document


def _entries(documents: Sequence[tuple[Path, Entry]], key: str) -> dict[str, _Held]:
    """Return the entries of one list by name; the first of a name counts."""
    found: dict[str, _Held] = {}
    for folder, document in documents:
        listed = document.get(key)
        for each in listed if isinstance(listed, list) else []:
            entry = each.get(_LISTS[key]) if isinstance(each, Mapping) else None
            if isinstance(each, Mapping) and each.get("name"):
                held = _Held(entry if isinstance(entry, Mapping) else {}, folder)
                found.setdefault(str(each["name"]), held)
    return found


def _named(entries: Mapping[str, _Held], context: Entry, key: str, shown: str, chosen: str) -> _Held:
    name = str(context.get(key) or "")
    if name not in entries:
        what = f"the {key} {name}, which it does not have" if name else f"no {key}"
        raise Unusable(f"context {chosen} of {shown} names {what}", "choose another `context`, or correct the file")
    return entries[name]


def _whole(held: _Held, read: Callable[[Path], bytes]) -> Entry:
    """Make an entry mean the same in every folder."""
    entry = dict(held.entry)
    for key in _EMBEDDED:
        path, data = entry.pop(key, None), f"{key}-data"
        if path and not entry.get(data):
            entry[data] = _content(held.folder / str(path), key, read)
    if entry.get("tokenFile"):
        entry["tokenFile"] = os.path.normpath(held.folder / str(entry["tokenFile"]))
    plugin = entry.get("exec")
    if isinstance(plugin, Mapping) and os.sep in str(plugin.get("command") or ""):
        entry["exec"] = {**plugin, "command": os.path.normpath(held.folder / str(plugin["command"]))}
    return entry


def _content(file: Path, key: str, read: Callable[[Path], bytes]) -> str:
    try:
        return b64encode(read(file)).decode()
    except OSError as error:
        raise Unusable(f"its {key} {file} cannot be read: {error.strerror}", "put the file there") from None
