"""Checks that no proxy of a cluster is cut off when the authorities change, and ends with those that would be.

A proxy keeps its roots and its certificate as long as that lives, a day: Secrets do not show what is in use. A pod that
ends has no callers any more. Nothing is changed here.
"""

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext
from mesh_federation.stack.pem import certificates, fingerprint

TIMEOUT = 60
"""Seconds for pods that start or end just now."""
AT_ONCE = 6
PROXY = "istio-proxy"

GET = ("get", "pods", "--all-namespaces", "--field-selector=status.phase=Running", "--output=json")
DUMP = ("pilot-agent", "request", "GET", "config_dump?resource=dynamic_active_secrets")


@dataclass(frozen=True)
class ProxyTrustSettings:
    """The authorities of the next step.

    Attributes:
        signing: SHA-256 of the roots that certificates of any cluster will lead to.
        trusted: SHA-256 of the roots that will be trusted.
    """

    signing: tuple[str, ...]
    trusted: tuple[str, ...]


def run(settings: ProxyTrustSettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Look until no proxy would be cut off, or end with those that would be, and why."""
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _described(_cut_off(settings, kubectl)), timeout)


def _described(cut_off: Sequence[str]) -> str:
    lines = "\n".join(f"  {line}" for line in cut_off)
    return lines and (
        f"these workloads would be cut off by this step, so nothing was changed:\n{lines}\n"
        "start them anew (kubectl rollout restart), or wait until their certificates are renewed, within a day;"
        " then run it again"
    )


def _cut_off(settings: ProxyTrustSettings, kubectl: Kubectl) -> list[str]:
    """Say which pods would be cut off, and why."""
    pods = _pods(kubectl)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda pod: _obstacle(settings, kubectl, *pod), pods)
    return [f"{namespace}/{name}: {why}" for (namespace, name), why in zip(pods, answers, strict=True) if why]


def _pods(kubectl: Kubectl) -> list[tuple[str, str]]:
    """Namespace and name of every pod with a proxy that is there to stay."""
    done = kubectl.run(*GET)
    if done.returncode:
        sys.exit(f"cannot look for pods:\n{done.stderr}")
    meshed = (pod["metadata"] for pod in json.loads(done.stdout)["items"] if _is_meshed(pod))
    return sorted((each["namespace"], each["name"]) for each in meshed)


def _is_meshed(pod: Mapping[str, Any]) -> bool:
    containers = [*pod["spec"].get("containers", []), *pod["spec"].get("initContainers", [])]
    return "deletionTimestamp" not in pod["metadata"] and any(each["name"] == PROXY for each in containers)


def _obstacle(settings: ProxyTrustSettings, kubectl: Kubectl, namespace: str, pod: str) -> str:
    """Say why one proxy would be cut off; empty if it would not be."""
    done = kubectl.run("exec", f"--namespace={namespace}", pod, f"--container={PROXY}", "--", *DUMP)
    if done.returncode:
        return f"its proxy does not answer: {done.stderr.strip().rpartition(chr(10))[2]}"
    secrets = dict(_secrets(json.loads(done.stdout)))
    own, trusted = secrets.get("default", []), set(secrets.get("ROOTCA", []))
    if not own:
        return "its proxy has no certificate"
    if unknown := sorted(set(settings.signing) - trusted):
        return f"does not trust {_short(unknown)} yet, which others are to sign under"
    # Istio's agent puts all trusted roots behind the chain: the first of them is the one that it leads to.
    leads_to = next((each for each in own if each in trusted), own[-1])
    if leads_to not in settings.trusted:
        return f"has a certificate of {_short([leads_to])}, which others would trust no longer"
    return ""


def _secrets(dump: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Read the certificates of a proxy: `default` is its own with all issuers, `ROOTCA` what it trusts."""
    for each in dump.get("configs", []):
        held = each.get("secret", {})
        part = held.get("tls_certificate", {}).get("certificate_chain") or held.get("validation_context", {}).get(
            "trusted_ca"
        )
        if part:
            text = base64.b64decode(part.get("inline_bytes", "")).decode()
            yield each.get("name", ""), [fingerprint(certificate) for certificate in certificates(text)]


def _short(digests: Sequence[str]) -> str:
    return "root " + ", ".join(digest[:16] for digest in digests)


JOB = Job("proxy-trust", ProxyTrustSettings, {"": run})
