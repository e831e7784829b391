"""What happens to pods over time: updates of their volumes, their deletion, the death of the agent."""

import signal
from collections.abc import Mapping

import pytest
import yaml

from tests.engine.native.conftest import PodCluster


def begin(cluster: PodCluster, namespace: str, spec: Mapping[str, object], *objects: Mapping[str, object]) -> None:
    """Create a pod in a new namespace."""
    cluster.output("create", "namespace", namespace)
    cluster.wait(namespace, "serviceaccount/default", "create")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
    cluster.output("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump_all([*objects, pod]))


def shell(script: str, **fields: object) -> dict[str, object]:
    """Return a container that runs a script."""
    return {"name": "main", "image": "busybox", "command": ["/bin/sh", "-c", script], **fields}


def pod_links(cluster: PodCluster) -> set[str]:
    """Return the addresses of the interfaces that lead to pods."""
    lines = cluster.inside("ip", "-brief", "link").splitlines()
    return {line.split()[2] for line in lines if "@" in line.split()[0]}


def test_files_of_a_config_map_change_with_it(cluster: PodCluster) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "red"}}
    container = shell(
        "until test $(cat /config/color) = blue; do sleep 0.2; done; ls /config",
        volumeMounts=[{"name": "config", "mountPath": "/config"}],
    )
    volumes = [{"name": "config", "configMap": {"name": "settings"}}]
    begin(cluster, "updates", {"restartPolicy": "Never", "volumes": volumes, "containers": [container]}, config)
    cluster.wait("updates", "pod/pod", "jsonpath={.status.phase}=Running")
    config["data"] = {"color": "blue", "shape": "round"}
    cluster.output("apply", "-n", "updates", "-f", "-", stdin=yaml.safe_dump(config))
    cluster.wait("updates", "pod/pod", "jsonpath={.status.phase}=Succeeded")
    assert cluster.output("logs", "-n", "updates", "pod") == "color\nshape\n"


def test_a_pod_starts_when_the_secret_that_it_waits_for_is_there(cluster: PodCluster) -> None:
    container = shell("cat /secret/word", volumeMounts=[{"name": "secret", "mountPath": "/secret"}])
    volumes = [{"name": "secret", "secret": {"secretName": "late"}}]
    begin(cluster, "waits", {"restartPolicy": "Never", "volumes": volumes, "containers": [container]})
    cluster.wait("waits", "pod/pod", "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ContainerCreating")
    cluster.output("create", "secret", "generic", "late", "-n", "waits", "--from-literal=word=sesame")
    cluster.wait("waits", "pod/pod", "jsonpath={.status.phase}=Succeeded")
    assert cluster.output("logs", "-n", "waits", "pod") == "sesame"


def test_a_deleted_pod_runs_its_last_hook_gets_term_and_is_gone(cluster: PodCluster) -> None:
    script = "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    begin(cluster, "ends", {"terminationGracePeriodSeconds": 30, "containers": [shell(script, lifecycle=hook)]})
    cluster.wait("ends", "pod/pod", "condition=Ready")

    def delete() -> None:
        cluster.output("delete", "pod", "pod", "-n", "ends", "--wait=false")

    seen = cluster.lines("logs", "-n", "ends", "pod", "--follow", until="told", begun=delete)
    assert seen == "up\nhook\ntold\n"
    cluster.wait("ends", "pod/pod", "delete")


def test_a_pod_that_ignores_term_is_killed_after_its_grace_period(cluster: PodCluster) -> None:
    spec: dict[str, object] = {"terminationGracePeriodSeconds": 1, "containers": [shell("sleep 1000")]}
    begin(cluster, "stubborn", spec)
    cluster.wait("stubborn", "pod/pod", "condition=Ready")
    cluster.output("delete", "pod", "pod", "-n", "stubborn", "--timeout=30s")


def test_a_job_is_complete_when_its_pod_is(cluster: PodCluster) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [shell("true")]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}}
    cluster.output("create", "namespace", "jobs")
    cluster.output("apply", "-n", "jobs", "-f", "-", stdin=yaml.safe_dump(job))
    cluster.wait("jobs", "job/once", "condition=Complete")


def test_an_agent_that_dies_takes_its_pods_with_it_and_the_next_one_starts_them_again(cluster: PodCluster) -> None:
    if not cluster.native or cluster.agent is None:
        pytest.skip("only the agent of a native node can be killed here")
    begin(cluster, "over", {"restartPolicy": "Never", "containers": [shell("true")]})
    begin(cluster, "orphans", {"containers": [shell("exec sleep 4321")]})
    cluster.wait("over", "pod/pod", "jsonpath={.status.phase}=Succeeded")
    cluster.wait("orphans", "pod/pod", "condition=Ready")
    assert cluster.inside("pgrep", "-f", "sleep 4321")
    links = pod_links(cluster)
    agent = cluster.inside("pgrep", "-f", "mesh_federation.native.agent").split()[0]
    cluster.inside("kill", f"-{signal.SIGKILL.value}", agent)
    cluster.agent.wait()
    assert not cluster.inside("pgrep", "-f", "sleep 4321")
    cluster.start_agent()
    cluster.wait("orphans", "pod/pod", "jsonpath={.status.containerStatuses[0].restartCount}=1")
    cluster.wait("orphans", "pod/pod", "condition=Ready")
    assert cluster.inside("pgrep", "-f", "sleep 4321")
    assert not links & pod_links(cluster), "interfaces of earlier pods are left"
    restarts = cluster.output(
        "get", "pod", "pod", "-n", "over", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"
    )
    assert restarts == "0", "a pod that is over ran again"
