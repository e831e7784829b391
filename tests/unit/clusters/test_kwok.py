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
from tests.unit.clusters.stand import Held, Stand, ended, numbers, simulated, waits_for_lock
from tests.unit.command_result import CommandResult

EAST = "east-1a2b3c"


def create(stand: Stand, name: str = EAST) -> CommandResult:
    return stand.run("kwok", "create", settings=simulated(name))


def begin(stand: Stand, name: str = EAST) -> subprocess.Popen[str]:
    return stand.begin("kwok", "create", settings=simulated(name))


def made(stand: Stand, name: str = EAST) -> None:
    """Leave what a finished creation leaves."""
    stand.folder(name).mkdir(parents=True)
    (stand.folder(name) / "made").touch()
    (stand.home / "kwok" / "clusters" / name).mkdir(parents=True)


def configuration(stand: Stand, name: str = EAST) -> dict[str, object]:
    return dict(json.loads((stand.folder(name) / "control-plane.json").read_text(encoding="utf-8"))["options"])


def ports(stand: Stand, name: str = EAST) -> set[int]:
    return set(numbers(configuration(stand, name)))


def first_slot(stand: Stand, name: str) -> int:
    return int(sha256(str(stand.folder(name)).encode()).hexdigest()[:8], 16) % reserved_ports.SLOTS


def names() -> Iterator[str]:
    return (f"c-{number}" for number in range(100_000))


def is_free(slot: int) -> bool:
    """Say whether nothing on this machine has the ports of a slot: real clusters may run beside the tests."""
    begin = reserved_ports.FIRST_PORT + slot * reserved_ports.SIZE
    return all(map(reserved_ports._is_free, range(begin, begin + reserved_ports.SIZE)))


def actions(stand: Stand) -> list[str]:
    """What kwokctl was told to do, without options."""
    return [" ".join(word for word in call.argv if not word.startswith("--")) for call in stand.calls("kwokctl")]


def test_a_fresh_cluster_is_created_scaled_proven_and_marked_as_made(stand: Stand) -> None:
    done = create(stand)
    assert (done.status, done.err) == (0, "")
    assert actions(stand) == ["create cluster", "scale node"]
    created, scaled = stand.calls("kwokctl")
    assert {f"--name={EAST}", "--wait=60s", f"--kubeconfig={stand.folder(EAST)}/kubeconfig"} <= set(created.argv)
    assert "--replicas=3" in scaled.argv
    assert stand.lines()[-1].startswith(f"kubectl --kubeconfig={stand.folder(EAST)}/kubeconfig get --raw=/readyz")
    assert (stand.folder(EAST) / "made").exists()


def test_kwokctl_keeps_its_files_below_mesh_home(stand: Stand) -> None:
    create(stand)
    assert {call.env["KWOK_WORKDIR"] for call in stand.calls("kwokctl")} == {f"{stand.home}/kwok"}


def test_the_declared_version_and_service_subnet_reach_the_control_plane(stand: Stand) -> None:
    create(stand)
    (given,) = [file for path, file in stand.calls("kwokctl")[0].files.items() if path.endswith("control-plane.json")]
    config = json.loads(given.text)
    assert config["options"]["kubeVersion"] == "v1.34.4"
    assert config["options"]["bindAddress"] == "127.0.0.1"
    patches = {patch["name"]: patch["extraArgs"] for patch in config["componentsPatches"]}
    assert {"key": "service-cluster-ip-range", "value": "10.255.10.0/24"} in patches["kube-apiserver"]
    stage = json.loads(Path(patches["kwok-controller"][0]["value"]).read_text(encoding="utf-8"))
    assert stage["kind"] == "Stage"
    assert stage["spec"]["resourceRef"] == {"apiGroup": "v1", "kind": "Service"}


def test_control_plane_programs_are_named_by_path_where_they_are_found(stand: Stand) -> None:
    stand.install("etcd")
    create(stand)
    assert configuration(stand)["etcdBinary"] == f"{stand.root}/bin/etcd"
    assert configuration(stand)["kubeApiserverBinary"] == "kube-apiserver"


def patched(stand: Stand, component: str) -> dict[str, tuple[object, bool]]:
    """The options that kwokctl is to give to a program beside its own: value, and whether instead of its own."""
    config = json.loads((stand.folder(EAST) / "control-plane.json").read_text(encoding="utf-8"))
    [options] = [patch["extraArgs"] for patch in config["componentsPatches"] if patch["name"] == component]
    return {each["key"]: (each.get("value"), each.get("override", False)) for each in options}


def test_etcd_answers_over_tls_alone_and_only_who_has_a_certificate_of_the_cluster(stand: Stand) -> None:
    create(stand)
    options, pki = configuration(stand), f"{stand.home}/kwok/clusters/{EAST}/pki"
    etcd = patched(stand, "etcd")
    for kind, port in (("client", "etcdPort"), ("peer", "etcdPeerPort")):
        here = f"https://127.0.0.1:{options[port]}"
        assert etcd[f"listen-{kind}-urls"] == (here, True)
        door = "" if kind == "client" else "peer-"
        assert etcd[f"{door}client-cert-auth"] == ("true", False)
        assert etcd[f"{door}trusted-ca-file"] == (f"{pki}/ca.crt", False)
    api_server = patched(stand, "kube-apiserver")
    assert api_server["etcd-servers"] == (f"https://127.0.0.1:{options['etcdPort']}", True)
    assert api_server["etcd-certfile"] == (f"{pki}/admin.crt", False)
    assert "http://" not in (stand.folder(EAST) / "control-plane.json").read_text(encoding="utf-8")


def test_what_kwokctl_writes_is_its_owners_alone(stand: Stand) -> None:
    kwokctl = stand.root / "bin" / "kwokctl"
    kwokctl.write_text('#!/bin/sh\n: > "$KWOK_WORKDIR.key"\n', encoding="utf-8")
    assert create(stand).status == 0
    assert stat.S_IMODE((stand.home / "kwok.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "server: of another cluster"])
def test_a_kubeconfig_that_is_lost_or_another_clusters_is_written_again(stand: Stand, text: str) -> None:
    made(stand)
    (stand.home / "kwok" / "clusters" / EAST / "kubeconfig.yaml").write_text("server: east", encoding="utf-8")
    if text:
        (stand.folder(EAST) / "kubeconfig").write_text(text, encoding="utf-8")
    assert stand.run("kwok", "start", settings=simulated(EAST)).status == 0
    assert (stand.folder(EAST) / "kubeconfig").read_text(encoding="utf-8") == "server: east"
    assert stat.S_IMODE((stand.folder(EAST) / "kubeconfig").stat().st_mode) == 0o600


@pytest.mark.parametrize("odd", [",", '"'])
def test_a_folder_that_kwok_cannot_take_is_refused_before_anything_is_made(stand: Stand, odd: str) -> None:
    home = stand.root / f"a{odd}b"
    failed = stand.run("kwok", "create", settings=simulated(EAST), variables={"MESH_HOME": str(home)})
    assert failed.status == 1
    assert failed.err.startswith(f"cluster {EAST} is not created: kwok cannot work in {home}, because of the {odd}")
    assert "-> rename the folder" in failed.err
    assert stand.calls() == []
    assert not (home / "clusters").exists()


def test_a_full_disk_is_named_before_anything_is_made(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.enter(monkeypatch)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=40 * 2**20))
    with pytest.raises(SystemExit, match=rf"{EAST} is not created: 40 MiB are free on the disk of {stand.home}"):
        kwok.Kwok().create(stand.cluster(EAST))
    assert stand.calls() == []


def test_a_disk_that_fills_up_while_a_cluster_is_made_is_named_beside_what_it_led_to(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.enter(monkeypatch)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    stand.when("kwokctl", status=1, err="etcd: exit status 1\n")
    with pytest.raises(SystemExit, match=r"etcd: exit status 1\n\n0 MiB are free"):
        kwok._kwokctl(stand.cluster(EAST), "start", "cluster")


def test_a_running_cluster_is_adopted(stand: Stand) -> None:
    made(stand)
    assert create(stand).status == 0
    assert stand.calls("kwokctl") == []
    assert stand.calls("kubectl")


def test_a_stopped_cluster_is_started_again_and_proven(stand: Stand) -> None:
    made(stand)
    stand.when("kubectl", status=[1, 0])
    assert create(stand).status == 0
    assert actions(stand) == ["stop cluster", "start cluster"]
    assert "--wait=60s" in stand.calls("kwokctl")[1].argv
    assert len(stand.calls("kubectl")) == 2


def test_start_leaves_a_running_cluster_alone(stand: Stand) -> None:
    made(stand)
    assert stand.run("kwok", "start", settings=simulated(EAST)).status == 0
    assert stand.calls("kwokctl") == []


def test_a_half_made_cluster_is_made_anew(stand: Stand) -> None:
    stand.folder(EAST).mkdir(parents=True)
    (stand.folder(EAST) / "left-behind").touch()
    assert create(stand).status == 0
    assert actions(stand) == ["delete cluster", "create cluster", "scale node"]
    assert not (stand.folder(EAST) / "left-behind").exists()


def test_a_creation_that_fails_shows_the_words_of_kwokctl_and_is_not_taken_for_made(stand: Stand) -> None:
    stand.when("kwokctl", "create", status=7, err="etcd: address already in use\n")
    failed = create(stand)
    assert failed.status == 1
    assert "create cluster" in failed.err and "failed (7)" in failed.err
    assert "etcd: address already in use" in failed.err
    assert "Traceback" not in failed.err
    assert not (stand.folder(EAST) / "made").exists()


def test_a_control_plane_that_does_not_answer_is_an_error_that_names_its_logs(stand: Stand) -> None:
    stand.when("kubectl", status=1)
    failed = create(stand)
    assert failed.status == 1
    assert f"the control plane of {EAST} does not answer" in failed.err
    assert f"{stand.home}/kwok/clusters/{EAST}/logs" in failed.err
    assert not (stand.folder(EAST) / "made").exists()


def test_a_creation_that_failed_succeeds_when_repeated(stand: Stand) -> None:
    stand.when("kwokctl", "create", status=[1, 0])
    assert create(stand).status == 1
    assert create(stand).status == 0
    assert (stand.folder(EAST) / "made").exists()


def test_a_kwokctl_that_hangs_is_ended_and_named(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.when("kwokctl", hold="forever")
    stand.enter(monkeypatch)
    monkeypatch.setattr(kwok, "TIMEOUT", 0.2)
    with pytest.raises(SystemExit, match=rf"start.*` did not end within 0.2 s; its logs are below {stand.home}/kwok"):
        kwok._kwokctl(stand.cluster(EAST), "start", "cluster")


def test_without_kwokctl_the_message_says_how_to_get_it(stand: Stand) -> None:
    stand.remove("kwokctl")
    failed = create(stand)
    assert failed.status == 1
    assert failed.err == 'kwokctl is not on PATH: run `./mesh doctor`, then `eval "$(./mesh env)"`\n'


def test_without_kubectl_the_message_says_how_to_get_it(stand: Stand) -> None:
    made(stand)
    stand.remove("kubectl")
    failed = create(stand)
    assert failed.status == 1
    assert failed.err.startswith("kubectl is not on PATH: run `./mesh doctor`")


def test_delete_removes_the_cluster_its_folder_and_its_ports(stand: Stand) -> None:
    create(stand)
    assert list(stand.slots.glob("[0-9]*"))
    assert stand.run("kwok", "delete", settings=simulated(EAST)).status == 0
    assert actions(stand)[-1] == "delete cluster"
    assert not stand.folder(EAST).exists()
    assert not list(stand.slots.glob("[0-9]*"))


def test_delete_keeps_the_ports_of_other_clusters(stand: Stand) -> None:
    create(stand)
    create(stand, "west-4d5e6f")
    stand.run("kwok", "delete", settings=simulated(EAST))
    assert [os.readlink(slot) for slot in stand.slots.glob("[0-9]*")] == [str(stand.folder("west-4d5e6f"))]


def test_deleting_a_cluster_that_is_already_gone_is_no_error(stand: Stand) -> None:
    assert stand.run("kwok", "delete", settings=simulated(EAST)).status == 0
    assert stand.calls() == []


def test_a_delete_that_fails_shows_the_words_of_kwokctl_and_keeps_the_folder(stand: Stand) -> None:
    made(stand)
    stand.when("kwokctl", "delete", status=1, err="cannot stop etcd\n")
    failed = stand.run("kwok", "delete", settings=simulated(EAST))
    assert failed.status == 1
    assert "cannot stop etcd" in failed.err
    assert stand.folder(EAST).exists()


def test_two_clusters_made_at_once_get_disjoint_ports(stand: Stand) -> None:
    gates = [stand.when("kwokctl", f"--name={name}", "create", hold=name) for name in ("east-1", "west-2")]
    running = [begin(stand, "east-1"), begin(stand, "west-2")]
    for gate in gates:
        gate.write_text("go")  # returns when the stub reads: from then on both hold their ports
    assert [ended(process).status for process in running] == [0, 0]
    assert len(ports(stand, "east-1") | ports(stand, "west-2")) == 2 * reserved_ports.SIZE


def neighbours(stand: Stand) -> tuple[str, str]:
    """Two names whose first choice of ports is the same, and free."""
    seen: dict[int, str] = {}
    for name in names():
        slot = first_slot(stand, name)
        if slot in seen and is_free(slot):
            return seen[slot], name
        seen[slot] = name
    raise AssertionError("no two names have the same first choice")


def test_clusters_that_would_choose_the_same_ports_get_different_ones(stand: Stand) -> None:
    one, other = neighbours(stand)
    create(stand, one)
    create(stand, other)
    assert first_slot(stand, one) == first_slot(stand, other)
    assert ports(stand, one).isdisjoint(ports(stand, other))


def test_a_reservation_lapses_with_the_folder_of_its_cluster(stand: Stand) -> None:
    name = next(name for name in names() if is_free(first_slot(stand, name)))
    slot = stand.slots / str(first_slot(stand, name))
    slot.parent.mkdir(parents=True)
    slot.symlink_to(stand.folder("long-gone"))
    create(stand, name)
    assert os.readlink(slot) == str(stand.folder(name))


def test_a_port_that_something_else_listens_on_is_skipped(stand: Stand) -> None:
    name = next(name for name in names() if is_free(first_slot(stand, name)))
    taken = reserved_ports.FIRST_PORT + first_slot(stand, name) * reserved_ports.SIZE + 3
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", taken))
        listener.listen()
        assert create(stand, name).status == 0
    assert taken not in ports(stand, name)
    assert min(ports(stand, name)) != taken - 3


def test_ports_lie_below_the_ephemeral_range(stand: Stand) -> None:
    create(stand)
    assert all(reserved_ports.FIRST_PORT <= port < 30000 for port in ports(stand))
    assert reserved_ports.FIRST_PORT + reserved_ports.SLOTS * reserved_ports.SIZE <= 30000


def test_when_every_port_is_reserved_the_message_names_the_range(stand: Stand) -> None:
    stand.slots.mkdir(parents=True)
    other = stand.folder("other")
    other.mkdir(parents=True)
    for slot in range(reserved_ports.SLOTS):
        (stand.slots / str(slot)).symlink_to(other)
    failed = create(stand)
    assert failed.status == 1
    assert failed.err == f"no free ports between 20000 and 29000 for {EAST}\n"


def test_ports_are_given_back_under_the_lock_under_which_they_are_taken(stand: Stand) -> None:
    made(stand)
    lock = Held(stand.slots / ".lock")
    deleting = stand.begin("kwok", "delete", settings=simulated(EAST))
    assert waits_for_lock(deleting)
    lock.release()
    assert ended(deleting).status == 0


def test_the_load_balancer_gives_only_addresses_that_were_asked_for() -> None:
    conditions = kwokctl_configuration.LOAD_BALANCER["spec"]
    assert isinstance(conditions, dict)
    asked = {(c["key"], c["operator"]) for c in conditions["selector"]["matchExpressions"]}
    assert ('.metadata.annotations["metallb.universe.tf/loadBalancerIPs"]', "Exists") in asked
    assert (".status.loadBalancer.ingress", "DoesNotExist") in asked


def control_plane(stand: Stand, name: str) -> "subprocess.Popen[bytes]":
    """Start a process as kwokctl does, of which it has no note."""
    options = {**dict.fromkeys(kwokctl_configuration.BINARIES, "none"), "etcdBinary": sys.executable}
    stand.folder(name).mkdir(parents=True, exist_ok=True)
    (stand.folder(name) / "control-plane.json").write_text(json.dumps({"options": options}), encoding="utf-8")
    config = stand.home / "kwok" / "clusters" / name / "kwok.yaml"
    return subprocess.Popen([sys.executable, "-c", "input()", f"--config={config}"], stdin=subprocess.PIPE)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_deleting_ends_what_a_killed_kwokctl_had_started_and_not_noted(stand: Stand) -> None:
    made(stand)
    with control_plane(stand, EAST) as lost, control_plane(stand, f"{EAST}2") as neighbour:
        assert stand.run("kwok", "delete", settings=simulated(EAST)).status == 0
        assert lost.wait(timeout=30) == -signal.SIGKILL
        assert neighbour.poll() is None
        neighbour.kill()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux tells the command lines of processes")
def test_deleting_leaves_a_pager_that_shows_a_log_of_the_cluster_alone(stand: Stand) -> None:
    made(stand)
    log = stand.home / "kwok" / "clusters" / EAST / "etcd.log"
    log.touch()
    with control_plane(stand, EAST) as lost, subprocess.Popen(["tail", "-f", log], stdout=subprocess.DEVNULL) as pager:
        assert stand.run("kwok", "delete", settings=simulated(EAST)).status == 0
        assert lost.wait(timeout=30) == -signal.SIGKILL
        assert pager.poll() is None
        pager.kill()


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="only Linux tells the programs of processes")
@pytest.mark.parametrize("action", ["delete", "start"])
def test_a_process_that_has_the_number_of_one_before_the_reboot_is_not_kwokctls_to_end(
    stand: Stand, action: str
) -> None:
    made(stand)
    stand.when("kubectl", status=[1, 0])
    pids = stand.home / "kwok" / "clusters" / EAST / "pids"
    pids.mkdir()
    stand.when("kwokctl", hold="kwokctl")
    with control_plane(stand, EAST) as ours, subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            for name, process in (("etcd", ours), ("kube-apiserver", stranger)):
                (pids / f"{name}.pid").write_text(str(process.pid), encoding="utf-8")
            running = stand.begin("kwok", action, settings=simulated(EAST))
            with (stand.root / "kwokctl.gate").open("w") as gate:
                noted = [note.name for note in pids.iterdir()]
                running.kill()
                gate.write("go")
            ended(running)
            assert noted == ["etcd.pid"]
        finally:
            ours.kill()
            stranger.kill()
