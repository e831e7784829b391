"""Helm values: what they must not say, because the stack file has a key for it, or because the model relies on it.

Values are laid over every cluster alike, and win over what the model computes. Sources: the charts and flags of Istio
1.31, and those of 1.22 where they differ; its reference of MeshConfig and ProxyConfig.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.istio_values import (
    EGRESS_LABELS,
    GATEWAY_LABELS,
    GATEWAY_PORT_LABEL,
    NAMESPACE,
    NETWORK_LABEL,
)
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt, key_path, kind_of


@dataclass(frozen=True)
class Decided:
    """A value that is decided elsewhere.

    Attributes:
        keys: where it stands in the values.
        why: what would go wrong with another value.
        instead: what to write; empty where nothing can be.
        harmless: values that change nothing.
    """

    keys: tuple[str, ...]
    why: str
    instead: str = ""
    harmless: tuple[object, ...] = ()


_NO_ISTIOD = "would leave the cluster without an istiod of its own, which everything here relies on"
_SIGNER = "would let others than the authorities under `trust` sign workload certificates"
_ROOTS = "would make workloads trust roots that are not declared under `trust`"
_ANY_CALLER = "decides whose identities are accepted, which follows from exports, imports and `trust`"
_ONE_NAME = "would be the {} of every cluster, whatever the stack file says; clusters are told apart by it (pitfall 48)"
_NETWORK = _ONE_NAME.format("network")
_REVISION = "would be another revision than that of namespaces and objects"
_NOT_READ = "could hide the objects of exports and imports from istiod"

_TRUE, _FALSE = (True, "true"), (False, "false")

_PROXY = (
    Decided(("ISTIO_META_NETWORK",), _NETWORK, "clusters.X.network"),
    Decided(("ISTIO_META_REQUESTED_NETWORK_VIEW",), "would hide the other clusters' networks from proxies"),
    Decided(("ISTIO_META_CLUSTER_ID",), _ONE_NAME.format("name"), "the keys under `clusters`"),
    Decided(("ISTIO_META_MESH_ID",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
    Decided(("TRUST_DOMAIN",), _ONE_NAME.format("trust domain"), "clusters.X.trustDomain"),
    *(Decided((name,), _SIGNER) for name in ("CA_ADDR", "CA_PROVIDER", "FILE_MOUNTED_CERTS", "PROV_CERT")),
    *(Decided((name,), _ROOTS) for name in ("CA_ROOT_CA", "XDS_ROOT_CA")),
)
"""Environment of proxies."""

_CAPTURE = "would keep hosts that only the mesh knows, as global ones are, from being resolved"

_ISTIOD = (
    Decided(("PILOT_SKIP_VALIDATE_TRUST_DOMAIN",), _ANY_CALLER, harmless=_FALSE),
    Decided(("ISTIO_MULTIROOT_MESH",), _ANY_CALLER, harmless=_FALSE),
    Decided(("TRUSTED_GATEWAY_CIDR",), _ANY_CALLER, harmless=("",)),
    Decided(("CA_TRUSTED_NODE_ACCOUNTS",), "says who may get certificates in the name of others"),
    Decided(("PILOT_ENABLE_XDS_IDENTITY_CHECK",), "lets proxies ask for what is another namespace's", harmless=_TRUE),
    Decided(("XDS_AUTH",), "lets anybody ask istiod for what is a workload's", harmless=_TRUE),
    *(Decided((name,), _SIGNER) for name in ("EXTERNAL_CA", "K8S_SIGNER", "CERT_SIGNER_DOMAIN", "ROOT_CA_DIR")),
    Decided(("USE_CACERTS_FOR_SELF_SIGNED_CA",), _SIGNER, harmless=_FALSE),
    Decided(("ENABLE_CA_SERVER",), "would leave workloads without certificates", harmless=_TRUE),
    Decided(("PILOT_CERT_PROVIDER",), _SIGNER, harmless=("istiod",)),
    Decided(("PILOT_CA_CERT_CONFIGMAP",), _ROOTS, harmless=("istio-ca-root-cert",)),
    Decided(("SHARED_MESH_CONFIG",), "would bring a mesh configuration that the stack file does not show"),
    Decided(("CLUSTER_ID",), _ONE_NAME.format("name"), "the keys under `clusters`"),
    Decided(("REVISION",), _REVISION, "istio.revision"),
    Decided(("POD_NAMESPACE",), f"would take istiod out of {NAMESPACE}", harmless=(NAMESPACE,)),
    Decided(("EXTERNAL_ISTIOD",), _NO_ISTIOD, harmless=_FALSE),
    *(Decided((name,), _NOT_READ, harmless=("",)) for name in ("ISTIO_WATCH_NAMESPACE", "PILOT_IGNORE_RESOURCES")),
    *(
        Decided((name,), "would switch off what exports and imports are made of", harmless=_TRUE)
        for name in (
            "PILOT_ENABLE_GATEWAY_API",
            "PILOT_ENABLE_IP_AUTOALLOCATE",
            "PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES",
            "PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API",
        )
    ),
    *(
        Decided((name,), "would make istiod look elsewhere for the clusters that `discovery` names")
        for name in ("LOCAL_CLUSTER_SECRET_WATCHER", "PILOT_MULTICLUSTER_KUBECONFIG_PATH")
    ),
)
"""Environment of istiod."""

_FLAGS = (
    *("domain", "clusterID", "clusterAliases", "clusterRegistriesNamespace", "registries", "namespace", "kubeconfig"),
    *("meshConfig", "networksConfig", "configDir", "caCertFile", "tlsCertFile", "tlsKeyFile"),
)
"""Arguments of istiod that say what the model says."""


def _below(place: tuple[str, ...], decided: Iterable[Decided]) -> tuple[Decided, ...]:
    return tuple(Decided((*place, *each.keys), each.why, each.instead, each.harmless) for each in decided)


_ANY_CHART = (
    Decided(
        ("_internal_defaults_do_not_set",), "takes the place of the chart's defaults, past everything checked here"
    ),
    Decided(("revision",), _REVISION, "istio.revision"),
)

_PROFILE = Decided(
    ("profile",),
    "brings values that are decided elsewhere",
    harmless=("default", "demo", "minimal", "openshift", "preview", "stable"),
)

_MESH = (
    Decided(("trustDomain",), _ONE_NAME.format("trust domain"), "clusters.X.trustDomain"),
    Decided(
        ("trustDomainAliases",),
        "makes one identity of accounts of several trust domains: policies of exports could not tell them apart",
        harmless=([],),
    ),
    Decided(("caCertificates",), f"{_ANY_CALLER}; other clusters' trust domains are accepted by it"),
    Decided(
        ("rootNamespace",),
        f"takes the mesh-wide policies of {NAMESPACE}, mutual TLS first of all, out of force",
        harmless=(NAMESPACE,),
    ),
    Decided(("enableAutoMtls",), "would let callers speak plaintext, which every workload refuses", harmless=_TRUE),
    Decided(("ca",), _SIGNER),
    Decided(("configSources",), _NOT_READ),
    *_below(
        ("defaultConfig",),
        (
            Decided(("meshId",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
            Decided(("caCertificatesPem",), _ROOTS),
            Decided(("discoveryAddress",), _NO_ISTIOD),
            Decided(
                ("interceptionMode",),
                "would let calls pass by the proxies, which enforce exports",
                harmless=("REDIRECT", "TPROXY"),
            ),
        ),
    ),
    *_below(
        ("defaultConfig", "proxyMetadata"),
        (
            *_PROXY,
            Decided(("ISTIO_META_DNS_CAPTURE",), _CAPTURE, harmless=_TRUE),
            Decided(("ISTIO_META_DNS_AUTO_ALLOCATE",), _CAPTURE, harmless=_TRUE),
        ),
    ),
)

_GLOBAL = (
    _PROFILE,
    Decided(("network",), _NETWORK, "clusters.X.network"),
    Decided(("meshID",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
    Decided(("multiCluster", "clusterName"), _ONE_NAME.format("name"), "the keys under `clusters`"),
    Decided(
        ("meshNetworks",),
        "says where the gateways of networks are, which istiods learn from the gateways themselves",
        "clusters.X.network and clusters.X.gateway",
        harmless=({},),
    ),
    Decided(
        ("proxy", "clusterDomain"),
        "is not cluster.local: the hosts of exports and imports end in svc.cluster.local, and would match no Service;"
        " there is no key for another cluster domain yet",
        "clusters whose domain is cluster.local",
        harmless=("cluster.local",),
    ),
    Decided(("proxy", "autoInject"), "would leave exported workloads without proxies", harmless=("enabled",)),
    Decided(("istioNamespace",), f"would take Istio out of {NAMESPACE}", harmless=(NAMESPACE,)),
    Decided(("caAddress",), _SIGNER, harmless=("",)),
    Decided(("caName",), _SIGNER, harmless=("",)),
    Decided(("pilotCertProvider",), _SIGNER, harmless=("istiod",)),
    Decided(("mountMtlsCerts",), _SIGNER, harmless=_FALSE),
    Decided(("trustBundleName",), _ROOTS, harmless=("istio-ca-root-cert",)),
    Decided(("externalIstiod",), _NO_ISTIOD, harmless=_FALSE),
    Decided(("configCluster",), _NO_ISTIOD, harmless=_FALSE),
    Decided(("remotePilotAddress",), _NO_ISTIOD, harmless=("",)),
    Decided(("resourceScope",), _NO_ISTIOD, harmless=("all",)),
    Decided(("omitSidecarInjectorConfigMap",), "would leave exported workloads without proxies", harmless=_FALSE),
)

ISTIOD = (
    *_ANY_CHART,
    _PROFILE,
    *_below(("meshConfig",), _MESH),
    *_below(("global",), _GLOBAL),
    *_below(("env",), _ISTIOD),
    *_below(("pilot", "env"), _ISTIOD),
    *(
        Decided(keys, "would leave istiod without its mesh configuration, trust domain included", harmless=_TRUE)
        for keys in (("configMap",), ("pilot", "configMap"))
    ),
    Decided(("istiodRemote", "enabled"), _NO_ISTIOD, harmless=_FALSE),
)
"""What `istio.values` must not say."""


def _gateway(labels: Mapping[str, str], is_east_west: bool) -> tuple[Decided, ...]:
    """List what values of a gateway must not say."""
    chosen = "selects the gateway's pods, in its Service and in the objects of exports and imports"
    network = _NETWORK if is_east_west else "would make it the east-west gateway of a network (pitfall 32)"
    return (
        *_ANY_CHART,
        Decided(("name",), "is not the name by which the gateway is looked for", harmless=("",)),
        Decided(
            ("networkGateway",),
            "would make it the gateway of one and the same network in every cluster, and open istiod to others",
            "clusters.X.network",
            harmless=("",),
        ),
        *(Decided(("labels", key), chosen, harmless=(value,)) for key, value in labels.items()),
        Decided(("labels", NETWORK_LABEL), network, "clusters.X.network"),
        Decided(("labels", "istio.io/rev"), _REVISION, "istio.revision"),
        Decided(
            ("labels", GATEWAY_PORT_LABEL),
            "would send other clusters to this port of every gateway",
            "clusters.X.gateway.port",
        ),
        *_below(("env",), _PROXY),
    )


CHARTS: Mapping[str, tuple[Decided, ...]] = {
    "values": ISTIOD,
    "gatewayValues": _gateway(GATEWAY_LABELS, is_east_west=True),
    "egressValues": _gateway(EGRESS_LABELS, is_east_west=False),
}
"""What is decided elsewhere, by the key under `istio` whose values are a chart's."""

_GATEWAY_SECTIONS = (
    *((key,) for key in ("autoscaling", "env", "global", "labels", "rbac", "service", "serviceAccount")),
    ("service", "annotations"),
)
SECTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "values": (
        *(
            (key,)
            for key in ("base", "env", "experimental", "global", "meshConfig", "pdb", "pilot", "taint", "telemetry")
        ),
        *((key,) for key in ("cni", "cpu", "gateways", "istiodRemote", "sidecarInjectorWebhook")),
        *(
            ("global", key)
            for key in ("defaultPodDisruptionBudget", "istiod", "logging", "multiCluster", "networkPolicy")
        ),
        *(("global", key) for key in ("proxy", "proxy_init", "sds", "sts", "waypoint")),
        ("global", "proxy", "startupProbe"),
        ("global", "sds", "token"),
        ("meshConfig", "defaultConfig"),
        ("meshConfig", "defaultConfig", "proxyMetadata"),
        ("pilot", "env"),
        ("telemetry", "v2"),
        ("telemetry", "v2", "prometheus"),
        ("telemetry", "v2", "stackdriver"),
    ),
    "gatewayValues": _GATEWAY_SECTIONS,
    "egressValues": _GATEWAY_SECTIONS,
}
"""Below which charts look for keys, whatever stands there."""


def _values(federation: Federation) -> dict[str, dict[str, object]]:
    istio = federation.istio
    return {"values": istio.values, "gatewayValues": istio.gateway_values, "egressValues": istio.egress_values}


def values_leave_to_the_model_what_is_its(federation: Federation) -> Iterator[Problem]:
    """A value that goes around the model would make its rules hold for another mesh than the one that runs."""
    for key, values in _values(federation).items():
        for decided in CHARTS[key]:
            for path, value in _found(values, decided.keys, f"istio.{key}"):
                if value not in decided.harmless:
                    yield _elsewhere(path, kind_of(value), decided)
        for path, name in _from_elsewhere(values, f"istio.{key}"):
            for decided in CHARTS[key]:
                if decided.keys in (("env", name), ("pilot", "env", name)):
                    yield _elsewhere(path, f"{name} from elsewhere", decided)
                    break


def _elsewhere(path: str, what: str, decided: Decided) -> Problem:
    fix = f"remove it, and use {decided.instead}" if decided.instead else "remove it"
    return Problem(path, FederationRule.DECIDED_ELSEWHERE, f"{what} {decided.why}", fix)


def _found(tree: object, keys: Sequence[str], where: str) -> Iterator[tuple[str, object]]:
    """Find the values at some keys; MeshConfig takes trustDomain and trust_domain alike."""
    if not keys:
        yield where, tree
    elif isinstance(tree, Mapping):
        for key, below in tree.items():
            if key.replace("_", "").lower() == keys[0].replace("_", "").lower():
                yield from _found(below, keys[1:], key_path(where, key))


def _from_elsewhere(values: Mapping[str, object], where: str) -> Iterator[tuple[str, str]]:
    """Find the names of variables whose value stands in another object."""
    for path, variable in _items(values, "envVarFrom", where):
        if isinstance(variable, Mapping):
            yield path, excerpt(variable.get("name"))


def _items(values: Mapping[str, object], key: str, where: str) -> Iterator[tuple[str, object]]:
    """Find the items of a list; charts of older releases look for it under `pilot`."""
    for keys in ((key,), ("pilot", key)):
        for path, given in _found(values, keys, where):
            yield from ((f"{path}[{i}]", item) for i, item in enumerate(given if isinstance(given, list) else []))


def arguments_leave_to_the_model_what_is_its(federation: Federation) -> Iterator[Problem]:
    """Arguments win over the mesh configuration and over the environment."""
    for path, argument in _items(federation.istio.values, "extraContainerArgs", "istio.values"):
        name = str(argument).partition("=")[0].lstrip("-")
        if str(argument).startswith("-") and name in (*_FLAGS, "n"):
            problem = f"{excerpt(argument)} would tell istiod something else than the stack file does"
            yield Problem(path, FederationRule.DECIDED_ELSEWHERE, problem, "remove it, and what follows it")


def exported_ports_pass_the_proxy(federation: Federation) -> Iterator[Problem]:
    """A gateway passes calls on unread: only the proxy of the pod that is called enforces the export."""
    for key, is_left_alone in (("excludeInboundPorts", True), ("includeInboundPorts", False)):
        for path, value in _found(federation.istio.values, ("global", "proxy", key), "istio.values"):
            listed = {port.strip() for port in str(value or "").split(",")}
            for export in federation.exports:
                for port in export.ports:
                    number = str(port.target_port or port.number)
                    if (number in listed or "*" in listed) is is_left_alone:
                        yield Problem(
                            path,
                            FederationRule.DECIDED_ELSEWHERE,
                            f"{kind_of(value)} would let calls to port {number} of {export.service} pass by its proxy,"
                            f" which refuses whoever {export.path} does not name",
                            "let the proxy take that port" if is_left_alone else f"add {number}",
                        )


def sections_are_mappings(federation: Federation) -> Iterator[Problem]:
    """Charts look for keys below their sections: anything else there ends in Helm's words, which know no stack file."""
    for key, values in _values(federation).items():
        for section in SECTIONS[key]:
            for path, value in _found(values, section, f"istio.{key}"):
                if not isinstance(value, Mapping):
                    yield Problem(
                        path,
                        FederationRule.VALUES_NOT_A_MAPPING,
                        f"{kind_of(value)} stands where Istio's charts look for further keys, so that nothing can be"
                        " rendered",
                        "write a mapping, for example {key: value}; or remove the key, to take the chart's defaults",
                    )


RULES = (
    values_leave_to_the_model_what_is_its,
    arguments_leave_to_the_model_what_is_its,
    exported_ports_pass_the_proxy,
    sections_are_mappings,
)
