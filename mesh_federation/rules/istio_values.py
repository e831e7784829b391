"""Helm values: those that a key of the stack file decides, or that the federation relies on, are refused.

Values override what this program computes, for every cluster or for one. Sources: the charts and flags of Istio
1.31, and those of 1.22 where they differ; its reference of MeshConfig and ProxyConfig.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mesh_federation.plan.istio_values import (
    EGRESS,
    GATEWAY,
    GATEWAY_PORT_LABEL,
    NAMESPACE_LABEL,
    NETWORK_LABEL,
    labels_of,
)
from mesh_federation.stack.config import ISTIO_NAMESPACE, Cluster, Export, Federation, NamespacedName
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt, key_path, kind_of


@dataclass(frozen=True)
class _Reserved:
    """A value that the stack file or this program decides.

    Attributes:
        keys: the keys that lead to it.
        why: the consequence of another value.
        instead: the key of the stack file to use; empty if there is none.
        harmless: values that are accepted, because they change nothing.
    """

    keys: tuple[str, ...]
    why: str
    instead: str = ""
    harmless: tuple[object, ...] = ()


_NO_ISTIOD = "would leave the cluster without its own istiod, which this program relies on"
_SIGNER = "would let other authorities than those under `trust` sign workload certificates"
_ROOTS = "would make workloads trust roots that are not declared under `trust`"
_ANY_CALLER = "would change which identities are accepted, and only exports, imports and `trust` decide that"
_ONE_NAME = "would replace the {} that the stack file gives to each cluster (pitfall 48)"
_NETWORK = _ONE_NAME.format("network")
_REVISION = "would differ from the revision of namespaces and objects"
_NOT_READ = "could hide the objects of exports and imports from istiod"

_TRUE, _FALSE = (True, "true"), (False, "false")

_PROXY = (
    _Reserved(("ISTIO_META_NETWORK",), _NETWORK, "clusters.X.network"),
    _Reserved(("ISTIO_META_REQUESTED_NETWORK_VIEW",), "would hide the other clusters' networks from proxies"),
    _Reserved(("ISTIO_META_CLUSTER_ID",), _ONE_NAME.format("name"), "the keys under `clusters`"),
    _Reserved(("ISTIO_META_MESH_ID",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
    _Reserved(("TRUST_DOMAIN",), _ONE_NAME.format("trust domain"), "clusters.X.trustDomain"),
    *(_Reserved((name,), _SIGNER) for name in ("CA_ADDR", "CA_PROVIDER", "FILE_MOUNTED_CERTS", "PROV_CERT")),
    *(_Reserved((name,), _ROOTS) for name in ("CA_ROOT_CA", "XDS_ROOT_CA")),
)
"""Environment of proxies."""

_CAPTURE = "would keep workloads from resolving hosts that only the mesh knows, such as global hosts"

_ISTIOD = (
    _Reserved(("PILOT_SKIP_VALIDATE_TRUST_DOMAIN",), _ANY_CALLER, harmless=_FALSE),
    _Reserved(("ISTIO_MULTIROOT_MESH",), _ANY_CALLER, harmless=_FALSE),
    _Reserved(("TRUSTED_GATEWAY_CIDR",), _ANY_CALLER, harmless=("",)),
    _Reserved(("CA_TRUSTED_NODE_ACCOUNTS",), "decides who may get certificates for the identities of others"),
    _Reserved(
        ("PILOT_ENABLE_XDS_IDENTITY_CHECK",),
        "would let proxies request the configuration of other namespaces",
        harmless=_TRUE,
    ),
    _Reserved(("XDS_AUTH",), "would let anybody request the configuration of a workload", harmless=_TRUE),
    *(_Reserved((name,), _SIGNER) for name in ("EXTERNAL_CA", "K8S_SIGNER", "CERT_SIGNER_DOMAIN", "ROOT_CA_DIR")),
    _Reserved(("USE_CACERTS_FOR_SELF_SIGNED_CA",), _SIGNER, harmless=_FALSE),
    _Reserved(("ENABLE_CA_SERVER",), "would leave workloads without certificates", harmless=_TRUE),
    _Reserved(("PILOT_CERT_PROVIDER",), _SIGNER, harmless=("istiod",)),
    _Reserved(("PILOT_CA_CERT_CONFIGMAP",), _ROOTS, harmless=("istio-ca-root-cert",)),
    _Reserved(("SHARED_MESH_CONFIG",), "would add mesh configuration that is not in the stack file"),
    _Reserved(("CLUSTER_ID",), _ONE_NAME.format("name"), "the keys under `clusters`"),
    _Reserved(("REVISION",), _REVISION, "istio.revision"),
    _Reserved(("POD_NAMESPACE",), "would move istiod to another namespace", "istio.namespace"),
    _Reserved(("EXTERNAL_ISTIOD",), _NO_ISTIOD, harmless=_FALSE),
    *(_Reserved((name,), _NOT_READ, harmless=("",)) for name in ("ISTIO_WATCH_NAMESPACE", "PILOT_IGNORE_RESOURCES")),
    *(
        _Reserved((name,), "would switch off features that exports and imports need", harmless=_TRUE)
        for name in (
            "PILOT_ENABLE_GATEWAY_API",
            "PILOT_ENABLE_IP_AUTOALLOCATE",
            "PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES",
            "PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API",
        )
    ),
    *(
        _Reserved((name,), "would make istiod look in another place for the clusters under `discovery`")
        for name in ("LOCAL_CLUSTER_SECRET_WATCHER", "PILOT_MULTICLUSTER_KUBECONFIG_PATH")
    ),
)
"""Environment of istiod."""

_FLAGS = (
    *("domain", "clusterID", "clusterAliases", "clusterRegistriesNamespace", "registries", "namespace", "kubeconfig"),
    *("meshConfig", "networksConfig", "configDir", "caCertFile", "tlsCertFile", "tlsKeyFile"),
)
"""Arguments of istiod for what the stack file decides."""


def _below(section: tuple[str, ...], reserved: Iterable[_Reserved]) -> tuple[_Reserved, ...]:
    return tuple(_Reserved((*section, *each.keys), each.why, each.instead, each.harmless) for each in reserved)


_ANY_CHART = (
    _Reserved(("_internal_defaults_do_not_set",), "would replace the chart's defaults and bypass the checks of values"),
    _Reserved(("revision",), _REVISION, "istio.revision"),
)

_PROFILE = _Reserved(
    ("profile",),
    "would set values that this program or the stack file decides",
    harmless=("default", "demo", "minimal", "openshift", "preview", "stable"),
)

_MESH = (
    _Reserved(("trustDomain",), _ONE_NAME.format("trust domain"), "clusters.X.trustDomain"),
    _Reserved(
        ("trustDomainAliases",),
        "would merge the identities of several trust domains, so policies of exports could not distinguish them",
        harmless=([],),
    ),
    _Reserved(("caCertificates",), _ANY_CALLER),
    _Reserved(("enableAutoMtls",), "would let callers send plaintext, which every workload refuses", harmless=_TRUE),
    _Reserved(("ca",), _SIGNER),
    _Reserved(("configSources",), _NOT_READ),
    *_below(
        ("defaultConfig",),
        (
            _Reserved(("meshId",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
            _Reserved(("caCertificatesPem",), _ROOTS),
            _Reserved(("discoveryAddress",), _NO_ISTIOD),
            _Reserved(
                ("interceptionMode",),
                "would let calls bypass the proxies, which enforce exports",
                harmless=("REDIRECT", "TPROXY"),
            ),
        ),
    ),
    *_below(
        ("defaultConfig", "proxyMetadata"),
        (
            *_PROXY,
            _Reserved(("ISTIO_META_DNS_CAPTURE",), _CAPTURE, harmless=_TRUE),
            _Reserved(("ISTIO_META_DNS_AUTO_ALLOCATE",), _CAPTURE, harmless=_TRUE),
        ),
    ),
)

_GLOBAL = (
    _PROFILE,
    _Reserved(("network",), _NETWORK, "clusters.X.network"),
    _Reserved(("meshID",), _ONE_NAME.format("mesh"), "clusters.X.meshID"),
    _Reserved(("multiCluster", "clusterName"), _ONE_NAME.format("name"), "the keys under `clusters`"),
    _Reserved(
        ("meshNetworks",),
        "would declare the gateways of networks, which istiods discover by themselves",
        "clusters.X.network and clusters.X.gateway",
        harmless=({},),
    ),
    _Reserved(("proxy", "autoInject"), "would leave exported workloads without proxies", harmless=("enabled",)),
    _Reserved(("caAddress",), _SIGNER, harmless=("",)),
    _Reserved(("caName",), _SIGNER, harmless=("",)),
    _Reserved(("pilotCertProvider",), _SIGNER, harmless=("istiod",)),
    _Reserved(("mountMtlsCerts",), _SIGNER, harmless=_FALSE),
    _Reserved(("trustBundleName",), _ROOTS, harmless=("istio-ca-root-cert",)),
    _Reserved(("externalIstiod",), _NO_ISTIOD, harmless=_FALSE),
    _Reserved(("configCluster",), _NO_ISTIOD, harmless=_FALSE),
    _Reserved(("remotePilotAddress",), _NO_ISTIOD, harmless=("",)),
    _Reserved(("resourceScope",), _NO_ISTIOD, harmless=("all",)),
    _Reserved(("omitSidecarInjectorConfigMap",), "would leave exported workloads without proxies", harmless=_FALSE),
)

ISTIOD = (
    *_ANY_CHART,
    _PROFILE,
    *_below(("meshConfig",), _MESH),
    *_below(("global",), _GLOBAL),
    *_below(("env",), _ISTIOD),
    *_below(("pilot", "env"), _ISTIOD),
    *(
        _Reserved(keys, "would leave istiod without its mesh configuration, including the trust domain", harmless=_TRUE)
        for keys in (("configMap",), ("pilot", "configMap"))
    ),
    _Reserved(("istiodRemote", "enabled"), _NO_ISTIOD, harmless=_FALSE),
)
"""Reserved values of the istiod chart."""


def _gateway(labels: Mapping[str, str], is_east_west: bool) -> tuple[_Reserved, ...]:
    """List the reserved values of a gateway chart."""
    chosen = "selects the gateway's pods, in its Service and in the objects of exports and imports"
    network = _NETWORK if is_east_west else "would make it the east-west gateway of a network (pitfall 32)"
    return (
        *_ANY_CHART,
        _Reserved(("name",), "would rename the gateway, which other clusters look up by its name", harmless=("",)),
        _Reserved(
            ("networkGateway",),
            "would make it the gateway of the same network in every cluster, and expose istiod to other clusters",
            "clusters.X.network",
            harmless=("",),
        ),
        _Reserved(
            ("rbac", "enabled"),
            "would let the gateway read every Secret of its namespace, in Istio's the key of istiod's authority too",
            harmless=_FALSE,
        ),
        *(_Reserved(("labels", key), chosen, harmless=(value,)) for key, value in labels.items()),
        _Reserved(("labels", NAMESPACE_LABEL), chosen),
        _Reserved(("labels", NETWORK_LABEL), network, "clusters.X.network"),
        _Reserved(("labels", "istio.io/rev"), _REVISION, "istio.revision"),
        _Reserved(
            ("labels", GATEWAY_PORT_LABEL),
            "would make other clusters call this port of every gateway",
            "clusters.X.gateway.port",
        ),
        *_below(("env",), _PROXY),
    )


CHARTS: Mapping[str, tuple[_Reserved, ...]] = {
    "values": ISTIOD,
    "gatewayValues": _gateway(labels_of(NamespacedName(ISTIO_NAMESPACE, GATEWAY)), is_east_west=True),
    "egressValues": _gateway(labels_of(NamespacedName(ISTIO_NAMESPACE, EGRESS)), is_east_west=False),
}
"""Reserved values, by the key under `istio` that holds a chart's values."""

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
"""Sections in which charts look for keys without checking that they are mappings."""


def given_values(federation: Federation) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Yield the Helm values of the stack file: their key path, its last key, and the values."""
    for path, istio in federation.istio_settings:
        yield f"{path}.values", "values", istio.values
        yield f"{path}.gatewayValues", "gatewayValues", istio.gateway_values
        yield f"{path}.egressValues", "egressValues", istio.egress_values


def flags(federation: Federation, cluster: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the values of an environment variable of one cluster's istiod: key path, and value in lower case."""
    values = federation.istio_of(cluster).values
    for section, above in ((("pilot", "env"), values.get("pilot")), (("env",), values)):
        environment = above.get("env") if isinstance(above, dict) else None
        if isinstance(environment, dict) and name in environment:
            yield federation.istio_path(cluster, "values", *section, name), str(environment[name]).lower()


def no_value_is_reserved(federation: Federation) -> Iterator[Problem]:
    """A reserved value would make the running mesh differ from the one that was checked."""
    for where, key, values in given_values(federation):
        for reserved in CHARTS[key]:
            for path, value in _found(values, reserved.keys, where):
                if value not in reserved.harmless:
                    yield _reserved(path, kind_of(value), reserved)
        for path, name in _variables_from_objects(values, where):
            for reserved in CHARTS[key]:
                if reserved.keys in (("env", name), ("pilot", "env", name)):
                    yield _reserved(path, f"{name} from another object", reserved)
                    break


def _reserved(path: str, what: str, reserved: _Reserved) -> Problem:
    fix = f"remove it, and use {reserved.instead}" if reserved.instead else "remove it"
    return Problem(path, FederationRule.DECIDED_ELSEWHERE, f"{what} {reserved.why}", fix)


def _found(tree: object, keys: Sequence[str], where: str) -> Iterator[tuple[str, object]]:
    """Yield the values at some keys; MeshConfig accepts trustDomain and trust_domain."""
    if not keys:
        yield where, tree
    elif isinstance(tree, Mapping):
        for key, below in tree.items():
            if key.replace("_", "").lower() == keys[0].replace("_", "").lower():
                yield from _found(below, keys[1:], key_path(where, key))


def _variables_from_objects(values: Mapping[str, object], where: str) -> Iterator[tuple[str, str]]:
    """Yield the names of variables whose value is in another object."""
    for path, variable in _items(values, "envVarFrom", where):
        if isinstance(variable, Mapping):
            yield path, excerpt(variable.get("name"))


def _items(values: Mapping[str, object], key: str, where: str) -> Iterator[tuple[str, object]]:
    """Yield the items of a list; charts of older releases look for it under `pilot`."""
    for keys in ((key,), ("pilot", key)):
        for path, given in _found(values, keys, where):
            yield from ((f"{path}[{i}]", item) for i, item in enumerate(given if isinstance(given, list) else []))


def proxies_know_the_domain_of_their_cluster(federation: Federation) -> Iterator[Problem]:
    """Istiod and its proxies name Services by this value, and the cluster's DNS by its own domain."""
    keys = ("values", "global", "proxy", "clusterDomain")
    for name, cluster in federation.installed.items():
        for _, given in _found(federation.istio_of(name).values, keys[1:], ""):
            if given != cluster.cluster_domain:
                yield Problem(
                    federation.istio_path(name, *keys),
                    FederationRule.DECIDED_ELSEWHERE,
                    f"{kind_of(given)} would make proxies name the Services of {name} otherwise than the cluster does,"
                    f" whose domain is {cluster.cluster_domain}",
                    f"remove it, and use {cluster.path}.clusterDomain",
                )


_NAMESPACES = (
    (("global", "istioNamespace"), "would move Istio of {} out of {}"),
    (("meshConfig", "rootNamespace"), "would disable the mesh-wide policies of {} in {}, such as mutual TLS"),
)
"""Values that are Istio's namespace, and what another one would do."""


def values_have_the_namespace_of_istio(federation: Federation) -> Iterator[Problem]:
    """Objects of the mesh are where the stack file says that Istio is."""
    for settings, istio in federation.istio_settings:
        for keys, consequence in _NAMESPACES:
            for path, given in _found(istio.values, keys, f"{settings}.values"):
                concerned = _concerned(federation, settings)
                if moved := next((each for each in concerned if each.istio_namespace != given), None):
                    yield Problem(
                        path,
                        FederationRule.DECIDED_ELSEWHERE,
                        f"{kind_of(given)} {consequence.format(moved.name, moved.istio_namespace)}",
                        f"remove it, and use {settings}.namespace",
                    )


def _concerned(federation: Federation, settings: str) -> Iterator[Cluster]:
    """Yield the clusters that settings of Istio are for, by the key path of the settings."""
    for each in federation.installed.values():
        if settings in ("istio", f"{each.path}.istio"):
            yield each


_CNI = (("pilot", "cni", "enabled"), ("istio_cni", "enabled"))
"""Values by which injected pods rely on Istio's CNI plugin; releases before 1.24 have the second."""


def clusters_that_are_made_here_have_no_cni_plugin(federation: Federation) -> Iterator[Problem]:
    """Without the plugin, a pod that relies on it does not become ready: its init container istio-validation fails."""
    for name, cluster in federation.installed.items():
        for keys in _CNI if cluster.provider.ours else ():
            for _, given in _found(federation.istio_of(name).values, keys, ""):
                if given:
                    yield Problem(
                        federation.istio_path(name, "values", *keys),
                        FederationRule.ISTIO_CNI,
                        f"pods of {name} would rely on Istio's CNI plugin, and this stack makes that cluster without"
                        " it: they would not become ready",
                        "remove it; on an existing cluster, its owner installs the plugin (Istio's chart cni)",
                    )


def no_argument_is_reserved(federation: Federation) -> Iterator[Problem]:
    """Arguments win over the mesh configuration and over the environment."""
    for where, istio in federation.istio_settings:
        for path, argument in _items(istio.values, "extraContainerArgs", f"{where}.values"):
            name = str(argument).partition("=")[0].lstrip("-")
            if str(argument).startswith("-") and name in (*_FLAGS, "n"):
                problem = f"{excerpt(argument)} would override what the stack file decides"
                yield Problem(path, FederationRule.DECIDED_ELSEWHERE, problem, "remove the argument and its value")


_EXCLUDED = ("global", "proxy", "excludeInboundPorts")
_INCLUDED = ("global", "proxy", "includeInboundPorts")


def exported_ports_pass_the_proxy(federation: Federation) -> Iterator[Problem]:
    """A gateway does not inspect calls, so only the proxy of the called pod enforces the export."""
    for export in federation.exports:
        if export.cluster in federation.clusters:
            for keys, is_left_alone in ((_EXCLUDED, True), (_INCLUDED, False)):
                yield from _bypassed(federation, export, keys, is_left_alone)


def _bypassed(federation: Federation, export: Export, keys: tuple[str, ...], is_left_alone: bool) -> Iterator[Problem]:
    values = federation.istio_of(export.cluster).values
    for _, value in _found(values, keys, ""):
        listed = {port.strip() for port in str(value or "").split(",")}
        for port in export.ports:
            number = str(port.target_port or port.number)
            if (number in listed or "*" in listed) is is_left_alone:
                yield Problem(
                    federation.istio_path(export.cluster, "values", *keys),
                    FederationRule.DECIDED_ELSEWHERE,
                    f"{kind_of(value)} would let calls to port {number} of {export.service} bypass its proxy,"
                    f" which refuses callers that {export.path} does not name",
                    "let the proxy handle that port" if is_left_alone else f"add {number}",
                )


def sections_are_mappings(federation: Federation) -> Iterator[Problem]:
    """Helm's errors about other values do not name the key of the stack file."""
    for where, key, values in given_values(federation):
        for section in SECTIONS[key]:
            for path, value in _found(values, section, where):
                if not isinstance(value, Mapping):
                    yield Problem(
                        path,
                        FederationRule.VALUES_NOT_A_MAPPING,
                        f"the value is {kind_of(value)}, but Istio's charts look for keys here, so they could not be"
                        " rendered",
                        "write a mapping, for example {key: value}; or remove the key to use the chart's defaults",
                    )


RULES = (
    no_value_is_reserved,
    no_argument_is_reserved,
    proxies_know_the_domain_of_their_cluster,
    values_have_the_namespace_of_istio,
    clusters_that_are_made_here_have_no_cni_plugin,
    exported_ports_pass_the_proxy,
    sections_are_mappings,
)
