"""What both sequential scripts read: the very values and bodies that the product uses, as files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.scratch import BenchError
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
    references = [sample.workload.reference for sample in cluster.samples]
    started = "".join(f"{each.namespace} {each.name}\n" for each in references)
    (folder / "deployments").write_text(started, encoding="utf-8")
    (folder / "network").write_text(cluster.declared.network, encoding="utf-8")


def listed(items: Sequence[object]) -> dict[str, object]:
    """Return several objects as the one that kubectl applies."""
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _documents(plan: Plan, cluster: ClusterPlan) -> dict[str, object]:
    values: dict[str, object] = {name: each.addresses for name, each in plan.clusters.items()}
    assert cluster.istio
    documents: dict[str, object] = {
        "base": cluster.values["istio-base"],
        "istiod": cluster.values["istiod"],
        "gateway": cluster.values["istio-eastwestgateway"],
        "mutual-tls": cluster.istio.strict_mtls.body,
    }
    for export in cluster.exports:
        documents[f"export.{export.name}"] = listed([each.body for each in export.objects])
    for link in cluster.imports:
        documents[f"import.{link.name}"] = listed([each.filled(values) for each in link.objects])
    for number, namespace in enumerate(cluster.namespaces):
        documents[f"namespace.{number}"] = namespace.body
    for sample in cluster.samples:
        name = f"workload.{sample.workload.reference.namespace}.{sample.workload.reference.name}"
        documents[name] = listed([each.body for each in sample.objects])
    return documents
