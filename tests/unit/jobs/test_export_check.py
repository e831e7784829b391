"""The script that refuses an export which is not as the Service and its pods are."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mesh_federation.jobs.export_check import DeclaredExport, ExportCheckSettings
from tests.unit.clusters.fake_machine import FakeMachine
from tests.unit.command_result import CommandResult

KUBECONFIG = "apiVersion: v1\nusers: SECRET\n"
HELM = {"app.kubernetes.io/name": "checkout", "app.kubernetes.io/instance": "shop"}
OURS = {"app": "checkout", "version": "v1"}
BOTH = {**HELM, **OURS}
PORTS = {"5050": 5050}
DECLARED = DeclaredExport("shop/checkout", {"app": "checkout"}, "checkout", PORTS, by_service=True)


def service(**of_spec: object) -> dict[str, object]:
    spec = {"selector": {"app": "checkout"}, "ports": [{"port": 5050, "targetPort": 5050}], **of_spec}
    return {"kind": "Service", "metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec}


def pod(
    name: str = "one", account: str = "checkout", port: int = 5050, labels: dict[str, str] = OURS
) -> dict[str, Any]:
    containers = [{"name": "app", "ports": [{"name": "grpc", "containerPort": port}]}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"serviceAccountName": account, "containers": containers},
        "status": {"phase": "Running"},
    }


def compared(
    machine: FakeMachine, found: object, *pods: object, ports: Mapping[str, int] = PORTS, by_service: bool = True
) -> CommandResult:
    machine.when("kubectl", "get", "service", out=json.dumps(found) if found else "")
    machine.when("kubectl", "get", "pods", out=json.dumps({"items": pods}))
    declared = replace(DECLARED, ports=ports, by_service=by_service)
    return machine.run("export-check", stdin=KUBECONFIG, settings=ExportCheckSettings("two", declared))


def refusal(
    machine: FakeMachine, found: object, *pods: object, ports: Mapping[str, int] = PORTS, by_service: bool = True
) -> str:
    """What is wrong, without the sentence before it."""
    ended = compared(machine, found, *pods, ports=ports, by_service=by_service)
    assert ended.status == 4
    first, _, listed = ended.err.partition("\n")
    assert first == (
        "two exports shop/checkout, which is not as the export says; its policy and its gateway are left as they were:"
    )
    return listed


def test_an_export_that_is_as_its_service_and_pods_are_is_let_through(machine: FakeMachine) -> None:
    assert compared(machine, service(), pod(), pod("two")).status == 0
    [asked] = [call.argv for call in machine.calls() if "pods" in call.argv]
    assert {"--namespace=shop", "--selector=app=checkout"} <= set(asked)


def test_a_service_that_is_not_there_yet_is_nothing_to_compare_with(machine: FakeMachine) -> None:
    ended = compared(machine, None)
    assert (ended.status, ended.out) == (0, "there is no Service shop/checkout yet\n")


@pytest.mark.parametrize(
    ("pods", "whom"),
    [((), "any pod of it"), ((pod("b", labels=HELM), pod("a", labels=HELM)), "a, b")],
    ids=["none", "two"],
)
def test_labels_that_the_service_does_not_select_by_are_refused(
    machine: FakeMachine, pods: tuple[object, ...], whom: str
) -> None:
    assert refusal(machine, service(selector=HELM), *pods) == (
        "  the Service selects app.kubernetes.io/instance=shop,app.kubernetes.io/name=checkout, and the export"
        f" app=checkout: the policy would not cover {whom}\n"
        f"  -> write selector: {json.dumps(HELM)} in the export\n"
    )


def test_a_single_pod_without_the_labels_is_named(machine: FakeMachine) -> None:
    listed = refusal(machine, service(selector=HELM), pod("a", labels=BOTH), pod("b", labels=HELM))
    assert "the policy would not cover b\n" in listed


def test_labels_that_all_pods_have_and_the_service_does_not_ask_for_are_enough(machine: FakeMachine) -> None:
    assert compared(machine, service(selector=HELM), pod("a", labels=BOTH)).status == 0


def test_pods_that_end_count_no_longer(machine: FakeMachine) -> None:
    gone, done = pod("a", labels=HELM), pod("b", labels=HELM)
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    done["status"]["phase"] = "Succeeded"
    assert compared(machine, service(selector=HELM), gone, done, pod("c", labels=BOTH)).status == 0


def test_a_service_without_a_selector_is_refused(machine: FakeMachine) -> None:
    assert "the Service has no selector, so nothing tells which pods the policy must cover\n" in refusal(
        machine, service(selector={}), pod()
    )
    assert not [call for call in machine.calls() if "pods" in call.argv]


def test_an_account_that_the_pods_do_not_run_as_is_refused(machine: FakeMachine) -> None:
    assert refusal(machine, service(), pod(account="default")) == (
        "  its pods run as default, and callers would expect checkout and refuse them\n"
        "  -> write serviceAccount: default in the export\n"
    )
    assert "run as checkout and default" in refusal(machine, service(), pod(), pod("two", "default"))


def test_a_port_that_leads_elsewhere_is_refused(machine: FakeMachine) -> None:
    assert refusal(machine, service(ports=[{"port": 5050, "targetPort": 8080}])) == (
        "  port 5050 of the Service leads to port 8080 of its pods, and the policy opens 5050\n"
        "  -> write targetPort: 8080 for it in the export\n"
    )
    assert compared(machine, service(ports=[{"port": 5050}])).status == 0


def test_a_port_with_a_name_is_looked_up_in_the_pods(machine: FakeMachine) -> None:
    named = service(ports=[{"port": 80, "targetPort": "grpc"}])
    assert compared(machine, named, pod(), ports={"80": 5050}).status == 0
    assert compared(machine, named, ports={"80": 80}).status == 0, "no pod is there yet"
    assert "leads to port 5050 of its pods, and the policy opens 80\n" in refusal(
        machine, named, pod(), ports={"80": 80}
    )
    assert "port 5050 and 6060 of its pods" in refusal(machine, named, pod(), pod("two", port=6060), ports={"80": 5050})


def test_a_port_that_the_service_does_not_have_is_refused(machine: FakeMachine) -> None:
    assert "the Service has no port 5050, but 80, 443\n" in refusal(
        machine, service(ports=[{"port": 443}, {"port": 80}])
    )


def test_a_port_of_another_protocol_is_another_port(machine: FakeMachine) -> None:
    udp = {"port": 5050, "protocol": "UDP", "targetPort": 53}
    assert compared(machine, service(ports=[{"port": 5050}, udp])).status == 0
    assert "the Service has no port 5050, but none at all\n" in refusal(machine, service(ports=[udp]))


def test_where_a_global_host_selects_the_pods_the_service_says_nothing_of_them(machine: FakeMachine) -> None:
    assert compared(machine, service(selector=HELM, ports=[]), pod(), by_service=False).status == 0
    [asked] = [call.argv for call in machine.calls() if "pods" in call.argv]
    assert "--selector=app=checkout" in asked
    assert "run as default" in refusal(machine, service(), pod(account="default"), by_service=False)


def test_everything_that_differs_is_told_at_once(machine: FakeMachine) -> None:
    listed = refusal(machine, service(selector=HELM, ports=[{"port": 80}]), pod(account="default", labels=HELM))
    assert listed.count("->") == 3


def test_a_cluster_that_does_not_answer_is_named_with_the_words_of_kubectl(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1, err="Unable to connect to the server\n")
    ended = machine.run("export-check", stdin=KUBECONFIG, settings=ExportCheckSettings("two", DECLARED))
    assert ended.status == 1
    assert ended.err.startswith("cannot look at what two exports:\nUnable to connect")


def test_the_kubeconfig_is_on_disk_only_meanwhile_and_only_for_its_owner(machine: FakeMachine) -> None:
    compared(machine, service(), pod())
    for call in machine.calls():
        ((_, seen),) = call.files.items()
        assert (seen.text, seen.mode) == (KUBECONFIG, 0o600)
        assert "SECRET" not in f"{call.argv} {call.env}"
    assert list((machine.root / "tmp").iterdir()) == []
