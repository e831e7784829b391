"""Prints a kubeconfig with which one cluster's istiod reads another: an address, a certificate authority and a token.

usage: python3 -m mesh_federation.jobs remote-reader

Environment:
    CLUSTER: logical name of the cluster that is read. READER: of the cluster whose istiod reads.
    ACCOUNT: namespace/name of the ServiceAccount that it reads as. HOURS: lifetime of its token.
    SERVER: address of the API server for that istiod; empty: the one of the kubeconfig.
    ISTIOD: `pod`, or `none` where the reading cluster is simulated.
Standard input: kubeconfig of the cluster that is read, as JSON.

The token is bound to nothing but its account: removing that, with the link, ends it at once.
"""

import json
import os
import sys
from ipaddress import ip_address
from typing import TypedDict
from urllib.parse import urlsplit

from mesh_federation.clusters import access, workdir

HOUR = 3600

Reached = TypedDict(
    "Reached",
    {
        "server": str,
        "certificate-authority-data": str,
        "tls-server-name": str,
        "insecure-skip-tls-verify": bool,
    },
    total=False,
)
"""How an API server is reached, in a kubeconfig."""

TRUSTED = ("certificate-authority-data", "tls-server-name")
"""What says whether an answer is the API server's."""


def main() -> None:
    """Ask for a token and print the kubeconfig."""
    given = access.text(sys.stdin.read())
    reached: Reached = json.loads(given)["clusters"][0]["cluster"]
    cluster = {"server": _server(reached), **{key: reached[key] for key in TRUSTED if key in reached}}  # type: ignore[literal-required]
    _refuse_unverified(reached)
    name = os.environ["CLUSTER"]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": _token(given)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    print(json.dumps(kubeconfig))


def _server(reached: Reached) -> str:
    """Return the address for the reading istiod, or end: a pod's loopback address is no other cluster's."""
    server = os.environ["SERVER"] or reached["server"]
    if os.environ["ISTIOD"] == "pod" and _is_loopback(urlsplit(server).hostname or ""):
        cluster, reader = os.environ["CLUSTER"], os.environ["READER"]
        sys.exit(
            f"the istiod of {reader} cannot read {cluster} at {server}, the address in its kubeconfig: in a pod that is"
            f" the pod itself\n-> set clusters.{cluster}.apiServer to an address that pods of {reader} reach"
        )
    return server


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_unverified(reached: Reached) -> None:
    """An istiod that verifies nothing would hand its token to whoever answers."""
    if reached.get("insecure-skip-tls-verify"):
        cluster = os.environ["CLUSTER"]
        sys.exit(
            f"the kubeconfig of {cluster} has insecure-skip-tls-verify: the istiod of {os.environ['READER']} could not"
            f" tell {cluster} from another server that asks for its token\n"
            "-> put the certificate-authority of its API server into that kubeconfig instead"
        )


def _token(kubeconfig: str) -> str:
    """Ask the cluster that is read for a token, and end if it would live shorter than is declared."""
    namespace, _, account = os.environ["ACCOUNT"].partition("/")
    asked = int(os.environ["HOURS"]) * HOUR
    with access.kubectl(kubeconfig) as kubectl:
        which = [account, f"--namespace={namespace}", f"--duration={asked}s", "--output=json"]
        done = workdir.ask([*kubectl, "create", "token", *which])
    if done.returncode:
        sys.exit(f"{os.environ['CLUSTER']} gives no token for {os.environ['ACCOUNT']}:\n{done.stderr}")
    granted = json.loads(done.stdout)
    _refuse_short_lived(int(granted["spec"]["expirationSeconds"]), asked)
    token: str = granted["status"]["token"]
    return token


def _refuse_short_lived(granted: int, asked: int) -> None:
    """Some API servers shorten what they are asked for, and discovery would end long before anybody renews it."""
    if granted < asked:
        cluster, reader = os.environ["CLUSTER"], os.environ["READER"]
        sys.exit(
            f"{cluster} gives tokens for at most {granted // HOUR} hours; discovery of {cluster} by {reader} asks for"
            f" {asked // HOUR}, and would end unnoticed\n-> write tokenHours: {granted // HOUR} there, and run"
            " `./mesh up` at least that often, or let its API server give longer ones"
        )
