"""What a pod may ask for; anything else is refused by its path, and nothing is left out in silence."""

import pytest

from mesh_federation.native.pod_reader import PodRefused
from mesh_federation.native.pod_spec import HandlerKind
from tests.unit.native.example_pods import container, pod_spec

REFUSED = [
    ({"hostNetwork": True}, "spec.hostNetwork is not supported"),
    ({"hostPID": True}, "spec.hostPID is not supported"),
    ({"hostIPC": True}, "spec.hostIPC is not supported"),
    ({"hostUsers": False}, "spec.hostUsers false is not supported"),
    ({"shareProcessNamespace": True}, "spec.shareProcessNamespace is not supported"),
    ({"runtimeClassName": "gvisor"}, "spec.runtimeClassName is not supported"),
    ({"readinessGates": [{"conditionType": "x"}]}, "spec.readinessGates is not supported"),
    ({"ephemeralContainers": [{"name": "debug"}]}, "spec.ephemeralContainers is not supported"),
    ({"activeDeadlineSeconds": 5}, "spec.activeDeadlineSeconds is not supported"),
    ({"resourceClaims": [{"name": "gpu"}]}, "spec.resourceClaims is not supported"),
    ({"os": {"name": "windows"}}, "spec.os.name windows is not supported"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0] is a volume of kind hostPath"),
    ({"volumes": [{"name": "v", "emptyDir": {"medium": "HugePages"}}]}, "medium HugePages is not supported"),
    ({"volumes": [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}}]},
     "spec.volumes[0].projected.sources[0].clusterTrustBundle is not supported"),
    ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "the sysctl kernel.msgmax"),
    ({"securityContext": {"seccompProfile": {"type": "Localhost"}}}, "seccompProfile Localhost is not supported"),
    ({"securityContext": {"seLinuxOptions": {"level": "s0"}}}, "spec.securityContext.seLinuxOptions is not supported"),
    ({"securityContext": {"windowsOptions": {"hostProcess": True}}}, "spec.securityContext.windowsOptions"),
]  # fmt: skip
REFUSED_IN_CONTAINERS = [
    ({"securityContext": {"privileged": True}}, "spec.containers[0].securityContext.privileged is not supported"),
    ({"securityContext": {"procMount": "Unmasked"}}, "procMount Unmasked is not supported"),
    ({"volumeDevices": [{"name": "disk"}]}, "spec.containers[0].volumeDevices is not supported"),
    ({"livenessProbe": {"grpc": {"port": 1}}}, "spec.containers[0].livenessProbe.grpc is not supported"),
    ({"lifecycle": {"stopSignal": "SIGUSR1"}}, "spec.containers[0].lifecycle.stopSignal is not supported"),
    ({"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
    ({"ports": [{"containerPort": 80, "hostPort": 80}]}, "spec.containers[0].ports[0].hostPort is not supported"),
    ({"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}]},
     "mountPropagation Bidirectional is not supported"),
    ({"tty": True}, "spec.containers[0].tty is not supported"),
    ({"stdin": True}, "spec.containers[0].stdin is not supported"),
    ({"somethingNew": {"x": 1}}, "spec.containers[0].somethingNew is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "problem"), REFUSED)
def test_what_a_pod_asks_for_and_the_agent_has_not_is_refused(spec: dict[str, object], problem: str) -> None:
    with pytest.raises(PodRefused) as refused:
        pod_spec(**spec)
    assert problem in str(refused.value)


@pytest.mark.parametrize(("fields", "problem"), REFUSED_IN_CONTAINERS)
def test_what_a_container_asks_for_and_the_agent_has_not_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(PodRefused) as refused:
        pod_spec(containers=[container(**fields)])
    assert problem in str(refused.value)


def test_init_containers_are_held_to_the_same_rules() -> None:
    with pytest.raises(PodRefused) as refused:
        pod_spec(initContainers=[container(securityContext={"privileged": True})])
    assert "spec.initContainers[0].securityContext.privileged" in str(refused.value)


def test_all_reasons_are_told_at_once() -> None:
    with pytest.raises(PodRefused) as refused:
        pod_spec(hostNetwork=True, hostPID=True)
    assert "spec.hostNetwork" in str(refused.value) and "spec.hostPID" in str(refused.value)


def test_fields_that_are_off_are_not_asked_for() -> None:
    spec = pod_spec(
        hostNetwork=False, readinessGates=[], hostUsers=True,
        containers=[container(tty=False, securityContext={"privileged": False, "procMount": "Default"})],
    )  # fmt: skip
    assert spec.containers[0].name == "main"


def test_what_the_api_server_leaves_out_has_its_defaults() -> None:
    spec = pod_spec(containers=[container(readinessProbe={"httpGet": {"port": "web"}})])
    probe = spec.containers[0].readiness
    assert probe
    assert (probe.period, probe.timeout, probe.failures, probe.successes, probe.grace) == (10, 1, 3, 1, None)
    assert (probe.handler.kind, probe.handler.port, probe.handler.path) == (HandlerKind.HTTP, "web", "/")
    assert (spec.restart_policy, spec.grace, spec.hostname, spec.dns.policy) == ("Always", 30, "web-0", "ClusterFirst")


def test_the_containers_security_context_counts_before_the_pods() -> None:
    spec = pod_spec(
        securityContext={"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True},
        containers=[container(securityContext={"runAsUser": 0, "runAsNonRoot": False})],
    )
    privileges = spec.containers[0].privileges
    assert (privileges.user, privileges.group, privileges.non_root) == (0, 2, False)
