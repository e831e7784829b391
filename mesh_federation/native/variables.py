"""Environment variables and fields of the downward API, as a kubelet computes them."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping

from mesh_federation.native.api_object import ApiObject
from mesh_federation.native.pod_spec import ContainerSpec, PodDescription, ValueSource, VariableSetSpec

REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
SUFFIXES = {
    "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip
VARIABLE_NAME = re.compile(r"[-._a-zA-Z0-9]+")

Content = Mapping[str, bytes]
"""The keys of a ConfigMap or a Secret, and what is below them."""
Lookup = Callable[[str, str], Content | None]
"""Returns the content of a ConfigMap or Secret, by kind (`configMap`, `secret`) and name; None if there is none."""


class SourceMissing(Exception):
    """A ConfigMap, Secret, key or field that a pod needs and that is not there; the text says which."""


class Downward:
    """What a pod may know about itself: its fields and the resources of its containers."""

    def __init__(self, pod: ApiObject, spec: PodDescription, address: str, node: str, node_address: str) -> None:
        """Take the pod as the API server has it, and what the agent knows before the API server does."""
        self._pod, self._spec = pod, spec
        self._known = {
            "spec.nodeName": node,
            "spec.serviceAccountName": spec.service_account,
            "status.hostIP": node_address,
            "status.hostIPs": node_address,
            "status.podIP": address,
            "status.podIPs": address,
        }

    def value(self, source: ValueSource, container: str = "") -> str:
        """Return the value of a field (`fieldRef`) or of a resource (`resourceFieldRef`).

        Args:
            source: which one.
            container: whose resource it is, unless the source says so.
        """
        if source.kind == "resourceFieldRef":
            return self._resource(source, container)
        if source.key in self._known:
            return self._known[source.key]
        metadata = self._pod.child("metadata")
        if match := re.fullmatch(r"metadata\.(labels|annotations)(?:\['(.*)'\])?", source.key):
            entries = metadata.mapping(match[1])
            if match[2] is not None:
                return entries.get(match[2], "")
            return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(entries.items()))
        if source.key in ("metadata.name", "metadata.namespace", "metadata.uid"):
            return metadata.text(source.key.removeprefix("metadata."))
        raise SourceMissing(f"the field {source.key} is not one that pods can read")

    def _resource(self, source: ValueSource, container: str) -> str:
        """Return a limit or a request; a limit that is left out is what the node has."""
        name = source.container or container
        owner = next(item for item in self._spec.all_containers if item.name == name)
        part, resource = source.key.split(".", 1)
        declared = owner.limits if part == "limits" else owner.requests
        fallback = machine_capacity()[resource] if part == "limits" else owner.limits.get(resource, "0")
        return str(math.ceil(quantity(declared.get(resource, fallback)) / (quantity(source.divisor) or 1)))


def machine_capacity() -> Mapping[str, str]:
    """Return the resources of this machine as Kubernetes writes them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    disk = os.statvfs("/")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": str(disk.f_frsize * disk.f_blocks),
    }


def quantity(text: str) -> float:
    """Return a quantity of Kubernetes as a number: `500m` is 0.5, `1Ki` is 1024. Empty text is 0."""
    match = re.fullmatch(r"([0-9.]+(?:[eE][0-9]+)?)([a-zA-Z]*)", text)
    return float(match[1]) * SUFFIXES[match[2]] if match else 0.0


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable of that name; unknown ones stay, and `$$` is one `$`.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    return REFERENCE.sub(lambda match: "$" if match[0] == "$$" else variables.get(match[1], match[0]), text)


def environment(
    container: ContainerSpec, base: Mapping[str, str], lookup: Lookup, downward: Downward
) -> dict[str, str]:
    """Return the environment variables of a container.

    Args:
        container: whose they are.
        base: those of its image and its cluster, which the container's own replace.
        lookup: reads ConfigMaps and Secrets.
        downward: the pod's own fields.

    Raises:
        SourceMissing: a ConfigMap, a Secret or a key is not there, and is not optional.
    """
    variables = dict(base)
    for entry in container.variable_sets:
        variables.update(_from_set(entry, lookup))
    for variable in container.variables:
        value = expand(variable.value, variables)
        if variable.source:
            found = _from_source(variable.source, lookup, downward, container.name)
            if found is None:
                continue
            value = found
        variables[variable.name] = value
    return variables


def _from_set(entry: VariableSetSpec, lookup: Lookup) -> dict[str, str]:
    content = lookup(entry.kind.removesuffix("Ref"), entry.name)
    if content is None:
        if entry.optional:
            return {}
        raise SourceMissing(f'{entry.kind.removesuffix("Ref").lower()} "{entry.name}" not found')
    names = {entry.prefix + key: value.decode(errors="replace") for key, value in content.items()}
    return {name: value for name, value in names.items() if VARIABLE_NAME.fullmatch(name)}


def _from_source(source: ValueSource, lookup: Lookup, downward: Downward, container: str) -> str | None:
    if source.kind in ("fieldRef", "resourceFieldRef"):
        return downward.value(source, container)
    kind = source.kind.removesuffix("KeyRef")
    content = lookup(kind, source.name)
    if content is not None and source.key in content:
        return content[source.key].decode(errors="replace")
    if source.optional:
        return None
    if content is None:
        raise SourceMissing(f'{kind.lower()} "{source.name}" not found')
    raise SourceMissing(f"couldn't find key {source.key} in {kind} {source.name}")
