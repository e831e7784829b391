"""Asks every proxy of a cluster whether it can go on when the authorities change, and ends with those that cannot.

usage: python3 -m mesh_federation.jobs proxy-trust

Environment:
    SIGNING: SHA-256 of the roots that workloads of any cluster will lead to, parted by blanks.
    TRUSTED: SHA-256 of the roots that will be trusted, parted by blanks.
Standard input: the cluster's kubeconfig.

A proxy keeps its roots and its certificate for as long as that lives, a day: what Secrets say is not what is in use. A
pod that ends is nobody's peer any more. Nothing is changed here.
"""

import base64
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mesh_federation.clusters import access, workdir
from mesh_federation.stack.pem import certificates, fingerprint

TIMEOUT = 60
"""Seconds for pods that start or end just now."""
AT_ONCE = 6
PROXY = "istio-proxy"

GET = ("get", "pods", "--all-namespaces", "--field-selector=status.phase=Running", "--output=json")
ASK = ("pilot-agent", "request", "GET", "config_dump?resource=dynamic_active_secrets")


def main() -> None:
    """Look until nobody would be cut off, or end with who would, and why."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        workdir.until_whole(lambda: _told(kubectl), TIMEOUT)


def _told(kubectl: list[str]) -> str:
    behind = "\n".join(f"  {line}" for line in _behind(kubectl))
    return behind and (
        f"these workloads would be cut off by this step, so nothing was changed:\n{behind}\n"
        "start them anew (kubectl rollout restart), or wait until their certificates are renewed, within a day;"
        " then run it again"
    )


def _behind(kubectl: list[str]) -> list[str]:
    """Say what is in the way, pod by pod."""
    pods = _pods(kubectl)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda pod: _missing(kubectl, *pod), pods)
    return [f"{namespace}/{name}: {told}" for (namespace, name), told in zip(pods, answers, strict=True) if told]


def _pods(kubectl: list[str]) -> list[tuple[str, str]]:
    """Namespace and name of every pod with a proxy that is there to stay."""
    done = workdir.ask([*kubectl, *GET])
    if done.returncode:
        sys.exit(f"cannot look for pods:\n{done.stderr}")
    meshed = (pod["metadata"] for pod in json.loads(done.stdout)["items"] if _is_meshed(pod))
    return sorted((each["namespace"], each["name"]) for each in meshed)


def _is_meshed(pod: Mapping[str, Any]) -> bool:
    containers = [*pod["spec"].get("containers", []), *pod["spec"].get("initContainers", [])]
    return "deletionTimestamp" not in pod["metadata"] and any(each["name"] == PROXY for each in containers)


def _missing(kubectl: list[str], namespace: str, pod: str) -> str:
    """Say what one proxy lacks to go on; empty where it lacks nothing."""
    done = workdir.ask([*kubectl, "exec", f"--namespace={namespace}", pod, f"--container={PROXY}", "--", *ASK])
    if done.returncode:
        return f"its proxy cannot be asked: {done.stderr.strip().rpartition(chr(10))[2]}"
    secrets = dict(_secrets(json.loads(done.stdout)))
    own, trusted = secrets.get("default", []), set(secrets.get("ROOTCA", []))
    if not own:
        return "its proxy has no certificate"
    if unknown := sorted(set(os.environ["SIGNING"].split()) - trusted):
        return f"does not trust {_short(unknown)} yet, which others are to sign under"
    # Istio's agent puts all trusted roots behind the chain: the first of them is the one that it leads to.
    leads_to = next((each for each in own if each in trusted), own[-1])
    if leads_to not in os.environ["TRUSTED"].split():
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
