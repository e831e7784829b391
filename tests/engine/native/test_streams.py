"""`kubectl exec`, `logs` and `port-forward` with a running pod."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.engine.native.conftest import PodCluster

NAMESPACE = "streams"
SCRIPT = "echo first; echo second; exec sleep 1000"
CALLS = """
import subprocess, sys, urllib.request
forward = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
forward.stdout.readline()
for word in ("aGVsbG8=", "YWdhaW4="):
    print(urllib.request.urlopen(f"http://127.0.0.1:18080/base64/{word}", timeout=30).read().decode())
forward.kill()
"""
"""Calls a server twice through what its arguments start, once that says that it listens."""
POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": NAMESPACE},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main", "image": "busybox", "command": ["/bin/sh", "-c", SCRIPT],
            "env": [{"name": "COLOR", "value": "green"}], "workingDir": "/tmp",
            "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
        }],
    },
}  # fmt: skip
SERVER = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "namespace": NAMESPACE},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main", "image": "mccutchen/go-httpbin",
            "readinessProbe": {"httpGet": {"port": 8080, "path": "/status/200"}, "periodSeconds": 1},
        }],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def pod(cluster: PodCluster) -> Iterator[PodCluster]:
    """Run one pod."""
    cluster.output("create", "namespace", NAMESPACE)
    cluster.wait(NAMESPACE, "serviceaccount/default", "create")
    cluster.output("apply", "-f", "-", stdin=yaml.safe_dump(POD))
    cluster.wait(NAMESPACE, "pod/pod", "condition=Ready")
    yield cluster
    cluster.output("delete", "namespace", NAMESPACE, "--wait=false")


def execute(cluster: PodCluster, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the pod."""
    options = ["--stdin"] if stdin else []
    return cluster.run("exec", *options, "-n", NAMESPACE, "pod", "--", *command, stdin=stdin)


def test_a_command_has_the_containers_user_environment_folder_and_processes(pod: PodCluster) -> None:
    done = execute(pod, "/bin/sh", "-c", "id -u; echo $COLOR; pwd; cat /proc/1/comm; grep CapBnd /proc/self/status")
    assert done.stdout.split() == ["1000", "green", "/tmp", "sleep", "CapBnd:", "0000000000000000"]


def test_the_exit_status_of_a_command_is_that_of_kubectl(pod: PodCluster) -> None:
    assert execute(pod, "sh", "-c", "exit 37").returncode == 37


def test_a_command_that_is_not_there_fails_with_its_reason(pod: PodCluster) -> None:
    done = execute(pod, "no-such-program")
    assert done.returncode != 0
    assert "executable file not found in $PATH" in done.stderr


def test_standard_input_reaches_the_command_and_ends(pod: PodCluster) -> None:
    text = "line\n" * 100_000
    done = execute(pod, "wc", "-l", stdin=text)
    assert (done.returncode, done.stdout.strip()) == (0, "100000")


def test_output_and_errors_are_kept_apart_and_complete(pod: PodCluster) -> None:
    done = execute(pod, "sh", "-c", "seq 1 100000; echo wrong >&2")
    assert done.stdout.splitlines() == [str(number) for number in range(1, 100_001)]
    assert done.stderr == "wrong\n"


def test_logs_are_those_of_the_container_and_their_end_can_be_asked_for(pod: PodCluster) -> None:
    assert pod.output("logs", "-n", NAMESPACE, "pod") == "first\nsecond\n"
    assert pod.output("logs", "-n", NAMESPACE, "pod", "--tail=1") == "second\n"
    stamped = pod.output("logs", "-n", NAMESPACE, "pod", "--timestamps", "--tail=1")
    assert stamped.endswith("Z second\n") and stamped[:2] == "20"


def test_logs_are_followed_to_the_containers_end(pod: PodCluster) -> None:
    seen = pod.lines("logs", "-n", NAMESPACE, "pod", "--follow", until="second")
    assert seen == "first\nsecond\n"


def test_any_port_of_a_pod_can_be_forwarded(pod: PodCluster) -> None:
    if not pod.native:
        pytest.skip("another cluster is not in namespaces that a test can enter")
    pod.output("apply", "-f", "-", stdin=yaml.safe_dump(SERVER))
    pod.wait(NAMESPACE, "pod/server", "condition=Ready")
    kubectl = pod.kubectl[pod.kubectl.index("--") + 1 :]
    python = os.path.realpath(sys.executable)
    seen = pod.inside(python, "-c", CALLS, *kubectl, "port-forward", "-n", NAMESPACE, "pod/server", "18080:8080")
    assert seen.split() == ["hello", "again"]
