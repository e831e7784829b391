"""What is read of the Istio of others: by Helm, istioctl or an operator, of any revision, with their own settings."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from mesh_federation.observe.contents import ConfigMap, Contents, Istiod
from mesh_federation.observe.facts import Unobservable, chosen, differences, observation
from mesh_federation.stack.config import ObservedMesh
from mesh_federation.verify.objects import EnvoyFilter, Namespace, PeerAuthentication

ROOT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
OTHER = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
HELM = {"annotations": {"meta.helm.sh/release-name": "istiod"}}


def istiod(revision: str = "default", **changed: Any) -> Istiod:  # noqa: ANN401 - fields of an object
    """The Deployment that the chart of Istio 1.31 makes."""
    labels = {"app": "istiod", "istio.io/rev": revision, "app.kubernetes.io/version": "1.31.0"}
    labels["install.operator.istio.io/owning-resource"] = "unknown"
    metadata = {"name": "istiod", "namespace": "istio-system", "labels": labels, **changed.pop("metadata", {})}
    container = {"name": "discovery", "image": "docker.io/istio/pilot:1.31.0", **changed}
    return Istiod.model_validate({"metadata": metadata, "spec": {"template": {"spec": {"containers": [container]}}}})


def config_map(name: str, **data: str) -> ConfigMap:
    """A ConfigMap of istio-system; keys with underscores stand for dashes and dots."""
    names = {"root_cert": "root-cert.pem"}
    metadata = {"name": name, "namespace": "istio-system"}
    return ConfigMap.model_validate({"metadata": metadata, "data": {names.get(k, k): v for k, v in data.items()}})


def contents(
    mesh: Mapping[str, object] | None = None, values: Mapping[str, object] | None = None, suffix: str = "",
    roots: str = ROOT, **changed: Any,  # noqa: ANN401 - fields of Contents
) -> Contents:  # fmt: skip
    """What a cluster with Istio's defaults holds, but for what is given."""
    known: dict[str, Any] = {
        "uid": "uid-of-east",
        "kubernetes": "v1.34.4-eks-99bf7f5",
        "istiod": istiod(),
        "config_maps": [
            config_map(f"istio{suffix}", mesh=yaml.safe_dump(dict(mesh or {}))),
            config_map(f"istio-sidecar-injector{suffix}", values=json.dumps({"global": dict(values or {})})),
            config_map("istio-ca-root-cert", root_cert=roots),
        ],
        "policies": [],
        "filters": [],
        "namespaces": [],
        "has_ztunnel": False,
    }
    return Contents(**{**known, **changed})


def mesh_of(found: Contents) -> ObservedMesh:
    return observation(found).mesh


def named(name: str, **labels: str) -> Namespace:
    return Namespace.model_validate({"metadata": {"name": name, "labels": labels}})


def test_a_default_installation_has_istios_defaults() -> None:
    assert mesh_of(contents()) == ObservedMesh(
        clusterUID="uid-of-east", kubernetes="1.34.4", version="1.31.0", trustDomain="cluster.local", roots=(ROOT,)
    )


def test_what_its_owner_set_is_read() -> None:
    proxy = {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}
    own = {"trustDomain": "east.example", "trustDomainAliases": ["cluster.local"], "rootNamespace": "istio-config"}
    found = mesh_of(contents({**own, "defaultConfig": proxy}, {"meshID": "m1", "network": "n1"}))
    assert (found.trust_domain, found.trust_domain_aliases) == ("east.example", ("cluster.local",))
    assert (found.root_namespace, found.mesh_id, found.network, found.dns_capture) == ("istio-config", "m1", "n1", True)


@pytest.mark.parametrize(("proxy", "domain"), [({"clusterDomain": "in.munich"}, "in.munich"), ({}, "cluster.local")])
def test_the_domain_of_services_is_that_of_the_proxies(proxy: Mapping[str, str], domain: str) -> None:
    assert mesh_of(contents(values={"proxy": proxy})).cluster_domain == domain


def test_a_revision_has_config_maps_of_its_own() -> None:
    found = mesh_of(contents({"trustDomain": "canary.example"}, suffix="-canary", istiod=istiod("canary")))
    assert (found.trust_domain, found.revision) == ("canary.example", "canary")


def test_of_several_istiods_the_default_one_is_meant_and_the_only_one_whatever_its_revision() -> None:
    assert chosen([istiod("canary"), istiod()], None, None).revision == ""
    assert chosen([istiod("1-31")], None, None).revision == "1-31"


def test_the_istiod_of_a_namespace_is_meant_among_several_of_one_revision() -> None:
    found = chosen([istiod(), istiod(metadata={"namespace": "tenant-a"})], None, "tenant-a")
    assert found.metadata.namespace == "tenant-a"


def test_the_root_namespace_is_istios_own_default_where_nothing_names_another() -> None:
    root = {"metadata": {"name": "istio-ca-root-cert", "namespace": "tenant-a"}, "data": {"root-cert.pem": OTHER}}
    tenant = istiod(metadata={"namespace": "tenant-a"})
    found = mesh_of(contents(istiod=tenant, config_maps=[ConfigMap.model_validate(root)]))
    assert (found.namespace, found.root_namespace, found.roots) == ("tenant-a", "istio-system", (OTHER,))


def test_the_configuration_that_revisions_share_is_below_that_of_the_revision() -> None:
    shared = {
        "trustDomain": "shared.example",
        "trustDomainAliases": ["a.example", "b.example"],
        "defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}},
    }
    own = {"trustDomain": "own.example", "trustDomainAliases": ["c.example", "a.example"]}
    sharing = istiod(env=[{"name": "SHARED_MESH_CONFIG", "value": "istio-shared-configmap"}])
    given = contents({**own, "defaultConfig": {"proxyMetadata": {"A": "b"}}}, istiod=sharing)
    maps = [*given.config_maps, config_map("istio-shared-configmap", mesh=yaml.safe_dump(shared))]
    found = mesh_of(replace(given, config_maps=maps))
    assert (found.trust_domain, found.dns_capture) == ("own.example", True)
    assert found.trust_domain_aliases == ("a.example", "b.example", "c.example"), "policies expand all of them"


def test_both_roots_are_read_while_an_owner_changes_them() -> None:
    assert mesh_of(contents(roots=OTHER + ROOT)).roots == (ROOT, OTHER)


@pytest.mark.parametrize(
    ("namespace", "selector", "mode", "expected"),
    [
        ("istio-system", None, "STRICT", "STRICT"),
        ("istio-system", {"matchLabels": {"app": "a"}}, "STRICT", "PERMISSIVE"),
        ("sleep", None, "STRICT", "PERMISSIVE"),
        ("istio-system", None, "UNSET", "PERMISSIVE"),
        ("istio-system", None, "DISABLE", "DISABLE"),
    ],
)
def test_only_a_policy_of_the_root_namespace_without_selector_is_the_meshs(
    namespace: str, selector: object, mode: str, expected: str
) -> None:
    metadata = {"name": "default", "namespace": namespace}
    policy = PeerAuthentication.model_validate(
        {"metadata": metadata, "spec": {"selector": selector, "mtls": {"mode": mode}}}
    )
    assert mesh_of(contents(policies=[policy])).mutual_tls == expected


def test_namespaces_that_discovery_selectors_select_are_named() -> None:
    selectors = [
        {"matchLabels": {"mesh": "on"}},
        {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]},
        {"matchExpressions": [{"key": "legacy", "operator": "Exists"}, {"key": "off", "operator": "DoesNotExist"}]},
    ]
    namespaces = [
        named("one", mesh="on"),
        named("two", team="b"),
        named("three", legacy=""),
        named("four", legacy="", off=""),
        named("five", mesh="off", team="c"),
    ]
    found = mesh_of(contents({"discoverySelectors": selectors}, namespaces=namespaces))
    assert found.namespaces == ("one", "three", "two")
    assert mesh_of(contents(namespaces=namespaces)).namespaces is None


def test_filters_that_set_tls_are_named_and_no_others() -> None:
    def envoy_filter(name: str, patch: Mapping[str, object], applies_to: str = "CLUSTER") -> EnvoyFilter:
        spec = {"configPatches": [{"applyTo": applies_to, "patch": patch}]}
        return EnvoyFilter.model_validate({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})

    tls = envoy_filter("tls", {"operation": "MERGE", "value": {"transport_socket": {}}})
    lua = envoy_filter("lua", {"operation": "INSERT_BEFORE", "value": {}}, "HTTP_FILTER")
    assert [str(each) for each in mesh_of(contents(filters=[tls, lua])).filters] == ["shop/tls"]


def test_what_keeps_a_mesh_from_being_linked_is_read() -> None:
    skipping = istiod(env=[{"name": "PILOT_SKIP_VALIDATE_TRUST_DOMAIN", "value": "true"}])
    found = mesh_of(contents(istiod=skipping, has_ztunnel=True))
    assert (found.trust_domain_validation, found.ambient) == (False, True)


def test_the_release_is_that_of_the_chart_or_of_the_image() -> None:
    unlabelled = istiod(metadata={"labels": {"app": "istiod"}}, image="mirror.example/pilot:1.29.4-distroless")
    assert mesh_of(contents(istiod=unlabelled)).version == "1.29.4"


@pytest.mark.parametrize(
    ("metadata", "installer"),
    [
        (HELM, "Helm, release istiod"),
        ({"labels": {"install.operator.istio.io/owning-resource": "installed-state"}}, "istioctl (IstioOperator)"),
        ({"ownerReferences": [{"kind": "IstioRevision"}]}, "the Sail operator"),
        ({}, "unknown means"),
    ],
)
def test_it_is_said_how_istio_was_installed(metadata: Mapping[str, object], installer: str) -> None:
    assert observation(contents(istiod=istiod(metadata=metadata))).installer == installer


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (contents(roots=""), "holds no root"),
        (contents(config_maps=[config_map("istio", mesh="- a")]), "ConfigMap istio of istiod cannot be read"),
        (contents(config_maps=[config_map("istio", mesh="a: [")]), "ConfigMap istio of istiod cannot be read"),
        (contents(istiod=istiod(metadata={"labels": {}}, image="pilot@sha256:00")), "release of istiod"),
        (contents({"trustDomain": "x" * 300}), "trustDomain is of a form"),
    ],
)
def test_what_cannot_be_observed_is_told(found: Contents, problem: str) -> None:
    with pytest.raises(Unobservable, match=problem) as raised:
        observation(found)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("istiods", "revision", "namespace", "problem"),
    [
        ([], None, None, "there is no istiod"),
        ([istiod()], "canary", None, "no istiod of revision canary; revisions: default in istio-system"),
        ([istiod()], None, "a", "no istiod of revision default in a; revisions: default in istio-system"),
        ([istiod("a"), istiod("b")], None, None, "revision default; revisions: a in istio-system, b in istio-system"),
        ([istiod(metadata={"namespace": "a"}), istiod()], None, None, "several istiods of revision default"),
    ],
)
def test_it_is_told_which_istiods_there_are(
    istiods: list[Istiod], revision: str | None, namespace: str | None, problem: str
) -> None:
    with pytest.raises(Unobservable, match=problem) as raised:
        chosen(istiods, revision, namespace)
    assert "namespace: ..." in raised.value.fix or not istiods


def test_what_changed_since_is_told_line_by_line() -> None:
    before = mesh_of(contents())
    after = mesh_of(contents({"trustDomain": "east.example"}, roots=OTHER))
    assert list(differences(before, after)) == [
        "trustDomain: cluster.local before, east.example now",
        "roots: 1 new, 1 gone",
    ]
    assert list(differences(before, before)) == []
