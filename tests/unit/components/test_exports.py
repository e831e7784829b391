"""What stands in front of an export before its gateway opens."""

from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import Run

POLICY, GATEWAY = "west:httpbin/export-httpbin-httpbin", "west:istio-system/export-httpbin-httpbin"


def without_samples() -> Tree:
    """The simulated federation, whose httpbin is not the stack's."""
    tree = committed("simulated")
    tree["workloads"] = []
    tree["exports"][0]["ports"][0]["targetPort"] = 8080
    return tree


def offered(run: Run) -> str:
    [gateway] = [each for each in run.objects if each.name == GATEWAY and each.kind == "Gateway"]
    return gateway.urn


def test_an_export_is_compared_with_its_service_before_its_policy_and_its_gateway_change(record: Record) -> None:
    run = record(without_samples())
    compared = run.one("Command", "west-export-httpbin-httpbin-compared")
    policy = run.one("AuthorizationPolicy", POLICY)
    assert compared.urn in policy.dependencies
    assert compared.urn in run.at(offered(run)).dependencies
    assert compared.settings["export"] == {
        "service": "httpbin/httpbin",
        "labels": {"app": "httpbin"},
        "account": "httpbin",
        "ports": {"8000": 8080},
        "by_service": True,
    }
    assert run.one("kubernetes", "west").urn in compared.dependencies_of("triggers"), "a new cluster is compared anew"


def test_what_this_stack_runs_itself_is_known_and_not_asked_for(simulated: Run) -> None:
    assert not [each.name for each in simulated.registered if each.name.endswith("-compared")]


def test_no_gateway_is_there_before_foreign_callers_are_refused(simulated: Run) -> None:
    for name in ("east", "west"):
        refused = simulated.one("AuthorizationPolicy", f"{name}:istio-system/foreign-callers")
        gateway = simulated.one("Deployment", f"{name}:istio-system/istio-eastwestgateway")
        assert refused.urn in simulated.before(gateway)
    assert simulated.one("AuthorizationPolicy", "west:istio-system/foreign-callers").urn in simulated.before(
        simulated.at(offered(simulated))
    )
