"""Rotation of roots: the last step that was taken, and the check that the next one cuts off no proxy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local

from mesh_federation import document
from mesh_federation.jobs.proxy_trust import JOB, ProxyTrustSettings
from mesh_federation.plan import root_identity
from mesh_federation.plan.rotation import TrustState
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget
from mesh_federation.stack.pem import Fingerprints

_READ = "pulumi:pulumi:readStackOutputs"
"""The engine's own function behind a StackReference, which would be one more resource in every preview."""


def last_outputs(stack: str, output: str) -> Mapping[str, Mapping[str, Any]]:
    """Read an output of the last `up` of this stack; empty where there was none."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    answer = pulumi.runtime.invoke(_READ, {"name": name}).value
    outputs = answer.get("outputs") if isinstance(answer, Mapping) else None
    return (outputs.get(output) if isinstance(outputs, Mapping) else None) or {}


def last_trust(stack: str) -> TrustState:
    """Read the trust that the last `up` of this stack established; empty where there was none.

    It is in the stack's output `trust`, so that a preview knows it without reaching a cluster.

    Raises:
        EarlierVersion: an earlier version of this program left it.
    """
    records = last_outputs(stack, "trust")
    for record in records.values():
        root_identity.check(record)
    issuers = {name: root_identity.parse(each["issuer"]) for name, each in records.items()}
    accepted = {name: frozenset(map(root_identity.parse, each["accepted"])) for name, each in records.items()}
    # A record of scope `mesh` may be older than these two: then all roots vouch for every cluster.
    told = {name: {root.describe() for root in roots} for name, roots in accepted.items()}
    return TrustState(
        issuers=issuers,
        accepted=accepted,
        signers={name: frozenset(each.get("signers", [issuers[name].describe()])) for name, each in records.items()},
        vouching={name: frozenset(each.get("vouching", told[name])) for name, each in records.items()},
    )


@dataclass(frozen=True)
class ProxyTrustArgs:
    """The next authorities, and a cluster whose proxies must go on trusting each other.

    Attributes:
        fingerprints: of the next authorities of all clusters.
        kubeconfig: of the cluster; secret.
        target: the cluster.
    """

    fingerprints: Sequence[pulumi.Output[Fingerprints]]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget


def check_proxy_trust(args: ProxyTrustArgs, parent: pulumi.Resource) -> local.Command:
    """Check all proxies of a cluster; it fails, and nothing changes, if the next authorities would cut one off."""
    settings = pulumi.Output.all(*args.fingerprints).apply(_settings)
    arguments = JobArgs(
        job=JOB,
        settings=settings,
        triggers=[args.target.provider.id, settings.apply(document.write)],
        kubeconfig=args.kubeconfig,
        target=args.target,
        after=[],
    )
    return job.run(f"{args.target.cluster}-trusting", arguments, parent)


def _settings(known: Sequence[Fingerprints]) -> ProxyTrustSettings:
    return ProxyTrustSettings(
        signing=tuple(sorted({each["root"] for each in known})),
        trusted=tuple(sorted({root for each in known for root in each["trusted"]})),
    )
