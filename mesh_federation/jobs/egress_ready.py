"""Waits until every Envoy of a cluster's egress gateway accepts its calls, and knows where they go.

That its objects are accepted does not show it: istiod configures Envoy later, and connections before that are reset.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

TIMEOUT = 120
"""Seconds; one or two are usual."""


@dataclass(frozen=True)
class EgressReadySettings:
    """One route out of a cluster.

    Attributes:
        namespace: of the egress gateway's pods.
        selector: labels of those pods.
        port: on which they accept calls for one other cluster.
        server_names: names that callers send there.
        upstream: name of the other cluster's gateway in Envoy.
    """

    namespace: str
    selector: str
    port: int
    server_names: tuple[str, ...]
    upstream: str


def run(settings: EgressReadySettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Look until all of them are ready, or end with what is missing where."""
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _described("\n".join(_missing(settings, kubectl))), timeout)


def _described(missing: str) -> str:
    return missing and f"the egress gateway is not ready:\n{missing}"


def _missing(settings: EgressReadySettings, kubectl: Kubectl) -> Iterator[str]:
    """Say what Envoys lack."""
    pods = _pods(settings, kubectl)
    if not pods:
        yield f"no pod of it runs in {settings.namespace}"
    upstream = re.compile(f"^{re.escape(settings.upstream)}::.+:[0-9]+::", re.MULTILINE)
    for pod in pods:
        accepted = _accepted(settings.port, _envoy(settings, kubectl, pod, "config_dump?resource=dynamic_listeners"))
        yield from (f"{pod} does not accept {name}" for name in settings.server_names if name not in accepted)
        if not upstream.search(_envoy(settings, kubectl, pod, "clusters")):
            yield f"{pod} has no address of {settings.upstream}"


def _pods(settings: EgressReadySettings, kubectl: Kubectl) -> list[str]:
    """Names of the pods that callers may reach; istiod does not configure one that ends any more."""
    which = (f"--namespace={settings.namespace}", f"--selector={settings.selector}")
    done = kubectl.run("get", "pods", *which, "--output=json")
    if done.returncode:
        sys.exit(f"cannot look for the egress gateway's pods:\n{done.stderr}")
    pods = (pod["metadata"] for pod in json.loads(done.stdout)["items"] if pod["status"]["phase"] == "Running")
    return sorted(pod["name"] for pod in pods if "deletionTimestamp" not in pod)


def _envoy(settings: EgressReadySettings, kubectl: Kubectl, pod: str, path: str) -> str:
    """Read Envoy's admin interface, from inside; a pod that does not answer lacks everything."""
    words = ("exec", f"--namespace={settings.namespace}", pod, "--container=istio-proxy", "--")
    return kubectl.run(*words, "pilot-agent", "request", "GET", path).stdout


def _accepted(port: int, dump: str) -> set[str]:
    """Server names that the listener of a port accepts."""
    listeners = json.loads(dump or "{}").get("configs", [])
    states = (each.get("active_state", {}).get("listener", {}) for each in listeners)
    ours = (each for each in states if _port(each) == port)
    chains = (chain for each in ours for chain in each.get("filter_chains", []))
    return {name for chain in chains for name in chain.get("filter_chain_match", {}).get("server_names", [])}


def _port(listener: dict[str, dict[str, dict[str, object]]]) -> object:
    return listener.get("address", {}).get("socket_address", {}).get("port_value")


JOB = Job("egress-ready", EgressReadySettings, {"": run})
