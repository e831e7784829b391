"""The job that makes simulated clusters, against a kwokctl that records and a kubectl that answers as told."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from mesh_federation.clusters import control_plane as kwokctl_configuration
from mesh_federation.clusters import kwok, reserved_ports
from tests.unit.clusters.fake_machine import FakeMachine, Held, ended, numbers, simulated, waits_for_lock
from tests.unit.command_result import CommandResult

EAST = "east-1a2b3c"


def create(machine: FakeMachine, name: str = EAST) -> CommandResult:
    return machine.run("kwok", "create", settings=simulated(name))


def begin(machine: FakeMachine, name: str = EAST) -> subprocess.Popen[str]:
    return machine.begin("kwok", "create", settings=simulated(name))


def made(machine: FakeMachine, name: str = EAST) -> None:
    """Leave what a finished creation leaves."""
    machine.folder(name).mkdir(parents=True)
    (machine.folder(name) / "made").touch()
    (machine.home / "kwok" / "clusters" / name).mkdir(parents=True)


def configuration(machine: FakeMachine, name: str = EAST) -> dict[str, object]:
    return dict(json.loads((machine.folder(name) / "control-plane.json").read_text(encoding="utf-8"))["options"])


def ports(machine: FakeMachine, name: str = EAST) -> set[int]:
    return set(numbers(configuration(machine, name)))


def first_slot(machine: FakeMachine, name: str) -> int:
    return int(sha256(str(machine.folder(name)).encode()).hexdigest()[:8], 16) % reserved_ports.SLOTS


def names() -> Iterator[str]:
    return (f"c-{number}" for number in range(100_000))


def is_free(slot: int) -> bool:
    """Say whether nothing on this machine has the ports of a slot: real clusters may run beside the tests."""
    begin = reserved_ports.FIRST_PORT + slot * reserved_ports.SIZE
    return all(map(reserved_ports._is_free, range(begin, begin + reserved_ports.SIZE)))


def actions(machine: FakeMachine) -> list[str]:
    """What kwokctl was told to do, without options."""
    return [" ".join(word for word in call.argv if not word.startswith("--")) for call in machine.calls("kwokctl")]


def test_a_fresh_cluster_is_created_scaled_proven_and_marked_as_made(machine: FakeMachine) -> None:
    done = create(machine)
    assert (done.status, done.err) == (0, "")
    assert actions(machine) == ["create cluster", "scale node"]
    created, scaled = machine.calls("kwokctl")
    assert {f"--name={EAST}", "--wait=60s", f"--kubeconfig={machine.folder(EAST)}/kubeconfig"} <= set(created.argv)
    assert "--replicas=3" in scaled.argv
    assert machine.lines()[-1].startswith(f"kubectl --kubeconfig={machine.folder(EAST)}/kubeconfig get --raw=/readyz")
    assert (machine.folder(EAST) / "made").exists()


def test_kwokctl_keeps_its_files_below_mesh_home(machine: FakeMachine) -> None:
    create(machine)
    assert {call.env["KWOK_WORKDIR"] for call in machine.calls("kwokctl")} == {f"{machine.home}/kwok"}


def test_the_declared_version_and_service_subnet_reach_the_control_plane(machine: FakeMachine) -> None:
    create(machine)
    (given,) = [file for path, file in machine.calls("kwokctl")[0].files.items() if path.endswith("control-plane.json")]
    config = json.loads(given.text)
    assert config["options"]["kubeVersion"] == "v1.34.4"
    assert config["options"]["bindAddress"] == "127.0.0.1"
    patches = {patch["name"]: patch["extraArgs"] for patch in config["componentsPatches"]}
    assert {"key": "service-cluster-ip-range", "value": "10.255.10.0/24"} in patches["kube-apiserver"]
    stage = json.loads(Path(patches["kwok-controller"][0]["value"]).read_text(encoding="utf-8"))
    assert stage["kind"] == "Stage"
    assert stage["spec"]["resourceRef"] == {"apiGroup": "v1", "kind": "Service"}


def test_control_plane_programs_are_named_by_path_where_they_are_found(machine: FakeMachine) -> None:
    machine.install("etcd")
    create(machine)
    assert configuration(machine)["etcdBinary"] == f"{machine.root}/bin/etcd"
    assert configuration(machine)["kubeApiserverBinary"] == "kube-apiserver"


def patched(machine: FakeMachine, component: str) -> dict[str, tuple[object, bool]]:
    """The options that kwokctl is to give to a program beside its own: value, and whether instead of its own."""
    config = json.loads((machine.folder(EAST) / "control-plane.json").read_text(encoding="utf-8"))
    [options] = [patch["extraArgs"] for patch in config["componentsPatches"] if patch["name"] == component]
    return {each["key"]: (each.get("value"), each.get("override", False)) for each in options}


@pytest.mark.parametrize("component", ["kube-controller-manager", "kube-scheduler"])
def test_a_controller_that_runs_once_ends_for_no_lease(machine: FakeMachine, component: str) -> None:
    create(machine)
    assert patched(machine, component)["leader-elect"] == ("false", False)


def test_what_spares_the_engine_memory_does_not_reach_control_planes_that_stay(machine: FakeMachine) -> None:
    machine.run("kwok", "create", settings=simulated(EAST), variables={"GOGC": "300"})
    assert {call.env["GOGC"] for call in machine.calls("kwokctl")} == {"100"}


def test_an_etcd_that_is_alone_waits_for_no_others(machine: FakeMachine) -> None:
    create(machine)
    etcd = patched(machine, "etcd")
    heartbeat, election = (int(str(etcd[name][0])) for name in ("heartbeat-interval", "election-timeout"))
    assert 5 * heartbeat <= election <= 100  # etcd refuses more heartbeats than that


def test_etcd_answers_over_tls_alone_and_only_who_has_a_certificate_of_the_cluster(machine: FakeMachine) -> None:
    create(machine)
    options, pki = configuration(machine), f"{machine.home}/kwok/clusters/{EAST}/pki"
    etcd = patched(machine, "etcd")
    for kind, port in (("client", "etcdPort"), ("peer", "etcdPeerPort")):
        here = f"https://127.0.0.1:{options[port]}"
        assert etcd[f"listen-{kind}-urls"] == (here, True)
        door = "" if kind == "client" else "peer-"
        assert etcd[f"{door}client-cert-auth"] == ("true", False)
        assert etcd[f"{door}trusted-ca-file"] == (f"{pki}/ca.crt", False)
    api_server = patched(machine, "kube-apiserver")
    assert api_server["etcd-servers"] == (f"https://127.0.0.1:{options['etcdPort']}", True)
    assert api_server["etcd-certfile"] == (f"{pki}/admin.crt", False)
    assert "http://" not in (machine.folder(EAST) / "control-plane.json").read_text(encoding="utf-8")


def test_what_kwokctl_writes_is_its_owners_alone(machine: FakeMachine) -> None:
    kwokctl = machine.root / "bin" / "kwokctl"
    kwokctl.write_text('#!/bin/sh\n: > "$KWOK_WORKDIR.key"\n', encoding="utf-8")
    assert create(machine).status == 0
    assert stat.S_IMODE((machine.home / "kwok.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "server: of another cluster"])
def test_a_kubeconfig_that_is_lost_or_another_clusters_is_written_again(machine: FakeMachine, text: str) -> None:
    made(machine)
    (machine.home / "kwok" / "clusters" / EAST / "kubeconfig.yaml").write_text("server: east", encoding="utf-8")
    if text:
        (machine.folder(EAST) / "kubeconfig").write_text(text, encoding="utf-8")
    assert machine.run("kwok", "start", settings=simulated(EAST)).status == 0
    assert (machine.folder(EAST) / "kubeconfig").read_text(encoding="utf-8") == "server: east"
    assert stat.S_IMODE((machine.folder(EAST) / "kubeconfig").stat().st_mode) == 0o600


@pytest.mark.parametrize("odd", [",", '"'])
def test_a_folder_that_kwok_cannot_take_is_refused_before_anything_is_made(machine: FakeMachine, odd: str) -> None:
    home = machine.root / f"a{odd}b"
    failed = machine.run("kwok", "create", settings=simulated(EAST), variables={"MESH_HOME": str(home)})
    assert failed.status == 1
    assert failed.err.startswith(f"cluster {EAST} is not created: kwok cannot work in {home}, because of the {odd}")
    assert "-> rename the folder" in failed.err
    assert machine.calls() == []
    assert not (home / "clusters").exists()


def test_a_full_disk_is_named_before_anything_is_made(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.enter(monkeypatch)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=40 * 2**20))
    with pytest.raises(SystemExit, match=rf"{EAST} is not created: 40 MiB are free on the disk of {machine.home}"):
        kwok.Kwok().create(machine.cluster(EAST))
    assert machine.calls() == []


def test_a_disk_that_fills_up_while_a_cluster_is_made_is_named_beside_what_it_led_to(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.enter(monkeypatch)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    machine.when("kwokctl", status=1, err="etcd: exit status 1\n")
    with pytest.raises(SystemExit, match=r"etcd: exit status 1\n\n0 MiB are free"):
        kwok._kwokctl(machine.cluster(EAST), "start", "cluster")


def test_a_running_cluster_is_adopted(machine: FakeMachine) -> None:
    made(machine)
    assert create(machine).status == 0
    assert machine.calls("kwokctl") == []
    assert machine.calls("kubectl")


def test_a_stopped_cluster_is_started_again_and_proven(machine: FakeMachine) -> None:
    made(machine)
    machine.when("kubectl", status=[1, 0])
    assert create(machine).status == 0
    assert actions(machine) == ["stop cluster", "start cluster"]
    assert "--wait=60s" in machine.calls("kwokctl")[1].argv
    assert len(machine.calls("kubectl")) == 2


def left_by_a_program_that_ended(machine: FakeMachine) -> None:
    """Leave kwokctl's record of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    records = machine.home / "kwok" / "clusters" / EAST / "pids"
    records.mkdir(parents=True)
    (records / "kube-controller-manager.pid").write_text(str(process.pid))


def test_what_ended_while_the_api_server_started_is_started_again(machine: FakeMachine) -> None:
    left_by_a_program_that_ended(machine)
    assert create(machine).status == 0
    assert actions(machine) == ["create cluster", "start cluster", "scale node"]


def test_what_ended_in_a_control_plane_that_answers_is_started_again(machine: FakeMachine) -> None:
    made(machine)
    left_by_a_program_that_ended(machine)
    assert machine.run("kwok", "start", settings=simulated(EAST)).status == 0
    assert actions(machine) == ["start cluster"]


def test_start_leaves_a_running_cluster_alone(machine: FakeMachine) -> None:
    made(machine)
    assert machine.run("kwok", "start", settings=simulated(EAST)).status == 0
    assert machine.calls("kwokctl") == []


def test_a_half_made_cluster_is_made_anew(machine: FakeMachine) -> None:
    machine.folder(EAST).mkdir(parents=True)
    (machine.folder(EAST) / "left-behind").touch()
    assert create(machine).status == 0
    assert actions(machine) == ["delete cluster", "create cluster", "scale node"]
    assert not (machine.folder(EAST) / "left-behind").exists()


def test_a_creation_that_fails_shows_the_words_of_kwokctl_and_is_not_taken_for_made(machine: FakeMachine) -> None:
    machine.when("kwokctl", "create", status=7, err="etcd: address already in use\n")
    failed = create(machine)
    assert failed.status == 1
    assert "create cluster" in failed.err and "failed (7)" in failed.err
    assert "etcd: address already in use" in failed.err
    assert "Traceback" not in failed.err
    assert not (machine.folder(EAST) / "made").exists()


def test_a_control_plane_that_does_not_answer_is_an_error_that_names_its_logs(machine: FakeMachine) -> None:
    machine.when("kubectl", status=1)
    failed = create(machine)
    assert failed.status == 1
    assert f"the control plane of {EAST} does not answer" in failed.err
    assert f"{machine.home}/kwok/clusters/{EAST}/logs" in failed.err
    assert not (machine.folder(EAST) / "made").exists()


def test_a_creation_that_failed_succeeds_when_repeated(machine: FakeMachine) -> None:
    machine.when("kwokctl", "create", status=[1, 0])
    assert create(machine).status == 1
    assert create(machine).status == 0
    assert (machine.folder(EAST) / "made").exists()


def test_a_kwokctl_that_hangs_is_ended_and_named(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.when("kwokctl", hold="forever")
    machine.enter(monkeypatch)
    monkeypatch.setattr(kwok, "TIMEOUT", 0.2)
    with pytest.raises(SystemExit, match=rf"start.*` did not end within 0.2 s; its logs are below {machine.home}/kwok"):
        kwok._kwokctl(machine.cluster(EAST), "start", "cluster")


def test_without_kwokctl_the_message_says_how_to_get_it(machine: FakeMachine) -> None:
    machine.remove("kwokctl")
    failed = create(machine)
    assert failed.status == 1
    assert failed.err == 'kwokctl is not on PATH: run `./mesh doctor`, then `eval "$(./mesh env)"`\n'


def test_without_kubectl_the_message_says_how_to_get_it(machine: FakeMachine) -> None:
    made(machine)
    machine.remove("kubectl")
    failed = create(machine)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")


def test_delete_removes_the_cluster_its_folder_and_its_ports(machine: FakeMachine) -> None:
    create(machine)
    assert list(machine.slots.glob("[0-9]*"))
    assert machine.run("kwok", "delete", settings=simulated(EAST)).status == 0
    assert actions(machine)[-1] == "delete cluster"
    assert not machine.folder(EAST).exists()
    assert not list(machine.slots.glob("[0-9]*"))


def test_delete_keeps_the_ports_of_other_clusters(machine: FakeMachine) -> None:
    create(machine)
    create(machine, "west-4d5e6f")
    machine.run("kwok", "delete", settings=simulated(EAST))
    assert [os.readlink(slot) for slot in machine.slots.glob("[0-9]*")] == [str(machine.folder("west-4d5e6f"))]


def test_deleting_a_cluster_that_is_already_gone_is_no_error(machine: FakeMachine) -> None:
    assert machine.run("kwok", "delete", settings=simulated(EAST)).status == 0
    assert machine.calls() == []


def test_a_delete_that_fails_shows_the_words_of_kwokctl_and_keeps_the_folder(machine: FakeMachine) -> None:
    made(machine)
    machine.when("kwokctl", "delete", status=1, err="cannot stop etcd\n")
    failed = machine.run("kwok", "delete", settings=simulated(EAST))
    assert failed.status == 1
    assert "cannot stop etcd" in failed.err
    assert machine.folder(EAST).exists()


def test_two_clusters_made_at_once_get_disjoint_ports(machine: FakeMachine) -> None:
    gates = [machine.when("kwokctl", f"--name={name}", "create", hold=name) for name in ("east-1", "west-2")]
    running = [begin(machine, "east-1"), begin(machine, "west-2")]
    for gate in gates:
        gate.write_text("go")  # returns when the stub reads: from then on both hold their ports
    assert [ended(process).status for process in running] == [0, 0]
    assert len(ports(machine, "east-1") | ports(machine, "west-2")) == 2 * reserved_ports.SIZE


def neighbours(machine: FakeMachine) -> tuple[str, str]:
    """Two names whose first choice of ports is the same, and free."""
    seen: dict[int, str] = {}
    for name in names():
        slot = first_slot(machine, name)
        if slot in seen and is_free(slot):
            return seen[slot], name
        seen[slot] = name
    raise AssertionError("no two names have the same first choice")


def test_clusters_that_would_choose_the_same_ports_get_different_ones(machine: FakeMachine) -> None:
    one, other = neighbours(machine)
    create(machine, one)
    create(machine, other)
    assert first_slot(machine, one) == first_slot(machine, other)
    assert ports(machine, one).isdisjoint(ports(machine, other))


def test_a_reservation_lapses_with_the_folder_of_its_cluster(machine: FakeMachine) -> None:
    name = next(name for name in names() if is_free(first_slot(machine, name)))
    slot = machine.slots / str(first_slot(machine, name))
    slot.parent.mkdir(parents=True)
    slot.symlink_to(machine.folder("long-gone"))
    create(machine, name)
    assert os.readlink(slot) == str(machine.folder(name))


def test_a_port_that_something_else_listens_on_is_skipped(machine: FakeMachine) -> None:
    name = next(name for name in names() if is_free(first_slot(machine, name)))
    taken = reserved_ports.FIRST_PORT + first_slot(machine, name) * reserved_ports.SIZE + 3
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        assert create(machine, name).status == 0
    assert taken not in ports(machine, name)
    assert min(ports(machine, name)) != taken - 3


def test_ports_lie_below_the_ephemeral_range(machine: FakeMachine) -> None:
    create(machine)
    assert all(reserved_ports.FIRST_PORT <= port < 30000 for port in ports(machine))
    assert reserved_ports.FIRST_PORT + reserved_ports.SLOTS * reserved_ports.SIZE <= 30000


def test_when_every_port_is_reserved_the_message_names_the_range(machine: FakeMachine) -> None:
    machine.slots.mkdir(parents=True)
    other = machine.folder("other")
    other.mkdir(parents=True)
    for slot in range(reserved_ports.SLOTS):
        (machine.slots / str(slot)).symlink_to(other)
    failed = create(machine)
    assert failed.status == 1
    assert failed.err == f"no free ports between 20000 and 29000 for {EAST}\n"


def test_ports_are_given_back_under_the_lock_under_which_they_are_taken(machine: FakeMachine) -> None:
    made(machine)
    lock = Held(machine.slots / ".lock")
    deleting = machine.begin("kwok", "delete", settings=simulated(EAST))
    assert waits_for_lock(deleting)
    lock.release()
    assert ended(deleting).status == 0


def test_the_load_balancer_gives_only_addresses_that_were_asked_for() -> None:
    conditions = kwok.LOAD_BALANCER["spec"]
    assert isinstance(conditions, dict)
    asked = {(c["key"], c["operator"]) for c in conditions["selector"]["matchExpressions"]}
    assert ('.metadata.annotations["metallb.universe.tf/loadBalancerIPs"]', "Exists") in asked
    assert (".status.loadBalancer.ingress", "DoesNotExist") in asked


def control_plane(machine: FakeMachine, name: str) -> "subprocess.Popen[bytes]":
    """Start a process as kwokctl does, of which it has no note."""
    options = {**dict.fromkeys(kwokctl_configuration.BINARIES, "none"), "etcdBinary": sys.executable}
    machine.folder(name).mkdir(parents=True, exist_ok=True)
    (machine.folder(name) / "control-plane.json").write_text(json.dumps({"options": options}), encoding="utf-8")
    config = machine.home / "kwok" / "clusters" / name / "kwok.yaml"
    return subprocess.Popen([sys.executable, "-c", "input()", f"--config={config}"], stdin=subprocess.PIPE)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_deleting_ends_what_a_killed_kwokctl_had_started_and_not_noted(machine: FakeMachine) -> None:
    made(machine)
    with control_plane(machine, EAST) as lost, control_plane(machine, f"{EAST}2") as neighbour:
        assert machine.run("kwok", "delete", settings=simulated(EAST)).status == 0
        assert lost.wait(timeout=30) == -signal.SIGKILL
        assert neighbour.poll() is None
        neighbour.kill()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_deleting_leaves_a_pager_that_shows_a_log_of_the_cluster_alone(machine: FakeMachine) -> None:
    made(machine)
    log = machine.home / "kwok" / "clusters" / EAST / "etcd.log"
    log.touch()
    with (
        control_plane(machine, EAST) as lost,
        subprocess.Popen(["tail", "-f", log], stdout=subprocess.DEVNULL) as pager,
    ):
        assert machine.run("kwok", "delete", settings=simulated(EAST)).status == 0
        assert lost.wait(timeout=30) == -signal.SIGKILL
        assert pager.poll() is None
        pager.kill()


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="only Linux tells the programs of processes")
@pytest.mark.parametrize("action", ["delete", "start"])
def test_a_process_that_has_the_number_of_one_before_the_reboot_is_not_kwokctls_to_end(
    machine: FakeMachine, action: str
) -> None:
    made(machine)
    machine.when("kubectl", status=[1, 0])
    pids = machine.home / "kwok" / "clusters" / EAST / "pids"
    pids.mkdir()
    machine.when("kwokctl", hold="kwokctl")
    with control_plane(machine, EAST) as ours, subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            for name, process in (("etcd", ours), ("kube-apiserver", stranger)):
                (pids / f"{name}.pid").write_text(str(process.pid), encoding="utf-8")
            running = machine.begin("kwok", action, settings=simulated(EAST))
            with (machine.root / "kwokctl.gate").open("w") as gate:
                noted = [note.name for note in pids.iterdir()]
                running.kill()
                gate.write("go")
            ended(running)
            assert noted == ["etcd.pid"]
        finally:
            ours.kill()
            stranger.kill()
