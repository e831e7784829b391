"""What both sequential scripts read: the very values and bodies that the product uses, as files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.scratch import BenchError
from mesh_federation.plan import routing, samples
from mesh_federation.plan.federation import ClusterPlan, Plan
from mesh_federation.stack.config import Federation

CA_CONFIG = """[req]
distinguished_name = subject
prompt = no
[subject]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, nonRepudiation, keyEncipherment, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


def suits(federation: Federation) -> None:
    """Refuse federations that neither script builds.

    Raises:
        BenchError: says what they build.
    """
    trust = federation.trust
    if trust.model != "common" or (trust.key.algorithm, trust.key.curve) != ("ECDSA", "P256"):
        raise BenchError("the script builds meshes with one common root of ECDSA P-256 keys, nothing else")
    if any(link.mode != "remote" for link in federation.imports):
        raise BenchError("the script imports services as remote, nothing else")


def write(plan: Plan, cluster: ClusterPlan, folder: Path, further: Mapping[str, object]) -> None:
    """Write the inputs of one cluster.

    Args:
        plan: the federation.
        cluster: the cluster.
        folder: to be made for it.
        further: documents that only one of the scripts needs, by name.
    """
    folder.mkdir()
    (folder.parent / "ca.conf").write_text(CA_CONFIG, encoding="utf-8")
    for name, document in {**_documents(plan, cluster), **further}.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    started = "".join(f"{w.reference.namespace} {w.reference.name}\n" for w in cluster.workloads)
    (folder / "deployments").write_text(started, encoding="utf-8")
    (folder / "network").write_text(cluster.declared.network, encoding="utf-8")


def listed(items: Sequence[object]) -> dict[str, object]:
    """Return several objects as the one that kubectl applies."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _documents(plan: Plan, cluster: ClusterPlan) -> dict[str, object]:
    documents: dict[str, object] = {
        "base": cluster.base_values,
        "istiod": cluster.istiod_values,
        "gateway": cluster.gateway_values,
        "mutual-tls": routing.strict_mtls(),
    }
    for offer in cluster.exports:
        documents[f"export.{offer.name}"] = listed([routing.authorization(offer), routing.gateway(offer)])
    for link in cluster.imports:
        addresses = [plan.clusters[source.cluster].addresses for source in link.sources]
        rule = routing.destination_rule(link)
        documents[f"import.{link.name}"] = listed([routing.service_entry(link, addresses), *([rule] if rule else [])])
    for number, namespace in enumerate(cluster.namespaces):
        documents[f"namespace.{number}"] = namespace
    for workload in cluster.workloads:
        name = f"workload.{workload.reference.namespace}.{workload.reference.name}"
        documents[name] = listed(samples.bodies(workload, cluster.revision))
    return documents
