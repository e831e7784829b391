"""What the owner of a mesh is asked to allow: reading everywhere, and making things only where a link has objects."""

from collections.abc import Mapping
from typing import Any

from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from mesh_federation.plan.objects import Body
from mesh_federation.plan.rights import Subject, rights
from mesh_federation.stack.config import ISTIO_NAMESPACE, Federation
from tests.unit.plan.test_observed import DECLARED, in_a_namespace_for_links, observing, tree

TEAM = Subject("Group", "mesh-team")
CHANGING = {"create", "delete", "deletecollection", "patch", "update"}
PLANNED = plan(DECLARED, "dev")


def roles(found: list[Body]) -> dict[str, list[Mapping[str, Any]]]:
    """Rules of roles, by namespace; of the role for all namespaces by none."""
    named: list[Any] = [each for each in found if not str(each["kind"]).endswith("Binding")]
    return {each["metadata"].get("namespace", ""): each["rules"] for each in named}


def allowed(rules: list[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Verbs by resource."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for resource in rule["resources"]:
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


def changed(rules: list[Mapping[str, Any]]) -> set[str]:
    """Resources that may be changed."""
    return {resource for resource, verbs in allowed(rules).items() if verbs & CHANGING}


def test_observing_takes_reading_alone_and_no_secret() -> None:
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, None))
    assert set(found) == {"", "istio-system"}
    for rules in found.values():
        assert not changed(rules) and "secrets" not in allowed(rules)
        assert all(each["resources"] and "*" not in each["resources"] for each in rules)


def test_config_maps_are_read_where_istiod_is() -> None:
    found = roles(rights("dev", TEAM, "aks-istio-system", None))
    assert set(found) == {"", "aks-istio-system"}
    assert set(allowed(found["aks-istio-system"])) == {"configmaps"}


def test_a_stack_may_change_the_kinds_that_it_makes_where_it_makes_them() -> None:
    east, west = (roles(rights("dev", TEAM, ISTIO_NAMESPACE, PLANNED.clusters[name])) for name in ("east", "west"))
    assert {namespace: changed(rules) for namespace, rules in west.items()} == {
        "": set(),
        "httpbin": {"authorizationpolicies", "envoyfilters", "pods/exec", "pods/proxy"},
        "istio-system": {"deployments", "gateways", "pods/exec", "serviceaccounts", "services"},
    }
    assert {namespace: changed(rules) for namespace, rules in east.items()} == {
        "": set(),
        "httpbin": {"destinationrules", "services", "workloadentries"},
        "istio-system": set(),
        "sleep": {"envoyfilters", "pods/exec", "pods/proxy"},
    }


def test_no_right_reads_a_secret() -> None:
    for cluster in PLANNED.clusters.values():
        for rules in roles(rights("dev", TEAM, ISTIO_NAMESPACE, cluster)).values():
            assert "secrets" not in allowed(rules)


def test_who_exports_nothing_runs_no_program_beside_the_authority() -> None:
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, PLANNED.clusters["east"]))
    assert "pods/exec" not in allowed(found["istio-system"])


def test_with_a_namespace_for_links_nothing_is_changed_beside_the_authority() -> None:
    """Whoever may make a Deployment beside istiod can mount the key of its authority."""
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, plan(in_a_namespace_for_links("west"), "dev").clusters["west"]))
    assert allowed(found["istio-system"]) == {"configmaps": {"get", "list"}}
    assert changed(found["mesh-links"]) == {"deployments", "gateways", "pods/exec", "serviceaccounts", "services"}


def test_a_namespace_for_links_has_no_part_in_what_all_callers_accept() -> None:
    """The filter for all callers of a cluster is in the root namespace, so the right to make it is too."""
    opened = for_all_callers(in_a_namespace_for_links("east"))
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, plan(opened, "dev").clusters["east"]))
    assert changed(found["istio-system"]) == {"envoyfilters"}


def test_a_sample_takes_rights_to_make_its_namespace_and_to_wait_for_it() -> None:
    given = tree()
    given["workloads"] = [{"cluster": "east", "sample": "sleep", "namespace": "trial"}]
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, plan(parse(given), "dev").clusters["east"]))
    assert changed(found[""]) == {"namespaces"}
    assert changed(found["trial"]) >= {"deployments", "serviceaccounts", "services"}
    assert allowed(found["trial"])["replicasets"] == {"get", "list", "watch"}


def test_what_values_of_the_gateway_add_takes_rights_too() -> None:
    given = tree()
    added = {"autoscaling": {"enabled": True}, "podDisruptionBudget": {"minAvailable": 1}}
    given["clusters"]["west"]["istio"]["gatewayValues"] = added
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, plan(parse(given), "dev").clusters["west"]))
    assert changed(found["istio-system"]) >= {"horizontalpodautoscalers", "poddisruptionbudgets"}


def for_all_callers(federation: Federation) -> Federation:
    """The federation with an export that admits every caller of the importing cluster."""
    [export] = federation.exports
    to = tuple(each.model_copy(update={"service_accounts": None}) for each in export.to)
    return federation.model_copy(update={"exports": (export.model_copy(update={"to": to}),)})


def test_an_import_for_all_callers_allows_no_program_in_every_pod() -> None:
    opened = for_all_callers(observing("east", rootNamespace="istio-config"))
    found = roles(rights("dev", TEAM, ISTIO_NAMESPACE, plan(opened, "dev").clusters["east"]))
    assert changed(found["istio-config"]) == {"envoyfilters"}
    assert not any("pods/exec" in allowed(rules) for rules in found.values())


def test_every_role_is_bound_to_whom_it_is_for() -> None:
    for subject, body in (
        (TEAM, {"kind": "Group", "name": "mesh-team", "apiGroup": "rbac.authorization.k8s.io"}),
        (
            Subject("ServiceAccount", "linker", "ops"),
            {"kind": "ServiceAccount", "name": "linker", "namespace": "ops"},
        ),
    ):
        found: list[Any] = rights("dev", subject, ISTIO_NAMESPACE, PLANNED.clusters["west"])
        for role, binding in zip(found[::2], found[1::2], strict=True):
            assert binding["kind"] == f"{role['kind']}Binding" and binding["metadata"] == role["metadata"]
            assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == (role["kind"], role["metadata"]["name"])
            assert binding["subjects"] == [body]
