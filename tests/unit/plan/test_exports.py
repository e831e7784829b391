"""Exports: who may call, on which ports, and under which hosts."""

from typing import Any

from mesh_federation.plan import exports
from mesh_federation.plan.exports import ExportPlan
from tests.unit.plan.model import HTTP, export, federation, planned, tree


def exported(**given: object) -> ExportPlan:
    [plan] = planned(tree(exports=[export(**given)], imports=[]), "west").exports
    return plan


def denied(plan: ExportPlan) -> dict[str, Any]:
    spec = exports.authorization(plan)["spec"]
    assert isinstance(spec, dict)
    return spec


def test_a_gateway_offers_the_exact_host_and_no_wildcard() -> None:
    spec: Any = exported().objects[1].body["spec"]
    [server] = spec["servers"]
    assert server["hosts"] == ["httpbin.httpbin.svc.cluster.local"]
    assert server["tls"] == {"mode": "AUTO_PASSTHROUGH"}
    assert server["port"] == {"number": 15443, "name": "tls", "protocol": "TLS"}


def test_foreign_callers_that_are_not_named_are_refused() -> None:
    spec = denied(exported())
    assert spec["action"] == "DENY"
    assert spec["selector"] == {"matchLabels": {"app": "httpbin"}}
    [source] = [each["source"] for each in spec["rules"][0]["from"]]
    assert source == {"principals": ["*"], "notPrincipals": ["west.local/*", "east.local/ns/sleep/sa/sleep"]}


def test_a_consumer_without_accounts_admits_its_whole_cluster() -> None:
    source = denied(exported(to=[{"cluster": "east"}]))["rules"][0]["from"][0]["source"]
    assert source["notPrincipals"] == ["west.local/*", "east.local/*"]


ADMIN = {"name": "tcp-admin", "number": 9000, "protocol": "TCP", "targetPort": 9001}


ALL_SLEEPS = ["*", "west.local/*", "east.local/ns/sleep/sa/sleep"]


def refused(spec: dict[str, Any]) -> list[list[str]]:
    """Each rule of a DENY: who is meant, who is not, then the ports that it is about, where it names any."""
    rules = []
    for rule in spec["rules"]:
        [source] = [each["source"] for each in rule["from"]]
        assert set(source) == {"principals", "notPrincipals"}
        operations = [each["operation"] for each in rule.get("to", [])]
        told = [f"{key} {' '.join(ports)}" for operation in operations for key, ports in operation.items()]
        rules.append([*source["principals"], *source["notPrincipals"], *told])
    return rules


def test_no_foreign_caller_reaches_a_port_of_the_pods_that_the_export_does_not_list() -> None:
    assert refused(denied(exported())) == [ALL_SLEEPS, ["*", "west.local/*", "notPorts 8000"]]
    assert refused(denied(exported(ports=[HTTP, ADMIN])))[1:] == [["*", "west.local/*", "notPorts 8000 9001"]]


def test_ports_are_those_of_the_pods_as_the_sample_has_them_where_it_runs() -> None:
    declared = tree(workloads=[{"cluster": "west", "sample": "httpbin"}])
    [plan] = planned(declared, "west").exports
    assert (plan.targets, plan.on_sample) == ((8080,), True)
    assert refused(denied(plan))[1:] == [["*", "west.local/*", "notPorts 8080"]]
    assert exported().on_sample is False


def same_pods(**of_other: object) -> tuple[ExportPlan, ExportPlan]:
    """Two Services of west that select the same pods, exported to different callers."""
    other = {"service": "httpbin/admin", "selector": {"app": "httpbin"}, "ports": [ADMIN], **of_other}
    to = [{"cluster": "east", "serviceAccounts": ["admin/admin"]}]
    both = [export(), export(**{"to": to, **other})]
    admin, httpbin = planned(tree(exports=both), "west").exports
    return httpbin, admin


def test_exports_of_the_same_pods_do_not_refuse_each_others_callers() -> None:
    httpbin, admin = same_pods()
    assert denied(httpbin) == denied(admin)
    assert refused(denied(httpbin)) == [
        [*ALL_SLEEPS, "ports 8000"],
        ["*", "west.local/*", "east.local/ns/admin/sa/admin", "ports 9001"],
        ["*", "west.local/*", "notPorts 8000 9001"],
    ]


def test_on_one_port_of_the_same_pods_the_callers_of_both_exports_are_admitted() -> None:
    httpbin, admin = same_pods(ports=[HTTP])
    assert denied(httpbin) == denied(admin)
    named = ["*", "west.local/*", "east.local/ns/admin/sa/admin", "east.local/ns/sleep/sa/sleep"]
    assert refused(denied(httpbin)) == [named, ["*", "west.local/*", "notPorts 8000"]]


def test_exports_of_other_pods_say_nothing_of_each_other() -> None:
    httpbin, admin = same_pods(selector={"app": "admin"})
    assert refused(denied(httpbin)) == [ALL_SLEEPS, ["*", "west.local/*", "notPorts 8000"]]
    assert refused(denied(admin))[1:] == [["*", "west.local/*", "notPorts 9001"]]


def test_the_whole_mesh_refuses_foreign_callers_whom_no_export_names_whatever_labels_pods_have() -> None:
    plan = planned(tree(exports=[export(), export(service="shop/web", ports=[ADMIN])]), "west")
    assert plan.istio
    body = plan.istio.foreign_callers.body
    assert body["metadata"] == {"name": "foreign-callers", "namespace": "istio-system"}
    spec = body["spec"]
    assert isinstance(spec, dict) and "selector" not in spec and spec["action"] == "DENY"
    assert refused(spec) == [ALL_SLEEPS, ["*", "west.local/*", "notPorts 8000 9001"]]
    assert body in plan.bodies


def test_a_mesh_that_exports_nothing_refuses_every_foreign_caller() -> None:
    istio = planned(tree(), "east").istio
    assert istio
    spec = istio.foreign_callers.body["spec"]
    assert isinstance(spec, dict)
    assert refused(spec) == [["*", "east.local/*"]]


def test_an_export_to_nobody_admits_no_foreigner() -> None:
    both = federation(exports=[], imports=[])
    assert exports.exports(both, "west") == []


def test_policies_do_not_change_with_the_order_of_accounts() -> None:
    accounts = ["b/b", "a/a", "c/c"]
    one = exported(to=[{"cluster": "east", "serviceAccounts": accounts}])
    other = exported(to=[{"cluster": "east", "serviceAccounts": accounts[::-1]}])
    assert exports.authorization(one) == exports.authorization(other)
