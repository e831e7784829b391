"""The certificate hierarchy of a stack: who signs whom, who trusts whom, what a rotation changes, and its limits.

All of it follows from the stack file. If an `up` left a record, the fingerprints in it are added. The hierarchy holds
no secrets: of a provided authority only the certificates, of a key only its kind.

usage: python3 -m mesh_federation.plan.hierarchy    writes the JSON Schema, docs/trust.schema.json, to standard output
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from mesh_federation.plan import rotation as rotations
from mesh_federation.plan import trust as trusting
from mesh_federation.plan import trust_limits
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.plan.root_identity import RootIdentity
from mesh_federation.plan.trust import TrustPlan
from mesh_federation.stack import pem
from mesh_federation.stack.config import ENCRYPTED, Federation, Key, Trust, TrustModel, TrustScope
from mesh_federation.stack.text import escape_unprintable

CURVES = {"secp256r1": "P256", "secp384r1": "P384"}
"""Curves as stack files name them."""


class Part(BaseModel):
    """Part of a hierarchy."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class Record(Part):
    """What the last `up` recorded of one cluster in the stack's output `trust`."""

    model_config = ConfigDict(extra="ignore")

    authority: str
    """SHA-256 of the intermediate."""
    root: str
    """SHA-256 of the root above it."""
    trusted: tuple[str, ...]
    """SHA-256 of every root that the cluster trusts."""
    version: Literal[1]
    """Version of the format of this record."""
    issuer: RootIdentity
    """The root above the intermediate."""
    accepted: tuple[RootIdentity, ...]
    """The trusted roots."""
    ends: date
    """Day on which the first of all these certificates expires."""
    ends_first: str
    """Common name of the certificate that expires first."""


class Certificate(Part):
    """The certificate of an authority, as far as it is known."""

    name: str
    """Its common name; if it is encrypted, words that say whose it is."""
    subject: str | None = None
    """Its distinguished name in the notation of RFC 4514."""
    key: str | None = None
    """Kind of its key, for example `ECDSA P256`."""
    days: int | None = None
    """Lifetime in days."""
    ends: date | None = None
    """Its last day, if the certificate exists already and can be read."""
    fingerprint: str | None = None
    """SHA-256 in hexadecimal; for a certificate that this program makes, known once the stack is up."""
    is_encrypted: bool = False
    """Whether it is encrypted in the stack file, where only the engine can read it."""

    @property
    def life(self) -> str:
        """Kind of key and lifetime, for people."""
        days = f"{self.days} day{'' if self.days == 1 else 's'}"
        return f"{self.key} · {days}{f' until {self.ends}' if self.ends else ''}"


class Change(StrEnum):
    """What a rotation does to a root."""

    STAYS = "stays"
    COMES = "comes"
    GOES = "goes"


class Root(Part):
    """A root that clusters trust."""

    certificate: Certificate
    signs: tuple[str, ...]
    """Clusters whose workload certificates are issued under it."""
    trusted_by: tuple[str, ...]
    """Clusters that trust it."""
    change: Change

    @property
    def name(self) -> str:
        """Its name; unique among the roots."""
        return self.certificate.name


class Cluster(Part):
    """A cluster: what it signs with, and what it trusts."""

    name: str
    trust_domain: str
    identities: str
    """Pattern of the identities that its istiod issues."""
    intermediate: Certificate
    """The authority with which its istiod signs."""
    chain: tuple[Certificate, ...]
    """The authorities between the intermediate and the root, nearest to the intermediate first."""
    root: str
    """Name of the root above the intermediate."""
    trusts: tuple[str, ...]
    """Names of the roots that it trusts."""
    accepts: tuple[str, ...]
    """Foreign trust domains that it accepts."""
    made: Record | None
    """What the last `up` recorded; null if there was none."""
    is_made: bool | None
    """Whether the record has the declared root and the declared trusted roots; null if that cannot be known."""


class AcceptedDomain(Part):
    """A trust domain, and the authorities under which it is accepted."""

    trust_domain: str
    under: tuple[str, ...]
    """Each authority in one line."""


class Bound(Part):
    """What some proxies accept of trust domains, in scope `link`."""

    cluster: str
    where: str
    """Which proxies, and which part of them."""
    accepts: tuple[AcceptedDomain, ...]


class Restart(Part):
    """What a step of a rotation restarts in one cluster."""

    cluster: str
    what: tuple[str, ...]


class Rotation(Part):
    """The step of a rotation that the stack file declares."""

    phase: rotations.Phase
    does: str
    """What this step does."""
    restarts: tuple[Restart, ...]
    """What it restarts, by cluster."""
    others: str
    """What to do about workloads that the stack did not make."""
    then: str
    """What to do after this step."""
    write: str
    """What to write under `trust` for the next step: YAML."""


class Hierarchy(Part):
    """The certificate hierarchy of one stack."""

    stack: str
    model: TrustModel
    """The trust model under which clusters sign; from the step `switch` of a rotation on, the next one."""
    scope: TrustScope
    """Whether others are trusted for each link, or by the whole mesh."""
    roots: tuple[Root, ...]
    """The roots that clusters trust."""
    clusters: tuple[Cluster, ...]
    bound: tuple[Bound, ...]
    """Who accepts whom under whose authority, for each link; empty in scope `mesh`."""
    rotation: Rotation | None
    unmade: str
    """Why there are no records of the last `up`; empty if there are."""
    limits: tuple[str, ...]
    """What this hierarchy does not protect against."""

    @property
    def first_to_end(self) -> Record | None:
        """The record with the certificate that expires first; None if nothing is up."""
        made = [cluster.made for cluster in self.clusters if cluster.made]
        return min(made, key=lambda record: record.ends, default=None)


@dataclass(frozen=True)
class Made:
    """What the last `up` recorded.

    Attributes:
        records: by cluster.
        lacking: why there are no records; empty if there are.
    """

    records: Mapping[str, Record]
    lacking: str = ""


NOTHING = Made({}, "the stack is not up: fingerprints are known after up")


def hierarchy(federation: Federation, stack: str, made: Made = NOTHING) -> Hierarchy:
    """Return the hierarchy that a model declares, with the fingerprints of the last `up`.

    Args:
        federation: the model.
        stack: its name.
        made: what the last `up` recorded; default: nothing is up.
    """
    planned = plan(federation, stack)
    roots = _roots(federation, planned.trust, made.records)
    return Hierarchy(
        stack=stack,
        model=_signing(federation.trust).model,
        scope=federation.trust.scope,
        roots=roots,
        clusters=tuple(_cluster(federation, planned.trust, name, roots, made) for name in planned.trust.bundles),
        bound=tuple(each for cluster in planned.clusters.values() for each in _bound(planned.trust, cluster)),
        rotation=_rotation(federation, planned.clusters),
        unmade=made.lacking,
        limits=tuple(trust_limits.limits(federation)),
    )


def _signing(trust: Trust) -> Trust:
    return trust if trust.rotation is None or trust.rotation.phase == "add" else trust.following


def _roots(federation: Federation, planned: TrustPlan, records: Mapping[str, Record]) -> tuple[Root, ...]:
    """Return the roots that clusters trust: first those that this program makes, then those that are provided."""
    return _distinct([*_made_roots(federation, planned, records), *_given_roots(federation, planned)])


def _made_roots(federation: Federation, planned: TrustPlan, records: Mapping[str, Record]) -> Iterator[Root]:
    before, after = (
        trusting.plan(rotations.at_phase(federation, None)),
        trusting.plan(rotations.at_phase(federation, "drop")),
    )
    prints = _prints(records)
    for root in planned.roots:
        certificate = Certificate(
            name=root.common_name,
            subject=_subject(CN=root.common_name, O=root.organization),
            key=_kind(root.key),
            days=root.days,
            fingerprint=prints.get(root.identity),
        )
        yield Root(
            certificate=certificate,
            signs=tuple(each.cluster for each in planned.intermediates if each.root == root),
            trusted_by=tuple(name for name, held in planned.bundles.items() if root in held.roots),
            change=_change(root in before.roots, root in after.roots),
        )


def _given_roots(federation: Federation, planned: TrustPlan) -> Iterator[Root]:
    """Return the provided roots that are trusted, each once: several clusters may share one."""
    now, rotation = federation.trust, federation.trust.rotation
    before = _provided(now, "encrypted root of")
    after = _provided(
        now.following, "encrypted next root of" if rotation and rotation.provided else "encrypted root of"
    )
    signing = after if rotation and rotation.phase != "add" else before
    left = {} if rotation and rotation.phase == "drop" else before
    for root in dict.fromkeys([*left.values(), *after.values()]):
        yield Root(
            certificate=_read(root),
            signs=tuple(cluster for cluster in sorted(planned.provided) if signing.get(cluster) == root),
            trusted_by=tuple(
                name
                for name in sorted(federation.clusters)
                if now.scope == "mesh" or root in (left.get(name), after.get(name))
            ),
            change=_change(root in before.values(), root in after.values()),
        )


def _provided(trust: Trust, encrypted: str) -> dict[str, str]:
    """Return the provided roots of a trust model, by cluster: PEM, or words where they cannot be read."""
    if trust.model != "provided":
        return {}
    return {name: _text(each.root, f"{encrypted} {name}") for name, each in sorted(trust.provided.items())}


def _text(text: str, whose: str) -> str:
    return whose if text == ENCRYPTED else pem.chain(text)


def _change(was: bool, will_be: bool) -> Change:
    if was and will_be:
        return Change.STAYS
    return Change.COMES if will_be else Change.GOES


def _distinct(roots: Sequence[Root]) -> tuple[Root, ...]:
    """Return the roots with unique names: provided roots may have the same common name."""
    taken = Counter(root.name for root in roots)

    def renamed(root: Root) -> Root:
        own = root.certificate
        told = own.fingerprint[:12] if own.fingerprint and own.ends else "made by this stack"
        return root.model_copy(update={"certificate": own.model_copy(update={"name": f"{own.name} ({told})"})})

    return tuple(renamed(root) if taken[root.name] > 1 else root for root in roots)


def _prints(records: Mapping[str, Record]) -> dict[RootIdentity, str]:
    """Return the known fingerprints of roots: of those that sign, and of the other one if there is only one."""
    known = {record.issuer: record.root for record in records.values()}
    for record in records.values():
        unknown = [each for each in record.accepted if each not in known]
        prints = [each for each in record.trusted if each not in known.values()]
        if len(unknown) == len(prints) == 1:
            known[unknown[0]] = prints[0]
    return known


def _cluster(federation: Federation, planned: TrustPlan, name: str, roots: Sequence[Root], made: Made) -> Cluster:
    declared, record = federation.clusters[name], made.records.get(name)
    intermediate, *chain = _links(planned, name)
    return Cluster(
        name=name,
        trust_domain=declared.trust_domain,
        identities=f"spiffe://{declared.trust_domain}/ns/*/sa/*",
        intermediate=intermediate,
        chain=tuple(chain),
        root=next(root.name for root in roots if name in root.signs),
        trusts=tuple(root.name for root in roots if name in root.trusted_by),
        accepts=tuple(trusting.peers(federation, name)),
        made=record,
        is_made=_is_made(planned, name, record, roots) if record else None,
    )


def _bound(planned: TrustPlan, cluster: ClusterPlan) -> Iterator[Bound]:
    for binding in cluster.bindings:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(binding.labels.items()))
        everywhere = binding.namespace == binding.root_namespace
        proxies = f"{'all namespaces' if everywhere else f'namespace {binding.namespace}'}{labels and f', {labels}'}"
        for patch in binding.patches:
            part = (
                f"calls to {patch.host}"
                if patch.host
                else f"port {patch.port}"
                if patch.port
                else "all ports without an export"
            )
            accepted = (
                AcceptedDomain(trust_domain=domain, under=planned.anchors[name].names)
                for name, domain in patch.domains.items()
            )
            yield Bound(cluster=cluster.name, where=f"{proxies}: {part}", accepts=tuple(accepted))


def _links(planned: TrustPlan, cluster: str) -> list[Certificate]:
    """Return the authorities between a cluster's workloads and its root, nearest first."""
    if cluster in planned.provided:
        given = planned.provided[cluster]
        first = _text(given.certificate, f"encrypted intermediate of {cluster}")
        rest = [f"encrypted chain of {cluster}"] if given.chain == ENCRYPTED else pem.certificates(given.chain)
        return [_read(text) for text in (first, *rest)]
    own = next(each for each in planned.intermediates if each.cluster == cluster)
    return [
        Certificate(
            name=own.common_name,
            subject=_subject(CN=own.common_name, L=cluster, O=own.root.organization),
            key=_kind(own.root.key),
            days=own.days,
        )
    ]


def _is_made(planned: TrustPlan, cluster: str, record: Record, roots: Sequence[Root]) -> bool | None:
    if any(root.certificate.is_encrypted for root in roots):
        return None
    return (record.issuer, set(record.accepted)) == (planned.issuers[cluster], set(planned.bundles[cluster].identities))


def _kind(key: Key) -> str:
    return f"{key.algorithm} {key.curve if key.algorithm == 'ECDSA' else key.bits}"


def _subject(**names: str) -> str:
    """Return a distinguished name with the escapes of RFC 4514."""
    from cryptography import x509  # takes longer to load than the rest of this module
    from cryptography.x509.oid import NameOID

    kinds = {"CN": NameOID.COMMON_NAME, "L": NameOID.LOCALITY_NAME, "O": NameOID.ORGANIZATION_NAME}
    parts = [x509.NameAttribute(kinds[kind], value) for kind, value in names.items()]
    return x509.Name(parts[::-1]).rfc4514_string()


def _read(text: str) -> Certificate:
    """Read a provided certificate; an encrypted one is given as words that say whose it is."""
    if pem.CERTIFICATE not in text:
        return Certificate(name=text, is_encrypted=True)
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509.oid import NameOID

    found = x509.load_pem_x509_certificate(text.encode())
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    subject, public = escape_unprintable(found.subject.rfc4514_string()), found.public_key()
    key = None
    if isinstance(public, EllipticCurvePublicKey):
        key = f"ECDSA {CURVES.get(public.curve.name, public.curve.name)}"
    elif isinstance(public, RSAPublicKey):
        key = f"RSA {public.key_size}"
    return Certificate(
        name=escape_unprintable(str(names[0].value)) if names else subject,
        subject=subject,
        key=key,
        days=(found.not_valid_after_utc - found.not_valid_before_utc).days,
        ends=found.not_valid_after_utc.date(),
        fingerprint=pem.fingerprint(text),
    )


def _rotation(federation: Federation, clusters: Mapping[str, ClusterPlan]) -> Rotation | None:
    rotation = federation.trust.rotation
    if rotation is None:
        return None
    between = rotations.at_phase(federation, "switch")
    both = _roots(between, trusting.plan(between), {})
    comes, goes = ([each.name for each in both if each.change is way] for way in (Change.COMES, Change.GOES))
    told = rotations.describe(rotation.phase, comes, goes)
    return Rotation(
        phase=rotation.phase,
        does=told.does,
        restarts=tuple(_restarts(federation, clusters)),
        others=told.others,
        then=told.then,
        write=rotations.next_declaration(federation.trust, rotation),
    )


def _restarts(federation: Federation, clusters: Mapping[str, ClusterPlan]) -> Iterator[Restart]:
    """Compare a step with the one before it: what has loaded the roots restarts if they change.

    Encrypted roots count as changed.
    """
    phase = federation.trust.rotation.phase if federation.trust.rotation else None
    before = trusting.plan(rotations.at_phase(federation, rotations.BEFORE[phase] if phase else None))
    after = trusting.plan(federation)
    is_known = ENCRYPTED not in (*before.given, *after.given)
    for name, planned in clusters.items():
        if planned.istio is None:
            continue
        roots = [(each.bundles[name].identities, each.issuers[name]) for each in (before, after)]
        if not (is_known and roots[0] == roots[1]):
            egress = ["egress gateway"] if planned.egress else []
            samples = [f"sample {each.name}" for each in planned.samples]
            yield Restart(cluster=name, what=("istiod", "east-west gateway", *egress, *samples))
        elif _links(before, name) != _links(after, name):
            yield Restart(cluster=name, what=("istiod",))


def schema() -> str:
    """Return the JSON Schema of a hierarchy."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Hierarchy.model_json_schema(by_alias=True)}
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
