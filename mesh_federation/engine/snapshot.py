"""What a stack's state has at one moment: outputs, and every object of every cluster as the last `up` declared it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh_federation.plan.objects import Body

STACK_TYPE = "pulumi:pulumi:Stack"
AUTHORITY_TYPE = "mesh-federation:index:CertificateAuthority"
OBJECT_TYPE = "kubernetes:"
"""Prefix of the types of all objects of clusters."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi marks values that are more than JSON, secrets among them.

Source: https://www.pulumi.com/docs/reference/cli/pulumi_stack_export, `--show-secrets`."""


@dataclass(frozen=True)
class RecordedObject:
    """One Kubernetes object in a stack's state.

    Attributes:
        name: of its resource, which begins with the name of the cluster.
        body: as it was declared, in the form that the Kubernetes provider compares; secrets are in plain text.
        uid: of the object that the last `up` left; empty if it is unknown.
    """

    name: str
    body: Body = field(repr=False)
    uid: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A stack's state.

    Attributes:
        saved: when the engine saved it; every change of the state has another time.
        outputs: of the stack.
        objects: of all clusters, without those that the next run deletes.
        anchors: PEM of what vouches for each cluster at others, by cluster.
    """

    saved: str
    outputs: Mapping[str, object] = field(repr=False)
    objects: Sequence[RecordedObject] = field(repr=False)
    anchors: Mapping[str, str] = field(default_factory=dict, repr=False)

    def uids(self, namespace: str) -> dict[str, str]:
        """Return the UID of a namespace by cluster, for the clusters where the state knows it."""
        ending = f":{namespace}"
        named = (each for each in self.objects if each.name.endswith(ending))
        return {each.name.removesuffix(ending): each.uid for each in named if each.uid}


def read(deployment: Mapping[str, Any]) -> Snapshot:
    """Read what `pulumi stack export --show-secrets` prints below `deployment`."""
    resources: Sequence[Mapping[str, Any]] = deployment.get("resources") or []
    objects = [each for each in resources if each["type"].startswith(OBJECT_TYPE) and not each.get("delete")]
    return Snapshot(
        saved=saved(deployment),
        outputs=_plain_mapping(outputs(deployment)),
        objects=tuple(map(_recorded, objects)),
        anchors=_anchors(resources),
    )


def _anchors(resources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found = next((each for each in resources if each["type"] == AUTHORITY_TYPE), {})
    known = _plain((found.get("outputs") or {}).get("anchors"))
    return {str(name): str(text) for name, text in known.items()} if isinstance(known, dict) else {}


def outputs(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the outputs of the stack, with the marks of secrets; none before its first run came to its end."""
    stacks = [each for each in deployment.get("resources") or [] if each["type"] == STACK_TYPE]
    return stacks[0].get("outputs") or {} if stacks else {}


def saved(deployment: Mapping[str, Any]) -> str:
    """Return when the engine saved a state; empty for a state that has never been."""
    return str((deployment.get("manifest") or {}).get("time", ""))


def _recorded(resource: Mapping[str, Any]) -> RecordedObject:
    metadata = (resource.get("outputs") or {}).get("metadata")
    uid = metadata.get("uid", "") if isinstance(metadata, Mapping) else ""
    return RecordedObject(resource["urn"].rpartition("::")[2], _plain_mapping(resource.get("inputs") or {}), uid)


def _plain_mapping(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: object) -> object:
    """Return a value without the marks of secrets."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    if SIGNATURE in value and "plaintext" in value:
        return _plain(json.loads(value["plaintext"]))
    return _plain_mapping(value)
