"""Names: they become Kubernetes objects, labels, host names and files, so they must be valid in all of them."""

import re
from collections.abc import Iterator, Mapping

from mesh_federation.plan.imports import is_beside_service
from mesh_federation.plan.injection import DEFAULT_NAMESPACE
from mesh_federation.plan.namespaces import RESERVED, reserved
from mesh_federation.stack.config import Cluster, ClusterIstio, Export, Federation, Import, NamespacedName
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import excerpt

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
LABEL_KEY = re.compile(rf"({SUBDOMAIN.pattern}/)?{LABEL_VALUE.pattern}")
DOCKER_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,511}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_OF_DOCKER = frozenset({"bridge", "default", "host", "none"})
_POD = re.compile(rf"(?P<set>{LABEL.pattern})-\d+\.(?P<service>{SERVICE.pattern})")
"""How a StatefulSet's pod is called below its Service."""

LABEL_LENGTH = 63
CLUSTER_LENGTH = 30  # <name>-xxxxxx-control-plane is a host name, <name> is part of longer resource names
EXISTING_LENGTH = LABEL_LENGTH - len("-network")  # no node is named after it; <name>-network is a label value

_RFC1123 = "lower-case letters, digits and dashes, starting and ending with a letter or digit (RFC 1123)"


def cluster_names_fit(federation: Federation) -> Iterator[Problem]:
    """A cluster's name is part of host names and of the names of objects."""
    for name, cluster in federation.clusters.items():
        own = f", and write context: {name}" if cluster.is_existing and not cluster.context else ""
        longest, what = (EXISTING_LENGTH, "objects") if cluster.is_existing else (CLUSTER_LENGTH, "nodes and objects")
        if len(name) > longest:
            yield Problem(
                cluster.path,
                FederationRule.NAME_TOO_LONG,
                f"{name} has {len(name)} characters; {_limit(cluster)}",
                f"give the cluster a name of at most {longest} characters{own}",
            )
        if not LABEL.fullmatch(name):
            yield Problem(
                cluster.path,
                FederationRule.INVALID_NAME,
                f'the cluster name "{name}" is not a valid host name label, so its {what} could not be named after it',
                f"use {_RFC1123}{_suggestion(name[:longest])}{own}",
            )


def _limit(cluster: Cluster) -> str:
    if cluster.is_existing:
        return f"its network, {cluster.name}-network, becomes a label value, which has at most {LABEL_LENGTH}"
    return (
        f"the host name of its node, {cluster.name}-xxxxxx-control-plane, may have at most {LABEL_LENGTH}, and names of"
        " other objects are even longer"
    )


def from_name(cluster: Cluster, value: str) -> bool:
    """Say whether a value was derived from the cluster's name, so that a problem with it is reported for the name."""
    name = cluster.name
    return value in (name, f"{name}-network", f"{name}-mesh", f"{name}.local")


def fitting(name: str) -> str:
    """Turn a name into a valid label, as a suggestion."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")


def cluster_names_differ(federation: Federation) -> Iterator[Problem]:
    """Host names ignore case, so names that differ only in case are the same name."""
    seen: dict[str, str] = {}
    for name, cluster in federation.clusters.items():
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield Problem(
                cluster.path,
                FederationRule.CLUSTER_NAME_TAKEN,
                f"clusters {first} and {name} differ only in case; host names and some file systems ignore case",
                f"rename one of them, for example {name.lower()}-2",
            )


def _suggestion(name: str) -> str:
    label = fitting(name)
    return f", for example {label}" if label and label != name else ""


def services_fit(federation: Federation) -> Iterator[Problem]:
    """The name and namespace of a service are labels of its host name."""
    entries: tuple[Export | Import, ...] = (*federation.exports, *federation.imports)
    for entry in entries:
        yield from _service(f"{entry.path}.service", entry.service)
        if entry.service_account is not None:
            yield from _account(f"{entry.path}.serviceAccount", entry.service_account)
    for export in federation.exports:
        for consumer in export.to:
            for number, account in enumerate(consumer.service_accounts or ()):
                path = f"{consumer.path}.serviceAccounts[{number}]"
                yield from _label(path, "namespace", account.namespace)
                yield from _account(path, account.name)


def _service(path: str, service: NamespacedName) -> Iterator[Problem]:
    yield from _label(path, "namespace", service.namespace)
    if len(service.name) > LABEL_LENGTH:
        yield _too_long(path, "service name", service.name)
    elif single := _POD.fullmatch(service.name):
        yield Problem(
            path,
            FederationRule.SINGLE_POD,
            f"{service.name} is a pod of the StatefulSet {single['set']}; clusters export Services, not single pods",
            f"export {service.namespace}/{single['service']}, or create a Service for the pod",
        )
    elif not SERVICE.fullmatch(service.name):
        yield Problem(
            path,
            FederationRule.INVALID_NAME,
            f'"{service.name}" cannot be the name of a Service: Kubernetes accepts host name labels only (RFC 1035)',
            f"use lower-case letters, digits and dashes, starting with a letter{_suggestion(service.name)}",
        )


def _label(path: str, what: str, value: str) -> Iterator[Problem]:
    if len(value) > LABEL_LENGTH:
        yield _too_long(path, what, value)
    elif not LABEL.fullmatch(value):
        problem = f'"{value}" cannot be the name of a {what}: Kubernetes accepts host name labels only'
        yield Problem(path, FederationRule.INVALID_NAME, problem, f"use {_RFC1123}{_suggestion(value)}")


def _account(path: str, value: str) -> Iterator[Problem]:
    if len(value) > 253:
        yield _too_long(path, "service account", value, 253)
    elif not SUBDOMAIN.fullmatch(value):
        problem = f'"{value}" cannot be the name of a service account, so no caller would ever match'
        yield Problem(path, FederationRule.INVALID_NAME, problem, f"use {_RFC1123}{_suggestion(value)}")


def _too_long(path: str, what: str, value: str, limit: int = LABEL_LENGTH) -> Problem:
    problem = f"the {what} {value[:20]}... has {len(value)} characters; Kubernetes accepts at most {limit}"
    return Problem(path, FederationRule.NAME_TOO_LONG, problem, f"use a name of at most {limit} characters")


def label_values_fit(federation: Federation) -> Iterator[Problem]:
    """Istio networks, mesh IDs and pod selectors become label values."""
    for cluster in federation.clusters.values():
        if cluster.network and not from_name(cluster, cluster.network):
            yield from _label_value(f"{cluster.path}.network", "network", cluster.network)
        if not from_name(cluster, cluster.mesh_id):
            yield from _label_value(f"{cluster.path}.meshID", "mesh ID", cluster.mesh_id)
    for export in federation.exports:
        for key, value in export.selector.items():
            path = f"{export.path}.selector"
            if not LABEL_KEY.fullmatch(key):
                problem = f'"{key}" cannot be the key of a Kubernetes label, so the selector would match no pod'
                yield Problem(
                    path, FederationRule.INVALID_NAME, problem, "write the key as the labels of the pods have it"
                )
            if value:
                yield from _label_value(f"{path}.{key}", "label value", value)


def _label_value(path: str, what: str, value: str) -> Iterator[Problem]:
    if len(value) > LABEL_LENGTH:
        problem = (
            f"the {what} {value[:20]}... has {len(value)} characters; it becomes a label value, which has at most 63"
        )
        yield Problem(path, FederationRule.NAME_TOO_LONG, problem, "use a name of at most 63 characters")
    elif not LABEL_VALUE.fullmatch(value):
        problem = f'the {what} "{value}" is not a valid label value, so Kubernetes would refuse it'
        fix = "use letters, digits, dashes, dots and underscores, starting and ending with a letter or digit"
        yield Problem(path, FederationRule.INVALID_NAME, problem, fix)


def workload_namespaces_fit(federation: Federation) -> Iterator[Problem]:
    """Sample workloads stay out of the namespaces of Kubernetes, Istio and MetalLB."""
    for workload in federation.workloads:
        namespace = workload.reference.namespace
        yield from _label(f"{workload.path}.namespace", "namespace", namespace)
        if owner := _owners(federation, workload.cluster).get(namespace):
            free = workload.sample if namespace != workload.sample else "samples"
            yield Problem(
                f"{workload.path}.namespace",
                FederationRule.RESERVED_NAMESPACE,
                f"{namespace} belongs to {owner} and gets no"
                f" sidecars, so {workload.sample} would not be in the mesh of {workload.cluster}",
                f"use another namespace, for example {free}",
            )


def exports_stay_out_of_reserved_namespaces(federation: Federation) -> Iterator[Problem]:
    """Exported services and their callers are in the mesh; policies in Istio's root namespace apply to all of it."""
    for export in federation.exports:
        if owner := _owners(federation, export.cluster).get(export.service.namespace):
            yield Problem(
                f"{export.path}.service",
                FederationRule.RESERVED_NAMESPACE,
                _why_reserved(export.service, owner),
                "remove this export",
            )
        for consumer in export.to:
            for number, account in enumerate(consumer.service_accounts or ()):
                if account.namespace in RESERVED:
                    yield Problem(
                        f"{consumer.path}.serviceAccounts[{number}]",
                        FederationRule.RESERVED_NAMESPACE,
                        f"{account.namespace} belongs to {RESERVED[account.namespace]} and gets no sidecars, so no pod"
                        f" has the identity {account}",
                        "name a service account of a namespace in the mesh, or remove this one",
                    )


def _owners(federation: Federation, cluster: str) -> Mapping[str, str]:
    """Return what the reserved namespaces of a cluster belong to; none of one that is not declared."""
    declared = federation.clusters.get(cluster)
    return reserved(declared) if declared else {}


def imports_stay_out_of_reserved_namespaces(federation: Federation) -> Iterator[Problem]:
    """Objects beside a Service are in its namespace, which is the mesh's own where that is so in the importer."""
    for link in federation.imports:
        owner = _owners(federation, link.cluster).get(link.service.namespace)
        is_known = federation.export(link.source, link.service) is not None
        if owner and is_known and is_beside_service(federation, link):
            yield Problem(
                f"{link.path}.service",
                FederationRule.RESERVED_NAMESPACE,
                f"{link.service.namespace} belongs to {owner} in {link.cluster}, and the import would put objects of"
                f" {link.service.name} there",
                "import it under a `host` of its own, or let the exporter export it from another namespace",
            )


def _why_reserved(service: NamespacedName, owner: str) -> str:
    if owner == "Istio":
        return (
            f"{service.namespace} is Istio's own namespace: the policy that protects {service.name} would apply to"
            " matching pods of every namespace"
        )
    return (
        f"{service.namespace} belongs to {owner} and gets no sidecars, so nothing would check the callers of"
        f" {service.name}"
    )


def workloads_differ(federation: Federation) -> Iterator[Problem]:
    """A sample is declared once per namespace of a cluster."""
    seen: dict[tuple[str, NamespacedName], str] = {}
    for workload in federation.workloads:
        first = seen.setdefault((workload.cluster, workload.reference), workload.path)
        if first != workload.path:
            yield Problem(
                workload.path,
                FederationRule.DUPLICATE_WORKLOAD,
                f"{first} declares {workload.reference} in {workload.cluster} too, and both would be the same"
                " Deployment",
                "remove one of them, or change its namespace",
            )


def lab_network_fits(federation: Federation) -> Iterator[Problem]:
    """The lab creates a Docker network, so it cannot use one of Docker's predefined networks."""
    if federation.lab.network in _OF_DOCKER:
        problem = f"{federation.lab.network} is a predefined network of Docker, which gives no fixed addresses"
        yield Problem(
            "lab.network", FederationRule.RESERVED_NETWORK, problem, "use another name, for example mesh-federation"
        )
    elif not DOCKER_NETWORK.fullmatch(federation.lab.network):
        problem = f'"{federation.lab.network}" is not a valid name of a Docker network'
        fix = "use letters, digits, dots, dashes and underscores, starting with a letter or digit"
        yield Problem("lab.network", FederationRule.INVALID_NAME, problem, fix)


def images_fit(federation: Federation) -> Iterator[Problem]:
    """Programs would read an invalid image reference as an option, or fail late."""
    images = federation.images
    given = {f"images.{key}": value for key, value in images.model_dump().items()}
    given |= {f"{cluster.path}.image": cluster.image for cluster in federation.clusters.values()}
    given |= {f"{workload.path}.image": workload.image for workload in federation.workloads}
    given |= {f"{path}.hub": istio.hub or None for path, istio in federation.istio_settings}
    given |= {f"{path}.tag": istio.tag or None for path, istio in federation.istio_settings}
    for path, value in given.items():
        form = TAG if path.endswith("istio.tag") else IMAGE
        if value is not None and not form.fullmatch(value):
            problem = f'"{excerpt(value)}" is not a valid image {"tag" if form is TAG else "name"}'
            example = "1.31.0" if form is TAG else "mirror.example/path/name:tag"
            yield Problem(path, FederationRule.BAD_IMAGE, problem, f"write it as {example}; or remove the key")


def paths_fit(federation: Federation) -> Iterator[Problem]:
    """An empty path would mean the working directory, and one that starts with a dash an option."""
    given = {
        **{f"{path}.charts": istio.charts for path, istio in federation.istio_settings if istio.charts is not None},
        "istio.gatewayApi": federation.istio.gateway_api,
        "lab.metallbManifest": federation.lab.metallb_manifest,
    }
    for path, value in given.items():
        if not value.strip() or value.startswith("-") or not value.isprintable():
            problem = f'"{excerpt(value)}" is not the path of a file or folder'
            yield Problem(
                path,
                FederationRule.BAD_PATH,
                problem,
                "write a path, or remove the key to use the release that the toolchain pins",
            )


def revision_fits(federation: Federation) -> Iterator[Problem]:
    """Istio's revision is a label value and part of the names of objects."""
    for path, istio in federation.istio_settings:
        if istio.revision and not LABEL.fullmatch(istio.revision):
            problem = f'the revision "{istio.revision}" cannot be part of the name of a Service, istiod-<revision>'
            fix = f"use {_RFC1123}{_suggestion(istio.revision)}"
            yield Problem(f"{path}.revision", FederationRule.INVALID_NAME, problem, fix)


def istio_namespaces_fit(federation: Federation) -> Iterator[Problem]:
    """The namespace of istiod has a valid name; this stack installs it in none of the cluster itself."""
    for path, istio in federation.istio_settings:
        if istio.namespace is not None:
            yield from _label(f"{path}.namespace", "namespace", istio.namespace)
            is_of_others = isinstance(istio, ClusterIstio) and not istio.install
            if istio.namespace in (DEFAULT_NAMESPACE, *RESERVED) and not is_of_others:
                yield Problem(
                    f"{path}.namespace",
                    FederationRule.RESERVED_NAMESPACE,
                    f"{istio.namespace} belongs to {RESERVED.get(istio.namespace, 'Kubernetes')}, and every workload"
                    " there would be beside the key of istiod's authority",
                    "name a namespace for Istio alone, or remove the key to use istio-system",
                )


def link_namespaces_fit(federation: Federation) -> Iterator[Problem]:
    """What links share in a mesh of others is in a namespace that its owner makes for it, or in Istio's."""
    for cluster in federation.clusters.values():
        path, namespace = f"{cluster.path}.istio.linkNamespace", cluster.istio.link_namespace
        if namespace is None:
            continue
        yield from _label(path, "namespace", namespace)
        if namespace in RESERVED:
            yield Problem(
                path,
                FederationRule.RESERVED_NAMESPACE,
                f"{namespace} belongs to {RESERVED[namespace]}, and no gateway of a mesh runs there",
                "name a namespace that the owner of the cluster makes for this stack",
            )


RULES = (
    cluster_names_fit,
    cluster_names_differ,
    services_fit,
    label_values_fit,
    workload_namespaces_fit,
    exports_stay_out_of_reserved_namespaces,
    imports_stay_out_of_reserved_namespaces,
    workloads_differ,
    lab_network_fits,
    images_fit,
    paths_fit,
    revision_fits,
    istio_namespaces_fit,
    link_namespaces_fit,
)
