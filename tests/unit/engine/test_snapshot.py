"""A stack's state is read once: its objects with their secrets, its outputs, and when it was saved."""

import json
from collections.abc import Mapping

from mesh_federation.engine.snapshot import SIGNATURE, RecordedObject, Snapshot, read

STACK: dict[str, object] = {"urn": "urn:pulumi:s::p::pulumi:pulumi:Stack::p-s", "type": "pulumi:pulumi:Stack"}
SETTINGS: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "a"}}


def resource(
    name: str, inputs: object, kind: str = "kubernetes:core/v1:ConfigMap", **more: object
) -> dict[str, object]:
    """A resource in a state."""
    return {"urn": f"urn:pulumi:s::p::x${kind}::{name}", "type": kind, "inputs": inputs, **more}


def snapshot(*resources: Mapping[str, object]) -> Snapshot:
    """Read a state with some resources."""
    return read({"manifest": {"time": "2026-01-01T00:00:00Z"}, "resources": list(resources)})


def secret(value: object) -> dict[str, str]:
    """A secret as `--show-secrets` prints it."""
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def test_objects_are_read_with_their_names_and_uids() -> None:
    object_ = resource("east:a/b", SETTINGS, outputs={"metadata": {"uid": "1"}})
    assert snapshot(object_).objects == (RecordedObject("east:a/b", SETTINGS, "1"),)


def test_only_objects_of_clusters_that_are_to_stay_are_read() -> None:
    command = resource("east-create", {"create": "x"}, "command:local:Command")
    outgoing = resource("east:a/old", SETTINGS, delete=True)
    assert snapshot(STACK, command, outgoing).objects == ()


def test_secrets_are_read_as_they_were_declared_at_any_depth() -> None:
    declared = {"data": secret({"key": "a2V5"}), "spec": {"items": [secret("one"), "two"]}}
    [read_] = snapshot(resource("east:a/b", declared)).objects
    assert read_.body == {"data": {"key": "a2V5"}, "spec": {"items": ["one", "two"]}}


def test_no_secret_is_in_the_text_of_a_snapshot() -> None:
    state = snapshot(STACK | {"outputs": {"key": "geheim"}}, resource("east:a/b", {"data": secret({"key": "geheim"})}))
    assert "geheim" not in f"{state!r} {state.objects!r}"


def test_outputs_are_those_of_the_stack() -> None:
    assert snapshot(resource("east:a/b", SETTINGS), STACK | {"outputs": {"clusters": {"east": 1}}}).outputs == {
        "clusters": {"east": 1}
    }


def test_a_state_that_was_never_saved_has_nothing() -> None:
    assert read({}) == Snapshot("", {}, ())


def test_clusters_are_known_by_the_uids_of_their_namespaces() -> None:
    state = snapshot(
        resource("east:istio-system", SETTINGS, outputs={"metadata": {"uid": "1"}}),
        resource("west:istio-system", SETTINGS),
        resource("east:sleep", SETTINGS, outputs={"metadata": {"uid": "2"}}),
        resource("east:istio-system/istiod", SETTINGS, outputs={"metadata": {"uid": "3"}}),
    )
    assert state.uids("istio-system") == {"east": "1"}
