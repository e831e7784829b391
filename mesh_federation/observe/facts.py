"""The facts of a mesh that belongs to others, from what its cluster holds.

Sources: Istio's charts (names of ConfigMaps by revision), MeshConfig and its defaults, Kubernetes' label selectors.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mesh_federation.clusters.settings import CLUSTER_DOMAIN
from mesh_federation.observe.contents import Contents, Istiod
from mesh_federation.stack import pem, yaml_reader
from mesh_federation.stack.config import ISTIO_NAMESPACE, ObservedMesh
from mesh_federation.stack.tree import Tree, merged

SKIPPED = "PILOT_SKIP_VALIDATE_TRUST_DOMAIN"
SHARED = "SHARED_MESH_CONFIG"
"""Names a second ConfigMap with mesh configuration, over which istiod lays that of its revision (pilot-discovery)."""
CAPTURE = "ISTIO_META_DNS_CAPTURE"


class Unobservable(Exception):
    """A cluster holds no Istio that could be federated.

    Attributes:
        problem: what is wrong.
        fix: what to do.
    """

    def __init__(self, problem: str, fix: str) -> None:
        """Keep the problem and the fix."""
        super().__init__(problem)
        self.problem, self.fix = problem, fix


@dataclass(frozen=True)
class Observation:
    """A mesh that was read.

    Attributes:
        mesh: the facts.
        installer: how its owner seems to install Istio.
    """

    mesh: ObservedMesh
    installer: str


def observation(contents: Contents) -> Observation:
    """Find the facts of a mesh in what its cluster holds.

    Raises:
        Unobservable: its configuration cannot be read.
    """
    istiod = contents.istiod
    config = _mesh_config(contents, istiod)
    values = _section(_values(contents, istiod), "global")
    root = str(config.get("rootNamespace") or ISTIO_NAMESPACE)
    fields = {
        "clusterUID": contents.uid,
        "kubernetes": contents.kubernetes,
        "version": _release(istiod),
        "revision": istiod.revision,
        "namespace": istiod.metadata.namespace,
        "rootNamespace": root,
        "clusterDomain": str(_section(values, "proxy").get("clusterDomain") or CLUSTER_DOMAIN),
        "trustDomain": str(config.get("trustDomain") or "cluster.local"),
        "trustDomainAliases": [str(each) for each in config.get("trustDomainAliases") or ()],
        "meshID": str(values.get("meshID") or ""),
        "network": str(values.get("network") or ""),
        "roots": _roots(contents, istiod),
        "mutualTLS": _mutual_tls(contents, root),
        "dnsCapture": _captures_dns(config),
        "trustDomainValidation": _variable(istiod, SKIPPED).lower() not in ("true", "1"),
        "ambient": contents.has_ztunnel,
        "namespaces": _selected(contents, config.get("discoverySelectors")),
        "filters": sorted(str(each.metadata.reference) for each in contents.filters if each.binds),
    }
    given = {key: value for key, value in fields.items() if value is not None}
    try:
        mesh = ObservedMesh.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unobservable(
            f"the value of {where} is of a form that this program does not know",
            "please report it as a bug in mesh-federation, with the release of Istio",
        ) from None
    return Observation(mesh, _installer(istiod))


def chosen(istiods: Sequence[Istiod], revision: str | None, namespace: str | None) -> Istiod:
    """Return the istiod that is meant.

    Args:
        istiods: of a cluster.
        revision: of the one that is meant; None: the only one, or the default one.
        namespace: of it; None: any.

    Raises:
        Unobservable: there is none, or there are several.
    """
    if not istiods:
        raise Unobservable(
            "there is no istiod: no Deployment has the label app=istiod",
            "let its owner install Istio; or let this stack install it (remove `install: false`)",
        )
    placed = [each for each in istiods if namespace in (None, each.metadata.namespace)]
    wanted = revision if revision is not None else "" if len(placed) != 1 else placed[0].revision
    found = [each for each in placed if each.revision == wanted]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(f"{each.revision or 'default'} in {each.metadata.namespace}" for each in istiods))
    where = f" in {namespace}" if namespace is not None else ""
    raise Unobservable(
        f"there {'are several istiods' if found else 'is no istiod'} of revision {wanted or 'default'}{where};"
        f" revisions: {known}",
        "write the one that injects the linked workloads as `istio: {install: false, revision: ..., namespace: ...}`",
    )


def _suffix(istiod: Istiod) -> str:
    return f"-{istiod.revision}" if istiod.revision else ""


def _config_map(contents: Contents, istiod: Istiod, name: str, key: str) -> str:
    for each in contents.config_maps:
        if (each.metadata.namespace, each.metadata.name) == (istiod.metadata.namespace, name):
            return each.data.get(key, "")
    return ""


def _mesh_config(contents: Contents, istiod: Istiod) -> Tree:
    """Read the mesh configuration, over the one that revisions share; without any istiod has its defaults."""
    names = [name for name in (_variable(istiod, SHARED), f"istio{_suffix(istiod)}") if name]
    layers = [_parsed(name, _config_map(contents, istiod, name, "mesh")) for name in names]
    aliases = {str(alias): None for layer in layers for alias in layer.get("trustDomainAliases") or ()}
    config: Tree = {}
    for layer in layers:
        config = merged(config, layer)
    return {**config, "trustDomainAliases": list(aliases)}  # istiod unites these, and replaces other lists


def _values(contents: Contents, istiod: Istiod) -> Tree:
    """Read the Helm values with which proxies are injected; JSON is YAML."""
    name = f"istio-sidecar-injector{_suffix(istiod)}"
    return _parsed(name, _config_map(contents, istiod, name, "values"))


def _parsed(name: str, text: str) -> Tree:
    try:
        tree = yaml_reader.read(text.encode()) if text.strip() else {}
    except yaml_reader.Unreadable as unreadable:
        tree, why = None, unreadable.problems[0].what
    else:
        why = "it is not a mapping"
    if not isinstance(tree, Mapping):
        raise Unobservable(f"the ConfigMap {name} of istiod cannot be read: {why}", "look at it with kubectl")
    return tree


def _section(tree: Tree, *keys: str) -> Tree:
    found: object = tree
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _release(istiod: Istiod) -> str:
    """Return the release: from the chart's label, else from the image."""
    labels = istiod.metadata.labels
    images = [each.image.rpartition(":")[2] for each in istiod.spec.template.spec.containers]
    for text in (labels.get("app.kubernetes.io/version", ""), *images):
        if found := re.match(r"1\.\d{1,3}\.\d{1,3}", text):
            return found[0]
    raise Unobservable(
        f"the release of istiod cannot be read: {', '.join(images) or 'it has no container'} names none",
        "let its owner use an image whose tag begins with the release, or the chart's label app.kubernetes.io/version",
    )


def _roots(contents: Contents, istiod: Istiod) -> list[str]:
    """Return the roots that every namespace has, each once."""
    text = _config_map(contents, istiod, "istio-ca-root-cert", "root-cert.pem")
    if not (roots := sorted(set(pem.certificates(text)))):
        raise Unobservable(
            f"the ConfigMap istio-ca-root-cert of {istiod.metadata.namespace} holds no root",
            "wait until istiod runs; where an external authority signs, its owner must let istiod hand out the root",
        )
    return roots


def _mutual_tls(contents: Contents, root: str) -> str:
    modes = [
        each.spec.mtls.mode if each.spec.mtls else "UNSET"
        for each in sorted(contents.policies, key=lambda policy: policy.metadata.name)
        if each.metadata.namespace == root and not each.spec.selector
    ]
    known = [mode for mode in modes if mode != "UNSET"]
    return known[0] if known else "PERMISSIVE"


def _captures_dns(config: Tree) -> bool:
    value = _section(config, "defaultConfig", "proxyMetadata").get(CAPTURE, "")
    return str(value).lower() == "true"


def _variable(istiod: Istiod, name: str) -> str:
    variables = (each for container in istiod.spec.template.spec.containers for each in container.env)
    return next((each.value for each in variables if each.name == name), "")


def _selected(contents: Contents, selectors: Any) -> list[str] | None:  # noqa: ANN401 - a part of a tree
    """Return the namespaces that discovery selectors select; None where there are no selectors."""
    if not isinstance(selectors, list) or not selectors:
        return None
    return sorted(
        each.metadata.name
        for each in contents.namespaces
        if any(_matches(each.metadata.labels, selector) for selector in selectors)
    )


def _matches(labels: Mapping[str, str], selector: Tree) -> bool:
    """Say whether labels satisfy a selector of Kubernetes."""
    wanted = _section(selector, "matchLabels")
    conditions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _satisfies(labels.get(str(each.get("key"))), each) for each in conditions
    )


def _satisfies(value: str | None, condition: Tree) -> bool:
    values = condition.get("values") or ()
    outcome = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return outcome.get(str(condition.get("operator")), False)


def _installer(istiod: Istiod) -> str:
    """Say how Istio was installed, as far as its objects tell."""
    labels, annotations = istiod.metadata.labels, istiod.metadata.annotations
    if any(each.kind in ("IstioRevision", "Istio") for each in istiod.metadata.owner_references):
        return "the Sail operator"
    if release := annotations.get("meta.helm.sh/release-name"):
        return f"Helm, release {release}"
    if labels.get("install.operator.istio.io/owning-resource", "unknown") != "unknown":
        return "istioctl (IstioOperator)"
    return "unknown means"


def differences(declared: ObservedMesh, found: ObservedMesh) -> Iterator[str]:
    """Yield what changed in a mesh since it was observed, each in one line."""
    for name, field in type(declared).model_fields.items():
        before, after = getattr(declared, name), getattr(found, name)
        if before == after:
            continue
        key = field.alias or name
        if name == "roots":
            yield f"{key}: {len(set(after) - set(before))} new, {len(set(before) - set(after))} gone"
        else:
            yield f"{key}: {_shown(before)} before, {_shown(after)} now"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value) or "none"
