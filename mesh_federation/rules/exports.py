"""Exports: they name their consumers, are declared once, and match the pods that they protect."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from mesh_federation.plan.exports import target_ports
from mesh_federation.plan.samples import labels
from mesh_federation.stack.config import Export, Federation, NamespacedName
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule


def exports_by_service(federation: Federation) -> dict[tuple[str, NamespacedName], Export]:
    """Index the exports by cluster and service; of duplicates the first counts."""
    index: dict[tuple[str, NamespacedName], Export] = {}
    for export in federation.exports:
        index.setdefault((export.cluster, export.service), export)
    return index


def clusters_do_not_export_to_themselves(federation: Federation) -> Iterator[Problem]:
    """Workloads of the exporting cluster reach the service anyway."""
    for export in federation.exports:
        for consumer in export.to:
            if consumer.cluster == export.cluster:
                yield Problem(
                    f"{consumer.path}.cluster",
                    FederationRule.SELF_EXPORT,
                    f"{export.cluster} exports {export.service} to itself, but its own workloads reach the service"
                    " anyway",
                    f"remove {export.cluster} from `to`, or name the cluster that calls the service",
                )


def exports_name_consumers(federation: Federation) -> Iterator[Problem]:
    """Only the callers under `to` may call, so an empty list is a mistake."""
    for export in federation.exports:
        if not export.to:
            yield Problem(
                f"{export.path}.to",
                FederationRule.EMPTY_CONSUMERS,
                f"{export.cluster} exports {export.service}, but `to` is empty, so no cluster may call it",
                "name the consumers, for example to: [{cluster: ...}], or remove the export",
            )
        seen: set[str] = set()
        for consumer in export.to:
            if consumer.service_accounts == ():
                yield Problem(
                    f"{consumer.path}.serviceAccounts",
                    FederationRule.EMPTY_CONSUMERS,
                    f"{export.cluster} exports {export.service} to {consumer.cluster}, but to none of its service"
                    " accounts, so no workload there may call it",
                    "name the callers as namespace/serviceAccount, or remove the key to admit every workload there",
                )
            if consumer.cluster in seen:
                yield Problem(
                    consumer.path,
                    FederationRule.DUPLICATE_CONSUMER,
                    f"{export.path} names {consumer.cluster} twice as a consumer of {export.service}, so it is unclear"
                    " which service accounts may call",
                    "list all service accounts of that cluster in one entry",
                )
            seen.add(consumer.cluster)


def exports_are_declared_once(federation: Federation) -> Iterator[Problem]:
    """A service is exported once per cluster."""
    index = exports_by_service(federation)
    for export in federation.exports:
        first = index[export.cluster, export.service]
        if first is not export:
            yield Problem(
                export.path,
                FederationRule.DUPLICATE_EXPORT,
                f"{first.path} already exports {export.service} of {export.cluster}, and both would own the same"
                " objects",
                f"merge its ports and consumers into {first.path}",
            )


def exports_fit_the_sample(federation: Federation) -> Iterator[Problem]:
    """The policy of an export selects the sample's pods, and callers pin the account that they run as."""
    running = {(w.cluster, w.reference): w for w in federation.workloads}
    for export in federation.exports:
        workload = running.get((export.cluster, export.service))
        if workload is None:
            continue
        has = labels(workload)
        strange = {key: value for key, value in export.workload_labels.items() if has.get(key) != value}
        if strange:
            yield Problem(
                f"{export.path}.selector",
                FederationRule.SELECTOR_MISSES_SAMPLE,
                f"no pod of {workload.path} has {_labels(strange)}, so the policy of {export.path} would protect none"
                f" of them; they have {_labels(has)}",
                "remove the selector, or use labels of those pods",
            )
        if export.identity.name != workload.reference.name:
            yield Problem(
                f"{export.path}.serviceAccount",
                FederationRule.ACCOUNT_OF_NOBODY,
                f"the pods of {workload.path} run as {workload.reference.name}, not as {export.identity.name}: callers"
                " pin the account of the export, so they would refuse these pods",
                f"remove the key, or write {workload.reference.name}",
            )


def exports_of_some_pods_of_another_agree(federation: Federation) -> Iterator[Problem]:
    """The policies of all exports of a pod apply to it, and each refuses callers that it does not name."""
    beside: dict[tuple[str, str], list[Export]] = defaultdict(list)
    for export in federation.exports:
        beside[export.cluster, export.service.namespace].append(export)
    for export in federation.exports:
        for other in beside[export.cluster, export.service.namespace]:
            if not other.workload_labels.items() > export.workload_labels.items():
                continue
            mine, others = (
                (set(target_ports(federation, each)), frozenset(_consumers(each))) for each in (export, other)
            )
            if mine != others:
                yield Problem(
                    f"{other.path}.selector",
                    FederationRule.SELECTORS_OVERLAP,
                    f"pods with {_labels(other.workload_labels)} are also exported by {export.path}, which selects"
                    f" {_labels(export.workload_labels)} and has other ports or callers: the policy of each export"
                    " would refuse the callers of the other",
                    "use the same selector in both, which admits the callers of each on its ports, or labels that no"
                    " pod of the other export has",
                )


def _consumers(export: Export) -> Iterator[tuple[str, str]]:
    for consumer in export.to:
        accounts = ("*",) if consumer.service_accounts is None else map(str, consumer.service_accounts)
        yield from ((consumer.cluster, account) for account in accounts)


def _labels(selector: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))


RULES = (
    clusters_do_not_export_to_themselves,
    exports_name_consumers,
    exports_are_declared_once,
    exports_fit_the_sample,
    exports_of_some_pods_of_another_agree,
)
