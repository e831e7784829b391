"""`mesh call`: who may call what, and what a person reads of it."""

import json
import os
import stat
from pathlib import Path

import pytest
from rich.console import Console

from mesh_federation.cli import call as calling
from mesh_federation.cli.call import CallResult, call, report
from mesh_federation.loader import parse
from mesh_federation.plan.calls import Call, answering, calls
from mesh_federation.stack.config import Federation, NamespacedName
from tests.unit.plan.model import Tree, cluster, export, link, tree

SLEEP = NamespacedName("sleep", "sleep")
WEST = {"west": "west.local"}
SEEN = 'By=spiffe://west.local/ns/httpbin/sa/httpbin;Hash=0;Subject="";URI=spiffe://east.local/ns/sleep/sa/sleep'


def federation(provisioner: str = "kind", **given: object) -> Federation:
    clusters = {name: cluster(place, provisioner=provisioner) for name, place in (("east", 10), ("west", 30))}
    workloads = [{"cluster": "east", "sample": "sleep"}, {"cluster": "west", "sample": "httpbin"}]
    declared: Tree = {"clusters": clusters, "workloads": workloads, **given}
    return parse(tree(**declared))


def test_a_sample_calls_what_it_is_admitted_to() -> None:
    assert list(calls(federation())) == [
        Call("east", SLEEP, "west", "http://httpbin.httpbin.svc.cluster.local:8000/headers", "imports[0]")
    ]


def test_a_sample_that_the_export_does_not_name_makes_no_call() -> None:
    others = export(to=[{"cluster": "east", "serviceAccounts": ["other/other"]}])
    assert list(calls(federation(exports=[others]))) == []


def test_an_export_to_a_whole_cluster_admits_its_samples() -> None:
    assert [made.caller for made in calls(federation(exports=[export(to=[{"cluster": "east"}])]))] == [SLEEP]


def test_a_call_is_to_a_port_that_its_import_has() -> None:
    port = {"name": "http", "number": 80, "protocol": "HTTP", "exported": 8000}
    renamed = link(host="pay.west.example", ports=[port])
    assert [made.url for made in calls(federation(imports=[renamed]))] == ["http://pay.west.example:80/headers"]


def test_simulated_nodes_run_nothing_that_could_call() -> None:
    assert list(calls(federation("kwok"))) == []


def one_mesh(*workloads: dict[str, str], provisioner: str = "kind") -> Federation:
    """Two clusters, of which east discovers west and runs sleep."""
    mesh = {"meshID": "mesh", "trustDomain": "mesh.local", "provisioner": provisioner}
    clusters = {name: cluster(place, **mesh) for name, place in (("east", 10), ("west", 30))}
    sleep = {"cluster": "east", "sample": "sleep"}
    links = [{"cluster": "east", "of": "west"}]
    trust = {"scope": "mesh"}
    return parse({"trust": trust, "clusters": clusters, "discovery": links, "workloads": [sleep, *workloads]})


HTTPBIN = {"cluster": "west", "sample": "httpbin"}


def test_a_sample_calls_a_discovered_service_by_plain_dns() -> None:
    assert list(calls(one_mesh(HTTPBIN))) == [
        Call("east", SLEEP, "west", "http://httpbin.httpbin:8000/headers", "discovery[0]")
    ]


def test_a_service_of_both_clusters_is_not_called_for_it_would_not_prove_who_answers() -> None:
    assert list(calls(one_mesh(HTTPBIN, {**HTTPBIN, "cluster": "east"}))) == []
    assert len(list(calls(one_mesh(HTTPBIN, {**HTTPBIN, "cluster": "east", "namespace": "other"})))) == 1


def test_a_cluster_that_is_only_read_calls_nothing() -> None:
    assert list(calls(one_mesh({**HTTPBIN, "cluster": "east"}, {"cluster": "west", "sample": "sleep"}))) == []


def test_discovered_services_of_simulated_clusters_answer_nobody() -> None:
    assert list(calls(one_mesh(HTTPBIN, provisioner="kwok"))) == []


def test_the_identities_are_those_that_the_servers_proxy_saw() -> None:
    answer = CallResult(200, 0.012, json.dumps({"headers": {"X-Forwarded-Client-Cert": [SEEN]}}))
    made = Call("east", SLEEP, "west", "http://x:1/headers", "imports[0]")
    assert report(made, answer, WEST).splitlines() == [
        "east: sleep/sleep calls http://x:1/headers",
        "  200 from west in 0.012 s",
        "  caller, as the server saw it  spiffe://east.local/ns/sleep/sa/sleep",
        "  server                        spiffe://west.local/ns/httpbin/sa/httpbin",
    ]


def by_global_host(**of_west: object) -> Federation:
    """East calls a global host, which its own pods and west's serve."""
    clusters = {name: cluster(place, provisioner="kind") for name, place in (("east", 10), ("west", 30))}
    clusters["west"] |= of_west
    port = {"name": "http", "number": 8000, "protocol": "HTTP", "targetPort": 8080}
    workloads = [{"cluster": "east", "sample": name} for name in ("sleep", "httpbin")]
    return parse(
        tree(clusters=clusters, workloads=workloads, exports=[export(ports=[port])], imports=[link(**{"as": "global"})])
    )


@pytest.mark.parametrize(
    ("server", "who"),
    [
        ("east.local", "east"),
        ("west.local", "west"),
        ("west.local.evil", "an unknown server"),
        ("north.local", "an unknown server"),
    ],
)
def test_who_answered_is_told_by_the_servers_identity_not_by_who_should(server: str, who: str) -> None:
    model = by_global_host()
    [made] = calls(model)
    seen = SEEN.replace("By=spiffe://west.local/", f"By=spiffe://{server}/")
    told = report(made, CallResult(200, 0.012, seen), answering(model, made)).splitlines()
    assert told[1] == f"  200 from {who} in 0.012 s"
    assert f"spiffe://{server}/ns/httpbin/sa/httpbin" in told[3]


def test_only_clusters_that_may_answer_are_told_apart() -> None:
    model = by_global_host()
    assert answering(model, next(calls(model))) == {"east": "east.local", "west": "west.local"}
    assert answering(federation(), next(calls(federation()))) == WEST
    one = one_mesh(HTTPBIN)
    assert answering(one, next(calls(one))) == {"west": "mesh.local"}


def test_a_refusal_is_told_with_the_servers_words_and_what_to_do() -> None:
    told = report(
        Call("east", SLEEP, "west", "http://x:1/headers", "imports[0]"),
        CallResult(403, 0.01, "RBAC: access denied"),
        WEST,
    )
    assert "  403: RBAC: access denied" in told
    assert "-> " in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("RBAC: access denied", "west refuses sleep/sleep: add it under `to` of the export"),
        ("upstream connect error ... TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
         "east and west do not accept each other's certificates"),
        ("curl: (6) Could not resolve host: httpbin", "east does not know the host"),
        ("upstream connect error or disconnect/reset before headers", "east cannot reach the gateway of west"),
        ("no healthy upstream", "east cannot reach the gateway of west"),
        ("curl: (28) Operation timed out after 10000 milliseconds", "east cannot reach the gateway of west"),
        ("Unable to connect to the server: EOF", "cluster east does not answer: ./mesh up starts stopped clusters"),
        ("cluster east did not answer within 30 s", "cluster east does not answer"),
        ("the moon is full", "./mesh up --refresh restores what was removed or changed; ./mesh doctor"),
    ],
)  # fmt: skip
def test_a_call_that_fails_is_told_with_what_it_means(said: str, told: str) -> None:
    made = Call("east", SLEEP, "west", "http://x:1/headers", "imports[0]")
    assert report(made, CallResult(503, 0.01, said), WEST).splitlines()[-1].startswith(f"  -> {told}")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that prints the file `answer` and counts its calls."""
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncat {tmp_path}/answer\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(calling, "PATIENCE", 0)
    return tmp_path


def made(kubectl: Path, model: Federation, answer: str) -> tuple[int, str]:
    """Exit status and text of a run."""
    (kubectl / "answer").write_text(answer, encoding="utf-8")
    console = Console(record=True, width=200)
    environment = {**os.environ, "PATH": f"{kubectl}:/usr/bin:/bin"}
    return call(model, kubectl / "kubeconfigs", environment, console), console.export_text()


def test_a_call_that_is_answered_ends_well(kubectl: Path) -> None:
    status, text = made(kubectl, federation(), f'{SEEN}\n{{"http_code": 200, "time_total": 0.01}}')
    assert status == 0
    assert "spiffe://east.local/ns/sleep/sa/sleep" in text
    asked = (kubectl / "calls").read_text(encoding="utf-8")
    assert f"--kubeconfig={kubectl}/kubeconfigs/east" in asked
    assert "--namespace=sleep deployment/sleep -c sleep -- curl" in asked
    assert asked.count("--kubeconfig") == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('no healthy upstream\n{"http_code": 503, "time_total": 0.01}', "503: no healthy upstream"),
        ("", "failed: no answer"),
        ("nonsense", "failed: no answer"),
    ],
)
def test_a_call_that_is_not_answered_fails(kubectl: Path, answer: str, said: str) -> None:
    status, text = made(kubectl, federation(), answer)
    assert status == 1
    assert said in text
    assert "Traceback" not in text


def test_where_nothing_can_be_called_that_is_said_and_not_passed_over(kubectl: Path) -> None:
    status, text = made(kubectl, federation("kwok"), "")
    assert status == 2
    assert text.startswith("no call is possible")
