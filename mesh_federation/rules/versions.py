"""Releases of Istio and Kubernetes: which ones work, and which features need which."""

import re
from collections.abc import Iterator

from mesh_federation.plan.istio_values import ALPHA_GATEWAY_API, TLS_LISTENERS_DEFAULT
from mesh_federation.rules.istio_values import flags
from mesh_federation.stack.config import Cluster, Federation, Istio
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule

_OLDEST = (1, 22, 1)
_NEWEST = tuple(int(part) for part in Istio().version.split(".")[:2])
"""The newest release that this program was tested with, which is its default."""
_KUBERNETES = range(27, 38)
"""Minor releases that one of those Istio releases supports or works with (istio.io: supported releases)."""
_GLOBAL = (1, 23)
_READS_CONFIG_MAPS = (1, 26)
_UNSET_NETWORK = (1, 30)
_SKEW = 2


def _release(federation: Federation, cluster: Cluster) -> str:
    return federation.istio_release(cluster.name)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def releases_are_recent(federation: Federation) -> Iterator[Problem]:
    """Older releases drop calls when the gateway's listener is created after the STRICT policy."""
    for cluster in federation.clusters.values():
        release = _release(federation, cluster)
        if tuple(int(part) for part in release.split("-")[0].split(".")) < _OLDEST:
            yield Problem(
                federation.istio_path(cluster.name, "version"),
                FederationRule.ISTIO_TOO_OLD,
                f"Istio {release} is older than {_dotted(_OLDEST)}: its gateways drop calls from other clusters until"
                " they restart (istio#50757, pitfall 18)",
                f"use {_dotted(_OLDEST)} or later",
            )


def releases_are_known(federation: Federation) -> Iterator[Problem]:
    """The charts and objects of later releases may differ."""
    for cluster in federation.clusters.values():
        if federation.istio_version(cluster.name) > _NEWEST:
            yield Problem(
                federation.istio_path(cluster.name, "version"),
                FederationRule.ISTIO_TOO_NEW,
                f"Istio {_release(federation, cluster)} is newer than {_dotted(_NEWEST)}, the newest release that"
                " this program was tested with: its charts and objects may differ",
                f"use {_dotted(_OLDEST)} to {_dotted(_NEWEST)}",
            )
        minor = re.match(r"v?1\.(\d+)", cluster.kubernetes_version)
        if minor and int(minor[1]) not in _KUBERNETES:
            yield Problem(
                f"{cluster.path}.kubernetesVersion",
                FederationRule.KUBERNETES_UNSUPPORTED,
                f"no Istio release from {_dotted(_OLDEST[:2])} to {_dotted(_NEWEST)} supports Kubernetes"
                f" {cluster.kubernetes_version}, and this program was not tested with it",
                f"use 1.{_KUBERNETES[0]} to 1.{_KUBERNETES[-1]}",
            )


def releases_are_close(federation: Federation) -> Iterator[Problem]:
    """Istio tests only neighbouring releases together."""
    clusters = sorted(federation.clusters.values(), key=lambda c: (federation.istio_version(c.name), c.name))
    oldest, newest = clusters[0], clusters[-1]
    low, high = federation.istio_version(oldest.name), federation.istio_version(newest.name)
    if high[1] - low[1] > _SKEW:
        yield Problem(
            federation.istio_path(oldest.name, "version"),
            FederationRule.VERSION_SKEW,
            f"{oldest.name} runs Istio {_dotted(low)} and {newest.name} runs {_dotted(high)}: they are more than"
            f" {_SKEW} minor releases apart, a combination that Istio does not test",
            f"upgrade {oldest.name} to {high[0]}.{high[1] - _SKEW} or later",
        )


def global_hosts_are_supported(federation: Federation) -> Iterator[Problem]:
    """For endpoints without addresses, istiod must look up the remote gateway by its network."""
    for link in federation.imports:
        cluster = federation.clusters.get(link.cluster)
        if cluster is None or federation.istio_version(cluster.name) >= _GLOBAL:
            continue
        if link.mode != "global" and link.api != "gateway":
            continue
        option = "`as: global`" if link.mode == "global" else "with `api: gateway`"
        yield Problem(
            link.path,
            FederationRule.GLOBAL_VERSION,
            f"{link.cluster} imports {link.service} {option}, which needs Istio {_dotted(_GLOBAL)} to look up"
            f" the gateway of {link.source} by its network; {link.cluster} runs {_release(federation, cluster)}",
            f"use Istio {_dotted(_GLOBAL)} or later in {link.cluster}, or write `as: remote` and `api: istio`",
        )


def networks_are_set(federation: Federation) -> Iterator[Problem]:
    """Before Istio 1.30, a proxy without network does not use the gateways of other networks."""
    for cluster in federation.clusters.values():
        if not cluster.network and federation.istio_version(cluster.name) < _UNSET_NETWORK:
            yield Problem(
                f"{cluster.path}.network",
                FederationRule.UNSET_NETWORK_VERSION,
                f"{cluster.name} has an empty network and runs Istio {_release(federation, cluster)}; before"
                f" {_dotted(_UNSET_NETWORK)} its proxies would not use the gateways of other networks (pitfall 30)",
                f"write a name, for example {cluster.name}-network, or remove the key",
            )


def tls_listeners_are_enabled(federation: Federation) -> Iterator[Problem]:
    """Up to Istio 1.29, a flag enables TLS listeners of the Gateway API; values must not switch it off."""
    refused: set[str] = set()
    for link in federation.imports:
        for cluster in (federation.clusters.get(name) for name in (link.cluster, link.source)):
            if not cluster or link.api != "gateway" or federation.istio_version(cluster.name) >= TLS_LISTENERS_DEFAULT:
                continue
            flagged = flags(federation, cluster.name, ALPHA_GATEWAY_API)
            path = next((path for path, value in flagged if value == "false"), "")
            if path and path not in refused:
                refused.add(path)
                yield Problem(
                    path,
                    FederationRule.TLS_LISTENER_FLAG,
                    f"false switches off what {link.path} needs: before Istio {_dotted(TLS_LISTENERS_DEFAULT)}, istiod"
                    f" ignores TLS listeners of the Gateway API without this flag (pitfall 24), and {cluster.name} runs"
                    f" {_release(federation, cluster)}",
                    f"remove the value, or use Istio {_dotted(TLS_LISTENERS_DEFAULT)}, or write api: istio",
                )


def discovery_needs_no_further_permissions(federation: Federation) -> Iterator[Problem]:
    """Istio 1.26 reads all ConfigMaps of remote clusters, which other releases do not."""
    for link in federation.discovery:
        cluster = federation.clusters.get(link.cluster)
        if cluster and federation.istio_version(cluster.name) == _READS_CONFIG_MAPS:
            yield Problem(
                link.path,
                FederationRule.DISCOVERY_VERSION,
                f"{cluster.name} runs Istio {_release(federation, cluster)}, whose istiod waits until it has read every"
                f" ConfigMap of {link.of}; it has no permission for that, so {link.of} would never be synced",
                f"use another Istio release than {_dotted(_READS_CONFIG_MAPS)} in {cluster.name}",
            )


RULES = (
    releases_are_recent,
    releases_are_known,
    releases_are_close,
    global_hosts_are_supported,
    discovery_needs_no_further_permissions,
    networks_are_set,
    tls_listeners_are_enabled,
)
