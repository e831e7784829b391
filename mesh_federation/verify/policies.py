"""Policies of others on exported pods: an ALLOW policy that does not name the admitted callers refuses them.

Source: Istio's AuthorizationPolicy. Where any ALLOW policy selects a pod, only what one of them allows gets through, so
the stack adds none: it would admit more than the owners of the others do.
"""

from collections.abc import Iterator
from functools import partial

from mesh_federation.jobs.ownership_check import OWNER
from mesh_federation.plan.exports import ExportPlan
from mesh_federation.verify.check import Check
from mesh_federation.verify.context import ClusterUnderTest, Context
from mesh_federation.verify.objects import AuthorizationPolicy, PolicySource
from mesh_federation.verify.verdict import Verdict, failed, passed

KIND = "authorizationpolicies.security.istio.io"


def checks(context: Context) -> Iterator[Check]:
    """Return the check of every export."""
    for cluster, export in context.exports():
        description = (
            f"{cluster.name}: no policy of others refuses callers that the export of {export.export.service} admits"
        )
        yield Check("exports.policies", (export.export.path,), description, partial(policies, cluster, export))


def policies(cluster: ClusterUnderTest, export: ExportPlan) -> Verdict:
    """Look for admitted callers whom no ALLOW policy on the pods allows."""
    found = [each for each in cluster.kubectl.listed(AuthorizationPolicy, KIND) if _concerns(cluster, export, each)]
    if not found:
        return passed("no ALLOW policy selects its pods")
    sources = [source for each in found for source in each.sources]
    refused = [each for each in export.allowed if not any(_may_match(source, each) for source in sources)]
    named = ", ".join(sorted(str(each.metadata.reference) for each in found))
    if refused:
        hint = "let the owner of the policy add these principals: this stack adds no ALLOW policy beside it"
        return failed(f"AuthorizationPolicy {named} allows others alone, so {', '.join(refused)} would get 403", hint)
    return passed(f"{named} allows the admitted callers")


def _concerns(cluster: ClusterUnderTest, export: ExportPlan, policy: AuthorizationPolicy) -> bool:
    """Say whether a policy is an ALLOW policy of others on the exported pods."""
    namespaces = (export.export.service.namespace, cluster.plan.declared.root_namespace)
    is_theirs = OWNER not in policy.metadata.labels and policy.metadata.namespace in namespaces
    selected = policy.selected.items() <= export.export.workload_labels.items()
    return is_theirs and policy.spec.action == "ALLOW" and selected


def _may_match(source: PolicySource | None, principal: str) -> bool:
    """Say whether callers of a principal may be allowed: where a source asks for what is not known here, they may.

    Args:
        source: of a rule; None allows every caller.
        principal: SPIFFE without the scheme; `domain/*` is a whole cluster.
    """
    if source is None:
        return True
    namespace = f"/ns/{'*' if principal.endswith('/*') else principal.split('/')[2]}/"
    by_name = not source.principals or any(_covers(each, principal) for each in source.principals)
    by_namespace = (
        not source.namespaces or "*" in namespace or any(_covers(each, namespace[4:-1]) for each in source.namespaces)
    )
    return by_name and by_namespace


def _covers(pattern: str, value: str) -> bool:
    """Match as Istio does: exactly, by a prefix or a suffix with `*`; a whole cluster by any pattern of it."""
    if value.endswith("/*"):
        return pattern == "*" or pattern.startswith((value[:-1], "*"))
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value.endswith(pattern[1:]) if pattern.startswith("*") else pattern == value
