"""Imports as local on real API servers: what comes, in which order, and what goes again."""

from tests.checkout import Checkout, eventually
from tests.events import BEGUN, ENDED, Event, changed, position
from tests.owners import most_at_once, owners, watching

SERVICE_ENTRY = "east:istio-system/import-httpbin-httpbin"
ENTRY, RULE = "east:httpbin/import-httpbin-httpbin-west", "east:httpbin/import-httpbin-httpbin"
CALLERS = "east:sleep/import-httpbin-httpbin"
"""The filter that says which meshes callers accept as the service; as local, the rule of their calls too."""
LOCAL_PODS = {"east:httpbin", "east:httpbin/httpbin"}
HOST, FREED = "httpbin.httpbin.svc.cluster.local", "east-import-httpbin-httpbin-host"
SERVICE_BEGINS = (BEGUN, "create", "kubernetes:core/v1:Service")


def import_as_local(running: Checkout) -> list[Event]:
    """Switch the import, and give east pods of its own to go with it."""
    with running.edited() as federation:
        imports, workloads = federation["imports"], federation["workloads"]
        assert isinstance(imports, list) and isinstance(workloads, list)
        imports[0]["as"] = "local"
        workloads.append({"cluster": "east", "sample": "httpbin"})
    return applied(running)


def applied(running: Checkout) -> list[Event]:
    done, events = running.events()
    assert done.code == 0, done.text
    return events


def by_hand(running: Checkout, *arguments: str) -> None:
    done = running.kubectl("east", *arguments)
    assert done.code == 0, done.text


def listed(running: Checkout, kind: str) -> list[str]:
    """Objects of one of Istio's kinds in east, as its API server has them."""
    done = running.kubectl("east", "get", f"{kind}.networking.istio.io", "--all-namespaces", "--output=name")
    assert done.code == 0, done.text
    return [line.rpartition("/")[2] for line in done.stdout.splitlines()]


def test_one_up_turns_a_remote_import_into_a_local_one(running: Checkout) -> None:
    events = import_as_local(running)
    operations = changed(events)
    assert operations.pop("delete") == {SERVICE_ENTRY}
    created = {name for name in operations.pop("create") if ":" in name}
    assert created == {ENTRY, RULE, CALLERS, *LOCAL_PODS, "east:httpbin-namespace"}
    assert {name for names in operations.values() for name in names if ":" in name} == {CALLERS}
    assert position(events, ENDED, "create", RULE) < position(events, BEGUN, "create", ENTRY)
    assert listed(running, "serviceentries") == []
    assert listed(running, "workloadentries") == ["import-httpbin-httpbin-west"]
    spec = running.get("east", "workloadentries.networking.istio.io", "import-httpbin-httpbin-west", "httpbin")["spec"]
    assert isinstance(spec, dict)
    assert spec["address"] == running.gateway_address("west")
    assert set(running.up().changes()) == {"unchanged"}


def test_all_callers_of_the_cluster_pin_both_identities(running: Checkout) -> None:
    import_as_local(running)
    for namespace, visible_to in {"sleep": ".", "httpbin": "*"}.items():
        found = running.get("east", "destinationrules.networking.istio.io", "import-httpbin-httpbin", namespace)["spec"]
        assert isinstance(found, dict)
        assert found["exportTo"] == [visible_to]
        assert found["trafficPolicy"]["tls"]["subjectAltNames"] == [
            "spiffe://east.local/ns/httpbin/sa/httpbin",
            "spiffe://west.local/ns/httpbin/sa/httpbin",
        ]


def test_a_local_import_that_is_removed_leaves_the_local_pods_alone(running: Checkout) -> None:
    import_as_local(running)
    with running.edited() as federation:
        federation["imports"] = []
    events = applied(running)
    assert {name for name in changed(events)["delete"] if ":" in name} == {ENTRY, RULE, CALLERS}
    assert position(events, ENDED, "delete", ENTRY) < position(events, BEGUN, "delete", RULE)
    assert listed(running, "workloadentries") == listed(running, "destinationrules") == []
    assert running.get("east", "service", "httpbin", "httpbin")
    assert running.get("east", "deployment", "httpbin", "httpbin")


def test_a_local_import_becomes_remote_again_in_one_up(running: Checkout) -> None:
    committed = running.declared()
    import_as_local(running)
    running.declare(committed)
    operations = changed(applied(running))
    assert {name for name in operations["delete"] if ":" in name} == {
        ENTRY,
        RULE,
        CALLERS,
        *LOCAL_PODS,
        "east:httpbin-namespace",
    }
    assert {name for name in operations["create"] if ":" in name} == {SERVICE_ENTRY}
    assert running.imported_addresses() == [running.gateway_address("west")]


def test_the_host_never_has_two_owners_on_the_way_there_and_back(running: Checkout) -> None:
    committed = running.declared()
    with watching(running, "east", HOST) as there:
        import_as_local(running)
    assert (owners(there), most_at_once(there)) == ({"Service"}, 1)
    running.declare(committed)
    with watching(running, "east", HOST) as back:
        applied(running)
    assert (owners(back), most_at_once(back)) == ({"ServiceEntry"}, 1)


def test_the_service_comes_once_its_remote_instances_are_there_and_its_host_is_free(running: Checkout) -> None:
    events = import_as_local(running)
    [begun] = [
        index for index, event in enumerate(events) if (event.kind, event.operation, event.type) == SERVICE_BEGINS
    ]
    assert position(events, ENDED, "create", ENTRY) < position(events, BEGUN, "update", FREED)
    assert position(events, ENDED, "update", FREED) < begun


def test_a_host_that_somebody_elses_service_has_is_left_to_it(running: Checkout) -> None:
    committed = running.declared()
    with running.edited() as federation:
        federation["imports"] = []
    running.up()
    by_hand(running, "create", "namespace", "httpbin")
    by_hand(running, "create", "service", "clusterip", "httpbin", "--namespace=httpbin", "--tcp=8000")
    running.declare(committed)
    refused = running.mesh("up", "--yes", f"--stack={running.stack}")
    assert refused.code == 1
    assert "east already has Service httpbin/httpbin, which this stack did not make" in refused.text
    assert "-> write `as: local`, so that calls go to its pods too, or remove it" in refused.text
    assert listed(running, "serviceentries") == []
    by_hand(running, "delete", "namespace", "httpbin", "--wait=false")
    eventually(lambda: running.kubectl("east", "get", "namespace", "httpbin").code != 0)
    running.up()
    assert listed(running, "serviceentries") == ["import-httpbin-httpbin"]
