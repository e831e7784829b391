"""Names in certificates: whether they can be read, and whether an authority may vouch for those that a mesh needs.

Source: RFC 5280, 4.2.1.10, as the two programs read it that decide. A name passes where both let it pass: Go
(crypto/x509) takes `corp.example` for itself and all below it, BoringSSL (crypto/x509/v3_ncons.c) takes it, in
constraints of URIs, for itself alone; with a dot in front both mean only what is below it.
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
"""What istiod serves as, in its namespace (getDNSNames in Istio's pilot/pkg/bootstrap/server.go)."""
_LABELS = r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*"
_TEXTS = {
    "UTF8String": re.compile(".*", re.DOTALL),
    "T61String": re.compile(".*", re.DOTALL),
    "BMPString": re.compile(".*", re.DOTALL),
    "IA5String": re.compile("[\0-\x7f]*"),
    "PrintableString": re.compile(r"[A-Za-z0-9 '()+,./:=?*&-]*"),
    "NumericString": re.compile("[0-9 ]*"),
}
"""Kinds of text that Go reads in a subject, and what may be in each."""
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
FIX = "issue it without nameConstraints, or so that they permit this name"


@dataclass(frozen=True)
class _Need:
    """A name that some certificate below an authority has.

    Attributes:
        name: itself.
        whose: the certificate's, in words.
    """

    name: GeneralName
    whose: str


def unreadable(certificate: Certificate) -> str:
    """Return a name in a certificate that Go refuses to read; empty where there is none."""
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


def of_mesh(federation: Federation, cluster: str) -> Iterator[_Need]:
    """Name what one cluster's istiod signs: its own certificate, and those of workloads."""
    domain = federation.clusters[cluster].trust_domain
    workload = f"spiffe://{domain}/ns/default/sa/default"
    yield _Need(Uri(workload), f"every workload (spiffe://{domain}/...)")
    revision = federation.istio.revision
    servers = [*SERVERS, *([f"istiod-{revision}"] if revision not in ("", "default") else [])]
    for server in servers:
        yield _Need(DNSName(f"{server}.istio-system.svc"), f"istiod ({server}.istio-system.svc)")


def faults(way: Sequence[tuple[str, Certificate]], needed: Sequence[_Need]) -> Iterator[Problem]:
    """Say which certificate keeps what is below it from its names; the first such name of each.

    Args:
        way: from the intermediate to the root, each with its place in the stack file.
        needed: what istiod signs.
    """
    below = list(needed)
    for path, certificate in way:
        constraints = _constraints(certificate)
        if constraints is not None:
            refusals = (_refusal(constraints.value, need) for need in below)
            if problem := _unknown(constraints) or next(filter(None, refusals), ""):
                told = f"nameConstraints of {title(certificate)} {problem}"
                yield Problem(path, AuthorityRule.PROVIDED_NAME_CONSTRAINTS, told, FIX)
        below += [_Need(name, title(certificate)) for name in _names(certificate)]


def _unknown(constraints: Extension[NameConstraints]) -> str:
    """Say which kind of constraint Go does not know: it refuses the certificate where the extension is critical."""
    subtrees = [*(constraints.value.permitted_subtrees or []), *(constraints.value.excluded_subtrees or [])]
    unknown = [each for each in subtrees if not isinstance(each, DNSName | IPAddress | RFC822Name | Uri)]
    if not (constraints.critical and unknown):
        return ""
    kind = _KINDS.get(type(unknown[0]), "names of another kind")
    return f"are critical and speak of {kind}: Go does not know those, so istiod refuses the certificate"


def _refusal(constraints: NameConstraints, need: _Need) -> str:
    """Say why a name does not pass; empty where it does."""
    permitted = [each for each in constraints.permitted_subtrees or [] if type(each) is type(need.name)]
    excluded = [each for each in constraints.excluded_subtrees or [] if type(each) is type(need.name)]
    kind = _KINDS.get(type(need.name), "names")
    if permitted and not any(_holds(each, need.name, widely=False) for each in permitted):
        told = ", ".join(_shown(each) for each in permitted)
        return f"permit {kind} of {told} alone: the certificate of {need.whose} is refused"
    for each in excluded:
        if _holds(each, need.name, widely=True):
            return f"exclude {kind} of {_shown(each)}: the certificate of {need.whose} is refused"
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
    """Say whether a name lies in a subtree.

    Args:
        constraint: the subtree.
        name: of the same kind.
        widely: whether it counts that one of the two programs says so; else both must.
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
    """Names of an authority itself: those above it constrain them too."""
    if certificate.subject.rdns:
        yield DirectoryName(certificate.subject)
    try:
        yield from certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return
