"""Prints a kubeconfig with which one cluster's istiod reads another: an address, a certificate authority and a token.

The token is bound to nothing but its account: removing that, with the link, ends it at once.
"""

import json
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypedDict
from urllib.parse import urlsplit

from mesh_federation.clusters import kubectl as access
from mesh_federation.jobs.job import Job, JobContext

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

VERIFIED = ("certificate-authority-data", "tls-server-name")
"""By which an answer is known to be the API server's."""


@dataclass(frozen=True)
class RemoteReaderSettings:
    """Who reads whom.

    Attributes:
        cluster: the cluster that is read, by the logical name.
        reader: the cluster whose istiod reads it.
        account: namespace/name of the ServiceAccount that it uses.
        hours: lifetime of its token.
        server: address of the API server for that istiod; empty: the one of the kubeconfig.
        from_pod: that istiod runs in a pod; none does in a simulated cluster.
    """

    cluster: str
    reader: str
    account: str
    hours: int
    server: str
    from_pod: bool


def run(settings: RemoteReaderSettings, context: JobContext) -> None:
    """Request a token and print the kubeconfig; standard input is that of the cluster that is read, as JSON."""
    given = access.text(context.stdin, context.workdir)
    reached: Reached = json.loads(given)["clusters"][0]["cluster"]
    known = {key: reached[key] for key in VERIFIED if key in reached}  # type: ignore[literal-required]
    cluster = {"server": _server(settings, reached), **known}
    _refuse_unverified(settings, reached)
    name = settings.cluster
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": _token(settings, context)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    print(json.dumps(kubeconfig))


def _server(settings: RemoteReaderSettings, reached: Reached) -> str:
    """Return the address for the reading istiod, or end: a pod's loopback address is no other cluster's."""
    server = settings.server or reached["server"]
    if settings.from_pod and _is_loopback(urlsplit(server).hostname or ""):
        cluster, reader = settings.cluster, settings.reader
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


def _refuse_unverified(settings: RemoteReaderSettings, reached: Reached) -> None:
    """An istiod that verifies nothing would hand its token to whoever answers."""
    if reached.get("insecure-skip-tls-verify"):
        cluster = settings.cluster
        sys.exit(
            f"the kubeconfig of {cluster} has insecure-skip-tls-verify: the istiod of {settings.reader} could not"
            f" know {cluster} from another server that asks for its token\n"
            "-> put the certificate-authority of its API server into that kubeconfig instead"
        )


def _token(settings: RemoteReaderSettings, context: JobContext) -> str:
    """Request a token from the cluster that is read, and end if it would live shorter than is declared."""
    namespace, _, account = settings.account.partition("/")
    with context.kubectl() as kubectl:
        which = (account, f"--namespace={namespace}", f"--duration={settings.hours * HOUR}s", "--output=json")
        done = kubectl.run("create", "token", *which)
    if done.returncode:
        sys.exit(f"{settings.cluster} gives no token for {settings.account}:\n{done.stderr}")
    granted = json.loads(done.stdout)
    _refuse_short_lived(settings, int(granted["spec"]["expirationSeconds"]))
    token: str = granted["status"]["token"]
    return token


def _refuse_short_lived(settings: RemoteReaderSettings, granted: int) -> None:
    """Some API servers shorten the lifetime, and discovery would end long before anybody renews it."""
    if granted < settings.hours * HOUR:
        cluster, reader = settings.cluster, settings.reader
        sys.exit(
            f"{cluster} gives tokens for at most {granted // HOUR} hours; discovery of {cluster} by {reader} needs"
            f" {settings.hours}, and would end unnoticed\n-> write tokenHours: {granted // HOUR} there, and run"
            " `./mesh up` at least that often, or let its API server give longer ones"
        )


JOB = Job("remote-reader", RemoteReaderSettings, {"": run})
