"""The lab's Docker network: made once with declared addresses, never in the way of somebody else's, removed last."""

import json
import subprocess
import sys

import pytest

from mesh_federation.clusters import network
from tests.unit.clusters.fake_machine import CHECKOUT, NETWORK, FakeMachine, Held, waits_for_lock

CREATION = "docker network create --subnet=172.30.0.0/16 --ip-range=172.30.0.0/17 --label=mesh-federation mesh-lab"
ABSENT = "Error response from daemon: network mesh-lab not found\n"


@pytest.fixture(autouse=True)
def path(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of stubs is where docker is looked for."""
    machine.enter(monkeypatch)


def there(machine: FakeMachine, *subnets: str, ours: bool = True, name: str = "mesh-lab") -> None:
    """A network of that name exists."""
    found = {
        "Name": name,
        "Labels": {"mesh-federation": ""} if ours else {"com.example.owner": "someone"},
        "IPAM": {"Config": [{"Subnet": subnet} for subnet in subnets]},
    }
    machine.when("docker", "network", "inspect", name, out=json.dumps([found]))


def absent(machine: FakeMachine) -> None:
    machine.when("docker", "network", "inspect", "mesh-lab", status=1, err=ABSENT)


def use(machine: FakeMachine) -> None:
    with network.in_use(NETWORK, machine.workdir):
        pass


def refusal(machine: FakeMachine) -> str:
    with pytest.raises(SystemExit) as ended:
        use(machine)
    return str(ended.value)


def test_the_network_is_made_with_its_subnet_and_the_range_of_its_nodes(machine: FakeMachine) -> None:
    absent(machine)
    use(machine)
    assert machine.lines()[-1] == CREATION


@pytest.mark.parametrize("ours", [True, False])
def test_a_network_with_the_declared_subnet_is_used_whoever_made_it(machine: FakeMachine, ours: bool) -> None:
    there(machine, "fc00::/64", "172.30.0.0/16", ours=ours)
    use(machine)
    assert machine.lines() == ["docker network inspect mesh-lab"]


@pytest.mark.parametrize(("subnets", "told"), [(("172.18.0.0/16",), "172.18.0.0/16"), ((), "no subnet")])
def test_a_network_with_another_subnet_is_refused_with_both(
    machine: FakeMachine, subnets: tuple[str, ...], told: str
) -> None:
    there(machine, *subnets)
    said = refusal(machine)
    assert said.startswith(f"Docker network mesh-lab (lab.network) has {told}, but lab.subnet is 172.30.0.0/16")
    assert "docker network rm mesh-lab" in said
    assert CREATION not in machine.lines()


def test_a_subnet_that_another_network_has_is_told_with_that_network(machine: FakeMachine) -> None:
    absent(machine)
    machine.when("docker", "network", "create", status=1, err="networks have overlapping IPv4\n")
    machine.when("docker", "network", "ls", out="bridge\nother\nhost\n")
    networks = [
        {"Name": "bridge", "Labels": {}, "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
        {"Name": "other", "Labels": {}, "IPAM": {"Config": [{"Subnet": "fc00::/7"}, {"Subnet": "172.30.7.0/24"}]}},
        {"Name": "host", "Labels": None, "IPAM": {"Config": None}},
    ]
    machine.when("docker", "network", "inspect", "bridge", "other", "host", out=json.dumps(networks))
    assert refusal(machine) == (
        "Docker network mesh-lab cannot have 172.30.0.0/16 (lab.subnet): network other has 172.30.7.0/24, which"
        " overlaps\n  -> set lab.subnet to a free range, or remove what is in the way: docker network rm other"
    )


def test_a_subnet_that_the_machine_uses_elsewhere_is_told(machine: FakeMachine) -> None:
    absent(machine)
    machine.when("docker", "network", "create", status=1, err="Pool overlaps with other one on this address space\n")
    machine.when("docker", "network", "ls", out="bridge\n")
    bridge = {"Name": "bridge", "Labels": {}, "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}}
    machine.when("docker", "network", "inspect", "bridge", out=json.dumps([bridge]))
    said = refusal(machine)
    assert "172.30.0.0/16 (lab.subnet): this machine uses part of it elsewhere\n  -> " in said and "`ip route`" in said


@pytest.mark.parametrize("step", ["inspect", "create"])
def test_another_failure_is_told_in_dockers_words(machine: FakeMachine, step: str) -> None:
    absent(machine)
    machine.when("docker", "network", step, status=1, err="the moon is full\n")
    assert "the moon is full" in refusal(machine)


BEGINNING = f"""import os
from mesh_federation.clusters import network
from mesh_federation.clusters.settings import LabNetwork
from mesh_federation.clusters.workdir import Workdir
given = ({NETWORK}, Workdir.of(os.environ))
"""


def script(statement: str) -> subprocess.Popen[str]:
    """A process of its own that does something with the network, in the environment of this test."""
    return subprocess.Popen([sys.executable, "-c", f"{BEGINNING}{statement}"], cwd=CHECKOUT, text=True)


def test_clusters_are_put_into_the_network_side_by_side(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16")
    with network.in_use(NETWORK, machine.workdir):
        beside = script("with network.in_use(*given): pass")
        assert not waits_for_lock(beside)
    assert beside.wait() == 0


def test_nobody_removes_the_network_while_a_cluster_is_put_into_it(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16")
    with network.in_use(NETWORK, machine.workdir):
        remover = script("network.remove(*given)")
        assert waits_for_lock(remover)
        assert "docker network rm mesh-lab" not in machine.lines()
    assert remover.wait() == 0
    assert machine.lines()[-1] == "docker network rm mesh-lab"


def test_the_network_is_made_by_one_at_a_time(machine: FakeMachine) -> None:
    absent(machine)
    lock = Held(machine.root / "cache" / "mesh-federation" / "locks" / "network-mesh-lab.making")
    maker = script("with network.in_use(*given): pass")
    assert waits_for_lock(maker)
    assert machine.calls() == []
    lock.release()
    assert maker.wait() == 0
    assert CREATION in machine.lines()


def test_the_network_goes_with_its_last_cluster(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16")
    network.remove(NETWORK, machine.workdir)
    assert machine.lines()[-2:] == [
        "docker ps --all --quiet --filter=network=mesh-lab",
        "docker network rm mesh-lab",
    ]


def test_a_network_that_another_cluster_is_in_stays_even_where_that_one_is_stopped(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16")
    machine.when("docker", "ps", "--all", out="4711\n")
    network.remove(NETWORK, machine.workdir)
    assert "docker network rm mesh-lab" not in machine.lines()


def test_a_network_that_is_not_ours_stays(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16", ours=False)
    network.remove(NETWORK, machine.workdir)
    assert machine.lines() == ["docker network inspect mesh-lab"]


def test_a_network_that_is_gone_is_no_error(machine: FakeMachine) -> None:
    absent(machine)
    network.remove(NETWORK, machine.workdir)
    assert machine.lines() == ["docker network inspect mesh-lab"]


@pytest.mark.parametrize("said", [ABSENT, "error while removing network: network mesh-lab id 1 has active endpoints\n"])
def test_a_network_that_others_removed_or_took_meanwhile_is_no_error(machine: FakeMachine, said: str) -> None:
    there(machine, "172.30.0.0/16")
    machine.when("docker", "network", "rm", status=1, err=said)
    network.remove(NETWORK, machine.workdir)


def test_a_network_that_cannot_be_removed_is_told(machine: FakeMachine) -> None:
    there(machine, "172.30.0.0/16")
    machine.when("docker", "network", "rm", status=1, err="the moon is full\n")
    with pytest.raises(SystemExit, match="the moon is full"):
        network.remove(NETWORK, machine.workdir)
