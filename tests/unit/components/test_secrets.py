"""Keys and kubeconfigs are secret on the wire, so that the engine encrypts them in state and hides them everywhere."""

import base64

import pytest

from mesh_federation.toolchain.standins import values
from mesh_federation.toolchain.standins.values import Secret, Value
from tests.unit.components.authorities import provided
from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, committed, not_ours, with_trust
from tests.unit.components.recorder import Registered, Run, secret

KEY = "PRIVATE KEY-----"


def in_the_open(value: Value) -> str:
    """All text of a value that no secret mark covers; encoded data is decoded."""
    if isinstance(value, Secret):
        return ""
    if isinstance(value, dict):
        return "\n".join(in_the_open(below) for below in value.values())
    if isinstance(value, list):
        return "\n".join(in_the_open(below) for below in value)
    return f"{value}\n{_decoded(value)}" if isinstance(value, str) else ""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


FEDERATIONS = [
    pytest.param(committed("simulated"), id="common"),
    pytest.param(with_trust("separate"), id="separate"),
    pytest.param(provided(), id="provided"),
    pytest.param(not_ours(), id="not-ours"),
]


@pytest.mark.parametrize("tree", FEDERATIONS)
def test_no_private_key_and_no_token_goes_over_the_wire_in_the_open(record: Record, tree: Tree) -> None:
    run = record(tree)
    sent = {each.urn: each.inputs for each in run.registered}
    for urn, properties in [*sent.items(), *run.outputs.items()]:
        shown = in_the_open(properties)
        assert KEY not in shown, urn
        assert "token-of-" not in shown, urn
    # The same search finds them when marks are dropped: it can fail. Tokens of clusters that exist are not even sent.
    everything = "\n".join(in_the_open(values.plain(properties)) for properties in sent.values())
    ours = any(cluster.get("provisioner") != "existing" for cluster in tree["clusters"].values())
    assert KEY in everything and ("token-of-" in everything) == ours


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("tree", FEDERATIONS)
def test_signing_material_is_secret_as_a_whole(record: Record, tree: Tree, preview: bool) -> None:
    run = record(tree, preview=preview)
    for name in ("east", "west"):
        cacerts = run.one("Secret", f"{name}:istio-system/cacerts")
        assert set(cacerts.request.additionalSecretOutputs) == {"data", "stringData"}
        data = cacerts.inputs["data"]
        if isinstance(data, Secret):
            continue
        assert isinstance(data, dict)
        assert sorted(data) == ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"]
        # An unknown value carries no mark over the wire; the option above covers the state.
        assert all(secret(value) or preview for value in data.values())


def test_kubeconfigs_are_secret_wherever_they_go(simulated: Run) -> None:
    for name in ("east", "west"):
        read = simulated.one("Command", f"{name}-kubeconfig")
        assert {"stdout", "stderr"} <= set(read.request.additionalSecretOutputs)
        assert secret(simulated.one("kubernetes", name).inputs["kubeconfig"])
        assert secret(simulated.one("Command", f"{name}-crds").inputs["stdin"])
        cluster = simulated.one("Cluster", name)
        # The SDK writes a component's outputs to its debug log, and so to event logs.
        assert "kubeconfig" not in simulated.outputs[cluster.urn]


def test_the_command_that_frees_a_host_gets_its_kubeconfig_as_a_secret(simulated: Run) -> None:
    assert secret(simulated.one("Command", "east-import-httpbin-httpbin-host").inputs["stdin"])


def test_commands_that_handle_kubeconfigs_log_no_standard_output(simulated: Run) -> None:
    def logging(command: Registered) -> object:
        return command.body["logging"]

    for name in ("east", "west"):
        assert logging(simulated.one("Command", f"{name}-kubeconfig")) == "none"
        assert logging(simulated.one("Command", f"{name}-crds")) == "stderr"


@pytest.mark.parametrize("stack", ["simulated", "multi-primary", "egress"])
def test_what_a_command_prints_is_secret_where_an_input_is(record: Record, stack: str) -> None:
    """The plugin keeps it in plain text else, and nobody can say what a program prints of what it was given."""
    commands = [each for each in record(committed(stack)).registered if each.type == "command:local:Command"]
    given_secrets = [each for each in commands if values.has_secret(list(each.inputs.values()))]
    assert given_secrets and len(given_secrets) < len(commands)
    plain = {
        each.name for each in given_secrets if not {"stdout", "stderr"} <= set(each.request.additionalSecretOutputs)
    }
    assert plain == set()


def test_stack_exports_hold_no_secret(simulated: Run) -> None:
    assert KEY not in str(simulated.exports)
    assert "token-of-" not in str(simulated.exports)
