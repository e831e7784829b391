"""What a change of the stack file touches, and what it leaves alone."""

import base64
import json
from collections.abc import Sequence

from tests.checkout import Checkout, eventually
from tests.events import BEGUN, ENDED, Event, changed, position
from tests.rotation import declare

ENTRY = "east:istio-system/import-httpbin-httpbin"


def bundle(running: Checkout, cluster: str) -> str:
    data = running.get(cluster, "secret", "cacerts")["data"]
    assert isinstance(data, dict)
    return base64.b64decode(data["root-cert.pem"]).decode()


def istiod_restarts_with(running: Checkout, cluster: str) -> str:
    spec = running.get(cluster, "deployment", "istiod")["spec"]
    assert isinstance(spec, dict)
    return str(spec["template"]["metadata"]["annotations"]["mesh-federation/trust"])


def test_the_way_to_another_trust_model_replaces_no_cluster_and_deletes_no_object(running: Checkout) -> None:
    before = {cluster: istiod_restarts_with(running, cluster) for cluster in ("east", "west")}
    declare(running, {"rotation": {"phase": "add", "model": "separate", "root": "r2"}})
    planned = [(str(step["op"]), str(step["urn"])) for step in running.preview() if step["op"] != "same"]
    assert {operation for operation, urn in planned if not is_certificate(urn)} == {"update"}
    done, events = running.events()
    assert done.code == 0, done.text
    assert {(event.operation, event.urn) for event in events if event.operation in ("update", "create")} == {
        (operation, urn) for operation, urn in planned if operation in ("update", "create")
    }
    east, west = bundle(running, "east"), bundle(running, "west")
    assert east != west
    assert {text.count("BEGIN CERTIFICATE") for text in (east, west)} == {2}, "its own of both models"
    assert all(istiod_restarts_with(running, cluster) != old for cluster, old in before.items())
    declare(running, {"model": "common"})
    changes = set(running.up().changes())
    assert {"deleted", "updated"} <= changes and "created" not in changes  # proofs that istiod answers are replaced
    assert bundle(running, "east") == bundle(running, "west")
    assert bundle(running, "west").count("BEGIN CERTIFICATE") == 1


def is_certificate(urn: str) -> bool:
    """Or the proof that a restarted istiod answers, and that every namespace knows the roots."""
    return "CertificateAuthority$tls:" in urn or urn.endswith(("-webhook", "-roots"))


def pod_subnet(running: Checkout, cluster: str, subnet: str) -> None:
    with running.edited() as federation:
        clusters = federation["clusters"]
        assert isinstance(clusters, dict)
        clusters[cluster]["podSubnet"] = subnet


def test_a_cluster_is_replaced_new_one_first_and_old_one_last(running: Checkout) -> None:
    old, old_address = running.real_name("west"), running.gateway_address("west")
    pod_subnet(running, "west", "10.40.0.0/16")
    done, events = running.events()
    assert done.code == 0, done.text
    operations = changed(events)
    replaced = operations["create-replacement"]
    assert operations["delete-replaced"] == replaced
    assert operations.pop("update") == {ENTRY}
    assert set(operations) == {"create-replacement", "replace", "delete-replaced"}
    assert replaced == everything_of(running, "west")
    assert_order(events)
    assert running.imported_addresses() == [running.gateway_address("west")] != [old_address]
    assert running.real_name("west") != old
    assert not running.processes(f"kwok/clusters/{old}/")
    assert not (running.home / "clusters" / old).exists()
    assert set(running.up().changes()) == {"unchanged"}


def assert_order(events: Sequence[Event]) -> None:
    """New cluster, what is in it, the importer once it is served there, and only then the old cluster."""
    first, last = events[0], events[-1]
    assert (first.operation, first.name) == ("create-replacement", "west-create")
    assert (last.operation, last.name) == ("delete-replaced", "west-create")
    moved = position(events, BEGUN, "update", ENTRY)
    deployments = {event.name for event in events if event.type == "kubernetes:apps/v1:Deployment"}
    assert deployments == {
        "west:istio-system/istiod",
        "west:istio-system/istio-eastwestgateway",
        "west:httpbin/httpbin",
    }
    for name in (*deployments, "west:istio-system/export-httpbin-httpbin", "west:httpbin/export-httpbin-httpbin"):
        assert position(events, ENDED, "create-replacement", name) < moved, name
    deletions = [index for index, event in enumerate(events) if event.operation == "delete-replaced"]
    assert position(events, ENDED, "update", ENTRY) < min(deletions)


def everything_of(running: Checkout, cluster: str) -> set[str]:
    """Names of all resources of a cluster that are no components."""
    names = {
        urn.rpartition("::")[2]
        for urn, resource in running.state().items()
        if resource.get("custom") and "CertificateAuthority" not in urn
    }
    own = (f"{cluster}:", *(f"{cluster}-{part}" for part in ("create", "kubeconfig", "crds", "webhook", "roots")))
    return {name for name in names if name.startswith(own) or name == cluster}


def test_when_the_new_cluster_cannot_start_the_old_one_serves_on(running: Checkout) -> None:
    old, address = running.real_name("west"), running.imported_addresses()
    pod_subnet(running, "west", "10.41.0.0/16")
    broken = running.home / "broken"
    broken.mkdir()
    kwokctl = broken / "kwokctl"
    real = running.toolchain.bin / "kwokctl"
    kwokctl.write_text(
        f'#!/bin/sh\ncase "$*" in *create*cluster*) echo "etcd: no space left" >&2; exit 1;; esac\nexec {real} "$@"\n',
        encoding="utf-8",
    )
    kwokctl.chmod(0o755)
    environment = running.environment()
    done, events = running.events(PATH=f"{broken}:{environment['PATH']}")
    assert done.code != 0
    assert "Traceback" not in done.text, done.text
    assert "no space left" in done.text, done.text
    assert not any(event.operation == "delete-replaced" for event in events)
    assert running.processes(f"kwok/clusters/{old}/")
    assert running.get("west", "deployment", "httpbin", "httpbin")
    assert running.imported_addresses() == address
    running.up()
    assert running.real_name("west") != old
    assert running.imported_addresses() == [running.gateway_address("west")] != address
    assert not running.processes(f"kwok/clusters/{old}/")


def test_a_third_cluster_touches_only_itself_and_its_links(running: Checkout) -> None:
    committed = running.stack_file().read_text(encoding="utf-8")
    with running.edited() as federation:
        clusters, exports, imports = federation["clusters"], federation["exports"], federation["imports"]
        assert isinstance(clusters, dict) and isinstance(exports, list) and isinstance(imports, list)
        clusters["central"] = {
            "provisioner": "kwok",
            "podSubnet": "10.50.0.0/16",
            "serviceSubnet": "10.255.50.0/24",
            "trustDomain": "central.local",
        }
        exports[0]["to"].append({"cluster": "central"})
        imports.append({"cluster": "central", "from": "west", "service": "httpbin/httpbin", "as": "remote"})
    done, events = running.events()
    assert done.code == 0, done.text
    operations = changed(events)
    outside = {name for name in operations.pop("create") if not name.startswith("central")}
    assert outside == set()
    touched = {name for names in operations.values() for name in names}
    # The exported service alone accepts central's callers; the rest of west's mesh stays as it was.
    assert touched - {"mesh-federation-simulated"} == {
        "west:httpbin/export-httpbin-httpbin",
        "west:istio-system/foreign-callers",
    }
    assert set(operations) == {"update"}
    entry = running.get("central", "serviceentries.networking.istio.io", "import-httpbin-httpbin")["spec"]
    assert isinstance(entry, dict)
    assert [endpoint["address"] for endpoint in entry["endpoints"]] == [running.gateway_address("west")]
    running.stack_file().write_text(committed, encoding="utf-8")
    done, events = running.events()
    assert done.code == 0, done.text
    assert all(name.startswith("central") for name in changed(events)["delete"])
    eventually(lambda: len({running.real_name(name) for name in running.clusters()}) == 2)


def test_removing_an_export_removes_exactly_its_objects(running: Checkout) -> None:
    with running.edited() as federation:
        del federation["exports"], federation["imports"]
    done, events = running.events()
    assert done.code == 0, done.text
    operations = changed(events)
    exported = {"west:httpbin/export-httpbin-httpbin", "west:istio-system/export-httpbin-httpbin"}
    imported = {ENTRY, "east:sleep/import-httpbin-httpbin"}  # the second one: what the caller's proxy trusts
    assert {name for name in operations["delete"] if ":" in name} == exported | imported
    rest = {name for names in operations.values() for name in names if ":" in name} - operations["delete"]
    assert rest <= {f"{cluster}:istio-system/foreign-callers" for cluster in ("east", "west")}
    gone = running.kubectl("west", "get", "gateways.networking.istio.io", "--all-namespaces", "--output=name")
    assert gone.stdout == ""


def test_a_hand_edited_object_shows_on_refresh_and_up_repairs_it(running: Checkout) -> None:
    endpoints = '[{"op": "replace", "path": "/spec/endpoints/0/address", "value": "192.0.2.1"}]'
    edit = ("patch", "serviceentries.networking.istio.io", "import-httpbin-httpbin", "--namespace=istio-system")
    done = running.kubectl("east", *edit, "--type=json", f"--patch={endpoints}")
    assert done.code == 0, done.text
    assert running.imported_addresses() == ["192.0.2.1"]
    planned = [step for step in running.preview("simulated", "--refresh") if step["op"] not in ("same", "refresh")]
    assert [(step["op"], str(step["urn"]).rpartition("::")[2]) for step in planned] == [("update", ENTRY)]
    shown = running.pulumi("preview", "--refresh", "--diff")
    assert "192.0.2.1" in shown.stdout
    done = running.pulumi("up", "--yes", "--skip-preview", "--refresh")
    assert done.code == 0, done.text
    assert running.imported_addresses() == [running.gateway_address("west")]


def test_a_caller_added_to_a_list_by_hand_is_shown_and_taken_out(running: Checkout) -> None:
    """The engine compares as many items as are declared, and would leave it for ever."""
    policy = ("authorizationpolicies.security.istio.io", "export-httpbin-httpbin", "httpbin")
    before = running.get("west", *policy)["spec"]
    assert isinstance(before, dict)
    patch = json.dumps([{"op": "add", "path": "/spec/rules/-", "value": before["rules"][0]}])
    done = running.kubectl("west", "patch", *policy[:2], "--namespace=httpbin", "--type=json", f"--patch={patch}")
    assert done.code == 0, done.text
    added, rest = f"west:httpbin/export-httpbin-httpbin: spec.rules[{len(before['rules'])}]", "./mesh up --refresh"
    told = running.mesh("verify", "--only=drift")
    assert told.code == 1 and rest in told.stdout and added.partition(": ")[2] in told.stdout, told.text
    assert added in running.mesh("preview", "--refresh").stderr
    assert added in running.up("--refresh").stderr
    assert running.get("west", *policy)["spec"] == before
