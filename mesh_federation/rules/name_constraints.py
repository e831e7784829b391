"""Names in certificates: whether istiod can read them, and whether name constraints permit those of a mesh.

Source: RFC 5280, 4.2.1.10, as Go (crypto/x509) and BoringSSL (crypto/x509/v3_ncons.c) implement it; a name must pass
in both. For Go, `corp.example` covers itself and all subdomains; for BoringSSL, in constraints of URIs, only itself.
With a leading dot, both cover only subdomains.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from cryptography.x509 import (
    Certificate,
    DirectoryName,
    DNSName,
    Extension,
    ExtensionNotFound,
    GeneralName,
    IPAddress,
    Name,
    NameConstraints,
    RFC822Name,
    SubjectAlternativeName,
)
from cryptography.x509 import UniformResourceIdentifier as Uri

from mesh_federation.stack.certificates import title
from mesh_federation.stack.config import Federation
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import AuthorityRule

SERVERS = ("istiod", "istiod-remote", "istio-pilot")
"""Names of istiod's Services (getDNSNames in Istio's pilot/pkg/bootstrap/server.go)."""
_LABELS = r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*"
_TEXTS = {
    "UTF8String": re.compile(".*", re.DOTALL),
    "T61String": re.compile(".*", re.DOTALL),
    "BMPString": re.compile(".*", re.DOTALL),
    "IA5String": re.compile("[\0-\x7f]*"),
    "PrintableString": re.compile(r"[A-Za-z0-9 '()+,./:=?*&-]*"),
    "NumericString": re.compile("[0-9 ]*"),
}
"""String types that Go reads in a subject, with the characters that each may hold."""
_NAMES: dict[type[GeneralName], re.Pattern[str]] = {
    Uri: re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:(//({_LABELS}|\[[0-9a-fA-F:.]+\])?(:[0-9]*)?(/[!-~]*)?|[!-.0-~][!-~]*)"),
    DNSName: re.compile("[!-~]*"),
    RFC822Name: re.compile("[!-?A-~]+@[!-?A-~]+"),
}
_SUBTREES: dict[type[GeneralName], re.Pattern[str]] = {
    Uri: re.compile(rf"(\.?{_LABELS})?"),
    DNSName: re.compile(rf"(\.?{_LABELS})?"),
    RFC822Name: re.compile(rf"([!-?A-~]+@)?(\.?{_LABELS})?"),
}
FIX = "issue it without nameConstraints, or with nameConstraints that permit this name"


@dataclass(frozen=True)
class _Need:
    """A name of a certificate that an authority signs.

    Attributes:
        name: the name.
        whose: a description of the certificate.
    """

    name: GeneralName
    whose: str


def unreadable(certificate: Certificate) -> str:
    """Return a name in a certificate that Go cannot read; empty if there is none."""
    for attribute in (*certificate.subject, *certificate.issuer):
        pattern, value = _TEXTS.get(attribute._type.name), attribute.value
        if pattern is None or not isinstance(value, str) or not pattern.fullmatch(value):
            return str(value)
    constraints = _constraints(certificate)
    limits = constraints.value if constraints else None
    subtrees = [*(limits.permitted_subtrees or []), *(limits.excluded_subtrees or [])] if limits else []
    for patterns, names in ((_NAMES, list(_names(certificate))), (_SUBTREES, subtrees)):
        for name in names:
            if type(name) in patterns and not patterns[type(name)].fullmatch(str(name.value)):
                return str(name.value)
    return ""


def names_of_mesh(federation: Federation, cluster: str) -> Iterator[_Need]:
    """Yield the names that one cluster's istiod signs: those of workloads and its own."""
    own = federation.clusters[cluster]
    yield workloads_of(own.trust_domain)
    revision = federation.istio_of(cluster).revision
    servers = [*SERVERS, *([f"istiod-{revision}"] if revision not in ("", "default") else [])]
    for server in servers:
        name = f"{server}.{own.istio_namespace}.svc"
        yield _Need(DNSName(name), f"istiod ({name})")


def workloads_of(trust_domain: str) -> _Need:
    """Return the name of some workload of a mesh."""
    return _Need(Uri(f"spiffe://{trust_domain}/ns/default/sa/default"), f"every workload (spiffe://{trust_domain}/...)")


def problems(path_up: Sequence[tuple[str, Certificate]], needed: Sequence[_Need]) -> Iterator[Problem]:
    """Yield a problem for each certificate whose constraints exclude a name below it.

    Args:
        path_up: from the intermediate to the root, each with its key path.
        needed: the names that istiod signs.
    """
    below = list(needed)
    for path, certificate in path_up:
        constraints = _constraints(certificate)
        if constraints is not None:
            refusals = (_refusal(constraints.value, need) for need in below)
            if problem := _unknown(constraints) or next(filter(None, refusals), ""):
                what = f"nameConstraints of {title(certificate)} {problem}"
                yield Problem(path, AuthorityRule.PROVIDED_NAME_CONSTRAINTS, what, FIX)
        below += [_Need(name, title(certificate)) for name in _names(certificate)]


def _unknown(constraints: Extension[NameConstraints]) -> str:
    """Describe a constraint that Go does not know; it refuses the certificate if the extension is critical."""
    subtrees = [*(constraints.value.permitted_subtrees or []), *(constraints.value.excluded_subtrees or [])]
    unknown = [each for each in subtrees if not isinstance(each, DNSName | IPAddress | RFC822Name | Uri)]
    if not (constraints.critical and unknown):
        return ""
    kind = _KINDS.get(type(unknown[0]), "names of another kind")
    return f"are critical and constrain {kind}, which Go does not support, so istiod refuses the certificate"


def _refusal(constraints: NameConstraints, need: _Need) -> str:
    """Say why the constraints exclude a name; empty if they permit it."""
    permitted = [each for each in constraints.permitted_subtrees or [] if type(each) is type(need.name)]
    excluded = [each for each in constraints.excluded_subtrees or [] if type(each) is type(need.name)]
    kind = _KINDS.get(type(need.name), "names")
    if permitted and not any(_holds(each, need.name, widely=False) for each in permitted):
        shown = ", ".join(_shown(each) for each in permitted)
        return f"permit only {kind} of {shown}, so the certificate of {need.whose} is refused"
    for each in excluded:
        if _holds(each, need.name, widely=True):
            return f"exclude {kind} of {_shown(each)}, so the certificate of {need.whose} is refused"
    return ""


_KINDS: dict[type[GeneralName], str] = {
    Uri: "URIs",
    DNSName: "DNS names",
    IPAddress: "addresses",
    RFC822Name: "mail addresses",
    DirectoryName: "subjects",
}


def _shown(constraint: GeneralName) -> str:
    value = constraint.value
    return (value.rfc4514_string() if isinstance(value, Name) else str(value)) or '""'


def _holds(constraint: GeneralName, name: GeneralName, widely: bool) -> bool:
    """Say whether a name is in a subtree.

    Args:
        constraint: the subtree.
        name: of the same kind.
        widely: whether one of Go and BoringSSL suffices; otherwise both must agree.
    """
    match constraint.value, name.value:
        case str(base), str(value) if isinstance(name, Uri):
            host = urlsplit(value).hostname or ""
            return _is_below(base, host) if widely or base.startswith(".") else base.lower() == host.lower()
        case str(base), str(value):
            value = value if "@" in base else value.rpartition("@")[2]
            return value.lower() == base.lower() if "@" in base else _is_below(base, value)
        case (IPv4Network() | IPv6Network()) as network, (IPv4Address() | IPv6Address()) as address:
            return address in network
        case Name() as base, Name() as subject:
            return list(subject.rdns)[: len(base.rdns)] == list(base.rdns)
    return False


def _is_below(base: str, host: str) -> bool:
    base, host = base.lower(), host.lower()
    return host.endswith(base) if base.startswith(".") or not base else host == base or host.endswith(f".{base}")


def _constraints(certificate: Certificate) -> Extension[NameConstraints] | None:
    try:
        return certificate.extensions.get_extension_for_class(NameConstraints)
    except ExtensionNotFound:
        return None


def _names(certificate: Certificate) -> Iterator[GeneralName]:
    """Yield the names of an authority itself, which the authorities above it constrain too."""
    if certificate.subject.rdns:
        yield DirectoryName(certificate.subject)
    try:
        yield from certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return
