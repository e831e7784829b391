"""Before clusters move to other roots: the last step that was taken, and proof that no proxy is cut off by the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local

from components.certificate_authority import Material
from mesh_federation.jobs import document
from mesh_federation.jobs.proxy_trust import JOB, ProxyTrustSettings
from mesh_federation.plan.rotation import TrustState
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget
from mesh_federation.stack.pem import Fingerprints

_READ = "pulumi:pulumi:readStackOutputs"
"""The engine's own function behind a StackReference, which would be one more resource in every preview."""


def left(stack: str, output: str) -> Mapping[str, Mapping[str, Any]]:
    """Read an output that the last `up` of this stack left; nothing where there was none."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    answer = pulumi.runtime.invoke(_READ, {"name": name}).value
    outputs = answer.get("outputs") if isinstance(answer, Mapping) else None
    return (outputs.get(output) if isinstance(outputs, Mapping) else None) or {}


def last(stack: str) -> TrustState:
    """Read what the last `up` of this stack left; nothing where there was none.

    It is in the stack's output `trust`, so that a preview can tell without asking a cluster.
    """
    known = {name: each for name, each in left(stack, "trust").items() if "issuer" in each}
    return TrustState(
        issuers={name: each["issuer"] for name, each in known.items()},
        accepted={name: frozenset(each["accepted"]) for name, each in known.items()},
    )


@dataclass(frozen=True)
class TrustingArgs:
    """What the proof needs to know.

    Attributes:
        materials: of all clusters, as they are to be.
        kubeconfig: of the cluster whose proxies are asked; secret.
        target: that cluster.
    """

    materials: Sequence[Material]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget


def trusting(args: TrustingArgs, parent: pulumi.Resource) -> local.Command:
    """Ask all proxies of a cluster whether the next authorities cut them off; it fails, and nothing changes, if so."""
    known = pulumi.Output.all(*(material.fingerprints() for material in args.materials))
    settings = known.apply(_settings)
    asking = JobArgs(
        job=JOB,
        settings=settings,
        triggers=[args.target.provider.id, settings.apply(document.write)],
        kubeconfig=args.kubeconfig,
        target=args.target,
        after=[],
    )
    return job.run(f"{args.target.cluster}-trusting", asking, parent)


def _settings(known: Sequence[Fingerprints]) -> ProxyTrustSettings:
    return ProxyTrustSettings(
        signing=tuple(sorted({each["root"] for each in known})),
        trusted=tuple(sorted({root for each in known for root in each["trusted"]})),
    )
