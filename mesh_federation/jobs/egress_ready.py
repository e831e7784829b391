"""Waits until every Envoy of a cluster's egress gateway takes the calls that it is to take, and knows where they go.

usage: python3 -m mesh_federation.jobs egress-ready

Environment:
    NAMESPACE, SELECTOR: of the egress gateway's pods.
    PORT: on which it takes calls for one other cluster.
    SERVER_NAMES: what callers ask for there, parted by blanks.
    UPSTREAM: name of the other cluster's gateway in Envoy.
Standard input: the cluster's kubeconfig.

That its objects are accepted says nothing: istiod tells Envoy later, and callers who come sooner are reset.
"""

import json
import os
import re
import sys
from collections.abc import Iterator

from mesh_federation.clusters import access, workdir

TIMEOUT = 120
"""Seconds; one or two are usual."""


def main() -> None:
    """Ask until all of them do, or end with what is missing where."""
    with access.kubectl(sys.stdin.read()) as kubectl:
        workdir.until_whole(lambda: _lacking(kubectl), TIMEOUT)


def _lacking(kubectl: list[str]) -> str:
    missing = "\n".join(_missing(kubectl))
    return missing and f"the egress gateway does not lead out yet:\n{missing}"


def _missing(kubectl: list[str]) -> Iterator[str]:
    """Say what Envoys lack, in the words of a person."""
    pods = _pods(kubectl)
    if not pods:
        yield f"no pod of it runs in {os.environ['NAMESPACE']}"
    for pod in pods:
        taken = _taken(_envoy(kubectl, pod, "config_dump?resource=dynamic_listeners"))
        yield from (f"{pod} does not take {name}" for name in os.environ["SERVER_NAMES"].split() if name not in taken)
        if not re.search(f"^{re.escape(os.environ['UPSTREAM'])}::.+:[0-9]+::", _envoy(kubectl, pod, "clusters"), re.M):
            yield f"{pod} has no address of {os.environ['UPSTREAM']}"


def _pods(kubectl: list[str]) -> list[str]:
    """Names of the pods that callers may reach; one that ends is no longer told anything."""
    place_of = (f"--namespace={os.environ['NAMESPACE']}", f"--selector={os.environ['SELECTOR']}")
    done = workdir.ask([*kubectl, "get", "pods", *place_of, "--output=json"])
    if done.returncode:
        sys.exit(f"cannot look for the egress gateway's pods:\n{done.stderr}")
    pods = (pod["metadata"] for pod in json.loads(done.stdout)["items"] if pod["status"]["phase"] == "Running")
    return sorted(pod["name"] for pod in pods if "deletionTimestamp" not in pod)


def _envoy(kubectl: list[str], pod: str, path: str) -> str:
    """Ask Envoy's admin interface, from inside; a pod that cannot be asked lacks everything."""
    words = ["exec", f"--namespace={os.environ['NAMESPACE']}", pod, "--container=istio-proxy", "--"]
    return workdir.ask([*kubectl, *words, "pilot-agent", "request", "GET", path]).stdout


def _taken(dump: str) -> set[str]:
    """Server names that the listener of the exit takes."""
    listeners = json.loads(dump or "{}").get("configs", [])
    states = (each.get("active_state", {}).get("listener", {}) for each in listeners)
    ours = (each for each in states if _port(each) == int(os.environ["PORT"]))
    chains = (chain for each in ours for chain in each.get("filter_chains", []))
    return {name for chain in chains for name in chain.get("filter_chain_match", {}).get("server_names", [])}


def _port(listener: dict[str, dict[str, dict[str, object]]]) -> object:
    return listener.get("address", {}).get("socket_address", {}).get("port_value")
