"""Egress: calls leave through the gateway, no sooner than it is ready, and in no other way."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.checkout import eventually
from tests.traffic.client import calling
from tests.traffic.conftest import Prepare
from tests.traffic.lab import PATIENCE, Lab
from tests.traffic.mutations import of
from tests.traffic.verified import goes_red_and_green, green

pytestmark = pytest.mark.long

GLOBAL = "http://httpbin.mesh.global:8000/headers"
PLAIN = "http://httpbin.tools.svc.cluster.local:8000/headers"
DEPLOYMENT = "istio-egressgateway"
CALLS = 20
NOWHERE, THERE = "BlackHoleCluster", "PassthroughCluster"
"""Envoy's names for what a proxy does with calls of what the mesh does not know."""

ASTRAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "astray", "namespace": "sleep"},
    "spec": {
        "hosts": ["nobody.example.com"],
        "gateways": ["nowhere"],
        "tcp": [{"route": [{"destination": {"host": "nobody.example.com"}}]}],
    },
}
"""What the analysis must find, or it looks at nothing."""

Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def egress(prepare: Prepare, provider: str) -> Iterator[Lab]:
    """The stack as committed, but for its provider and network."""
    with prepare("egress") as made:
        made.up()
        lab = Lab(made, provider)
        eventually(partial(answered, lab), PATIENCE)
        yield lab


def answered(lab: Lab) -> bool:
    """Say whether both directions work, and settled."""
    return all(
        {reply.status for reply in lab.calls(cluster, "sleep", CALLS, url)} == {200}
        for cluster, url in (("east", GLOBAL), ("west", PLAIN))
    )


def passed_on(lab: Lab, cluster: str, to: str) -> dict[str, int]:
    """How many connections the egress gateway has opened to which address of another cluster's gateway."""
    envoy = ["--namespace=istio-system", f"deployment/{DEPLOYMENT}", "--", "pilot-agent", "request", "GET", "clusters"]
    told = lab.ask(cluster, "exec", *envoy)
    upstream = re.escape(f"outbound|15443||ingress.{to}.mesh.global")
    return {
        address: int(count) for address, count in re.findall(f"^{upstream}::(.+:[0-9]+)::cx_total::(.+)$", told, re.M)
    }


def sent_to(lab: Lab) -> str:
    """Where a proxy of east sends a workload that connects to west's gateway by itself, as Envoy names it."""
    gateway = f"{lab.gateway('west')}:15443"
    lab.call("east", "sleep", f"https://{gateway}/")
    lines = [line for line in lab.said_by_proxy("east", "sleep").splitlines() if f" {gateway} " in line]
    found = re.findall("[A-Za-z]+Cluster", "".join(lines[-1:]))
    return str(found[0]) if found else ""


def through(lab: Lab, via: str) -> None:
    """Send all calls one way or the other."""
    with lab.edited() as federation:
        imports = federation["imports"]
        assert isinstance(imports, list)
        for link in imports:
            link["via"] = via
    lab.checkout.up()


@pytest.mark.parametrize(
    ("cluster", "url", "server"),
    [
        ("east", GLOBAL, "spiffe://west.local/ns/httpbin/sa/httpbin"),
        ("west", PLAIN, "spiffe://east.local/ns/tools/sa/httpbin"),
    ],
    ids=["gateway-api", "istio-api"],
)
def test_a_call_leaves_through_the_egress_gateway_and_keeps_both_identities(
    egress: Lab, cluster: str, url: str, server: str
) -> None:
    reply = egress.call(cluster, "sleep", url)
    assert reply.identities == {"By": server, "URI": f"spiffe://{cluster}.local/ns/sleep/sa/sleep"}
    other = {"east": "west", "west": "east"}[cluster]
    [(address, connections)] = passed_on(egress, cluster, other).items()
    assert address == f"{egress.gateway(other)}:15443"
    assert connections > 0


def test_a_gateway_passes_on_what_its_cluster_exports_and_nothing_that_it_imports(egress: Lab) -> None:
    plain = "httpbin.tools.svc.cluster.local"
    assert egress.certificate("west", "httpbin.mesh.global", 8000)
    assert egress.certificate("east", "httpbin.mesh.global", 8000) is None
    assert egress.certificate("east", plain, 8000)
    assert egress.certificate("west", plain, 8000) is None


@pytest.mark.skipif(not shutil.which("istioctl"), reason="NOTHING was analyzed: istioctl is not on the search path")
def test_istioctl_finds_no_error_in_either_cluster(egress: Lab) -> None:
    assert [error for cluster in ("east", "west") for error in egress.errors(cluster)] == []
    egress.ask("east", "apply", "--filename=-", stdin=json.dumps(ASTRAY))
    [error] = egress.errors("east")
    egress.ask("east", "delete", "virtualservices.networking.istio.io", "--namespace=sleep", "astray")
    assert "Referenced gateway not found" in error


def test_a_verification_passes_and_notices_a_way_around(egress: Lab) -> None:
    eventually(partial(green, egress), PATIENCE)
    for mutation in of("egress"):
        goes_red_and_green(egress, mutation)


def test_without_the_egress_gateway_nobody_gets_out(egress: Lab) -> None:
    egress.scaled("west", "istio-system", DEPLOYMENT, 0)
    eventually(lambda: egress.call("west", "sleep", PLAIN).status != 200, PATIENCE)
    assert 200 not in {each.status for each in egress.calls("west", "sleep", 3, PLAIN)}
    egress.checkout.up("--refresh")
    eventually(partial(answered, egress), PATIENCE)


def test_a_workload_cannot_go_around_it_and_could_without_the_confinement(egress: Lab) -> None:
    eventually(lambda: sent_to(egress) == NOWHERE, PATIENCE)
    egress.ask("east", "delete", "sidecars.networking.istio.io", "--namespace=sleep", "egress-only")
    eventually(lambda: sent_to(egress) == THERE, PATIENCE)
    assert egress.changes("--refresh") == {"east:sleep/egress-only": "create"}
    egress.checkout.up("--refresh")
    eventually(lambda: sent_to(egress) == NOWHERE, PATIENCE)


def test_pods_outside_the_mesh_are_kept_from_the_other_gateway_by_policy(egress: Lab) -> None:
    """The lab's pod network enforces no policies: what is shown is that the API server has this one."""
    policy = json.loads(egress.ask("east", "get", "networkpolicy", "--namespace=sleep", "egress-only", "--output=json"))
    blocks = [each["ipBlock"] for rule in policy["spec"]["egress"] for each in rule["to"] if "ipBlock" in each]
    assert {"cidr": "0.0.0.0/0", "except": [f"{egress.gateway('west')}/32"]} in blocks


def test_a_caller_that_does_not_stop_is_moved_to_the_egress_gateway_and_back(
    egress: Lab, record_property: Note
) -> None:
    for via in ("direct", "egress"):
        with calling(egress, GLOBAL) as client:
            through(egress, via)
            eventually(partial(answered, egress), PATIENCE)
        record_property(f"calls while they move to via: {via}", dict(client.statuses))
        assert client.failed == [], egress.refused_by_proxy("east", "sleep")
    eventually(lambda: sent_to(egress) == NOWHERE, PATIENCE)
