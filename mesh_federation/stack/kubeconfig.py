"""Kubeconfigs, read as kubectl reads them: lists of files, variables, and paths relative to the file.

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
"""A cluster, user or context of a kubeconfig."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_EMBEDDED = ("certificate-authority", "client-certificate", "client-key")
"""Keys of files that are embedded: a kubeconfig that names a file does not change when the file changes."""
_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class UnusableKubeconfig(Exception):
    """A kubeconfig that does not lead to a cluster.

    Attributes:
        fix: what to do.
    """

    def __init__(self, problem: str, fix: str) -> None:
        """Keep the problem and the fix."""
        super().__init__(problem)
        self.fix = fix


@dataclass(frozen=True)
class _Located:
    """An entry, and the folder that its paths are relative to."""

    entry: Entry
    folder: Path


def files(written: str, environment: Mapping[str, str], folder: Path) -> list[Path]:
    """Return the files that a stack file's `kubeconfig` names: one, or a list as in KUBECONFIG.

    Args:
        written: the value in the stack file, with `~` and variables.
        environment: the values of the variables.
        folder: the folder that relative paths are relative to.

    Raises:
        UnusableKubeconfig: a variable has no value, or none of the files exists.
    """
    named = [folder / os.path.expanduser(_expanded(each, environment)) for each in written.split(os.pathsep) if each]
    existing = [each for each in named if each.is_file()]
    if not existing:
        listed = " and ".join(map(str, named)) or "the file"
        raise UnusableKubeconfig(
            f"{listed} does not exist", "write the path of the kubeconfig with which kubectl reaches the cluster"
        )
    return existing


def _expanded(path: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environment:
            raise UnusableKubeconfig(
                f"{path} contains the variable {name}, which is not set", f"set {name}, or write the full path"
            )
        return environment[name]

    return _VARIABLE.sub(value, path)


def extract(sources: Sequence[Path], context: str, name: str, read: Callable[[Path], bytes] = Path.read_bytes) -> Entry:
    """Extract the part of kubeconfigs that leads to one cluster, as a separate kubeconfig.

    The result does not depend on its folder: certificates are embedded, and paths of plugins and tokens are absolute.

    Args:
        sources: the files; of entries with equal names, the first one counts.
        context: the context to use; empty: the current one.
        name: the name of cluster, user and context in the result.
        read: reads a file.

    Raises:
        UnusableKubeconfig: the kubeconfigs do not lead to a cluster.
    """
    documents = [(file.parent.absolute(), _document(file, read)) for file in sources]
    shown = " and ".join(map(str, sources))
    currents = (str(document.get("current-context") or "") for _, document in documents)
    chosen = context or next(filter(None, currents), "")
    if not chosen:
        raise UnusableKubeconfig(f"{shown} has no current context", "add `context` to the cluster")
    contexts = _entries(documents, "contexts")
    if chosen not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise UnusableKubeconfig(f"{shown} has no context {chosen}; it has {known}", "write one of them as `context`")
    meant = contexts[chosen].entry
    cluster = _named(_entries(documents, "clusters"), meant, "cluster", shown, chosen)
    user = _named(_entries(documents, "users"), meant, "user", shown, chosen) if meant.get("user") else None
    own = {"cluster": name, "user": name, **{key: meant[key] for key in ("namespace",) if meant.get(key)}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _self_contained(cluster, read)}],
        "users": [{"name": name, "user": _self_contained(user, read) if user else {}}],
        "contexts": [{"name": name, "context": own}],
        "current-context": name,
    }


def _document(file: Path, read: Callable[[Path], bytes]) -> Entry:
    fix = "check it with kubectl config view"
    try:
        document = yaml_reader.read(read(file))
    except OSError as error:
        raise UnusableKubeconfig(f"{file} cannot be read: {error.strerror}", "change its permissions") from None
    except yaml_reader.Unreadable:
        raise UnusableKubeconfig(f"{file} is not YAML", fix) from None
    if not isinstance(document, Mapping):
        raise UnusableKubeconfig(f"{file} is not a kubeconfig", fix)
    return document


def _entries(documents: Sequence[tuple[Path, Entry]], key: str) -> dict[str, _Located]:
    """Return the entries of one list by name; of equal names, the first one counts."""
    found: dict[str, _Located] = {}
    for folder, document in documents:
        listed = document.get(key)
        for each in listed if isinstance(listed, list) else []:
            entry = each.get(_LISTS[key]) if isinstance(each, Mapping) else None
            if isinstance(each, Mapping) and each.get("name"):
                located = _Located(entry if isinstance(entry, Mapping) else {}, folder)
                found.setdefault(str(each["name"]), located)
    return found


def _named(entries: Mapping[str, _Located], context: Entry, key: str, shown: str, chosen: str) -> _Located:
    name = str(context.get(key) or "")
    if name not in entries:
        problem = f"names the {key} {name}, which does not exist" if name else f"names no {key}"
        fix = "write another `context`, or correct the file"
        raise UnusableKubeconfig(f"context {chosen} of {shown} {problem}", fix)
    return entries[name]


def _self_contained(located: _Located, read: Callable[[Path], bytes]) -> Entry:
    """Embed or make absolute the files that an entry names."""
    entry = dict(located.entry)
    for key in _EMBEDDED:
        path, data = entry.pop(key, None), f"{key}-data"
        if path and not entry.get(data):
            entry[data] = _content(located.folder / str(path), key, read)
    if entry.get("tokenFile"):
        entry["tokenFile"] = os.path.normpath(located.folder / str(entry["tokenFile"]))
    plugin = entry.get("exec")
    if isinstance(plugin, Mapping) and os.sep in str(plugin.get("command") or ""):
        entry["exec"] = {**plugin, "command": os.path.normpath(located.folder / str(plugin["command"]))}
    return entry


def _content(file: Path, key: str, read: Callable[[Path], bytes]) -> str:
    try:
        return b64encode(read(file)).decode()
    except OSError as error:
        raise UnusableKubeconfig(
            f"its {key} {file} cannot be read: {error.strerror}", "create the file, or correct the kubeconfig"
        ) from None
