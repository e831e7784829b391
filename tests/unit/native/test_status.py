"""The status of a pod, from the states of its containers."""

import pytest

from mesh_federation.native.status import ContainerStatus, Running, StatusReport, Terminated, Waiting, phase
from tests.unit.native.example_pods import container, pod_spec

SPEC = pod_spec(
    initContainers=[container(name="setup"), container(name="proxy", restartPolicy="Always")], containers=[container()]
)
SETUP, PROXY, MAIN = SPEC.all_containers
STATES: dict[str, Waiting | Running | Terminated] = {
    "waiting": Waiting("PodInitializing"), "running": Running("t"),
    "done": Terminated(0, 0, "Completed", "", "t", "t"), "failed": Terminated(1, 0, "Error", "", "t", "t"),
}  # fmt: skip


def main(state: str, ready: bool = True, last: bool = False) -> ContainerStatus:
    previous = Terminated(1, 0, "Error", "", "t", "t") if last else None
    return ContainerStatus(MAIN, STATES[state], previous, 0, True, ready, 0)


def setup(state: str) -> ContainerStatus:
    return ContainerStatus(SETUP, STATES[state], None, 0, False, False, 0)


def proxy(started: bool) -> ContainerStatus:
    return ContainerStatus(PROXY, STATES["running"], None, 0, started, started, 0)


@pytest.mark.parametrize(
    ("policy", "init", "containers", "expected"),
    [
        ("Always", [], [main("waiting")], "Pending"),
        ("Always", [], [main("running")], "Running"),
        ("Always", [], [main("running"), main("waiting")], "Pending"),
        ("Always", [], [main("waiting", last=True)], "Running"),
        ("Always", [], [main("done")], "Running"),
        ("OnFailure", [], [main("done")], "Succeeded"),
        ("OnFailure", [], [main("failed")], "Running"),
        ("Never", [], [main("failed"), main("done")], "Failed"),
        ("Never", [], [main("failed"), main("running")], "Running"),
        ("Never", [], [main("done"), main("done")], "Succeeded"),
        ("Never", [setup("failed")], [main("waiting")], "Failed"),
        ("Always", [setup("failed")], [main("waiting")], "Pending"),
        ("Always", [setup("done"), proxy(False)], [main("waiting")], "Pending"),
        ("Always", [setup("done"), proxy(True)], [main("running")], "Running"),
    ],
)
def test_the_phase_is_that_of_a_kubelet(
    policy: str, init: list[ContainerStatus], containers: list[ContainerStatus], expected: str
) -> None:
    assert phase(policy, init, containers) == expected


def conditions(report: StatusReport, *args: object) -> dict[str, tuple[str, object]]:
    """Return status and reason of each condition."""
    document = report.document(*args)  # type: ignore[arg-type]
    found = document["conditions"]
    assert isinstance(found, list)
    return {item["type"]: (item["status"], item["reason"]) for item in found}


def test_a_pod_is_ready_when_all_containers_and_sidecars_are() -> None:
    report = StatusReport("10.10.0.2", "172.30.0.2", "t")
    ready = conditions(report, "Running", [setup("done"), proxy(True)], [main("running")])
    assert {status for status, _ in ready.values()} == {"True"}
    unready = conditions(report, "Running", [setup("done"), proxy(False)], [main("running")])
    assert unready["Ready"] == ("False", "ContainersNotReady")
    assert unready["Initialized"] == ("False", "ContainersNotInitialized")


def test_a_pod_that_is_over_is_not_ready_because_it_is_complete() -> None:
    found = conditions(StatusReport("10.10.0.2", "172.30.0.2", "t"), "Succeeded", [], [main("done", ready=False)])
    assert found["Ready"] == ("False", "PodCompleted")
    assert found["Initialized"] == ("True", "PodCompleted")


def test_a_pod_that_failed_says_so_and_whether_it_was_initialized() -> None:
    found = conditions(StatusReport("10.10.0.2", "172.30.0.2", "t"), "Failed", [], [main("done", ready=False)])
    assert found["Ready"] == ("False", "PodFailed")
    assert found["Initialized"] == ("True", None)


def test_a_pod_without_network_has_no_address() -> None:
    report = StatusReport("", "172.30.0.2", "t")
    document = report.document("Pending", [], [main("waiting")])
    assert "podIP" not in document
    assert conditions(report, "Pending", [], [main("waiting")])["PodReadyToStartContainers"] == ("False", None)


def test_the_address_of_an_earlier_agent_is_replaced_and_not_added_to() -> None:
    document = StatusReport("10.10.0.9", "172.30.0.2", "t").document("Running", [], [main("running")])
    assert document["podIPs"] == [{"$patch": "replace"}, {"ip": "10.10.0.9"}]
