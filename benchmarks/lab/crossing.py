"""The call across the meshes that ends every measurement, and the gateway that it goes through.

Both the product and the script are judged by this one probe.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scratch import BenchError
from mesh_federation import process
from mesh_federation.plan.calls import Call, calls
from mesh_federation.plan.federation import Plan
from mesh_federation.plan.istio_api import server_name
from mesh_federation.stack.config import Federation

PATIENCE = 120
"""Seconds; a few are usual."""
PAUSE = 0.1
"""Seconds between two calls: the resolution of what is measured, beside the third of one that a call takes."""


@dataclass(frozen=True)
class Crossing:
    """One call, and the gateway of the exporting cluster.

    Attributes:
        call: what is called from where.
        gateway: address and port.
        sni: name by which the gateway is asked for the service.
    """

    call: Call
    gateway: tuple[str, int]
    sni: str

    def answered(self, kubeconfig: Path, environment: Mapping[str, str]) -> float:
        """Call until the answer is 200; returns seconds."""
        return _until(lambda: self._status(kubeconfig, environment) == "200", f"{self.call.url} gave no 200")

    def refused(self, kubeconfig: Path, environment: Mapping[str, str]) -> float:
        """Call until that fails and the gateway no longer offers the service to anybody; returns seconds."""

        def shut() -> bool:
            return self._status(kubeconfig, environment) != "200" and not self._offered()

        return _until(shut, f"{self.call.url} can still be called")

    def _status(self, kubeconfig: Path, environment: Mapping[str, str]) -> str:
        caller = self.call.caller
        pod = ["exec", f"--namespace={caller.namespace}", f"deployment/{caller.name}", f"--container={caller.name}"]
        curl = ["curl", "--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}"]
        command = ["kubectl", f"--kubeconfig={kubeconfig}", *pod, "--", *curl, self.call.url]
        return process.run(command, environment=environment).stdout

    def _offered(self) -> bool:
        """Say whether the gateway shows the service's certificate to a stranger."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["istio"])
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self.gateway, timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=self.sni) as secured,
        ):
            return secured.getpeercert(binary_form=True) is not None
        return False


def crossing(federation: Federation, plan: Plan) -> Crossing:
    """Choose the federation's first call.

    Raises:
        BenchError: there is none to make.
    """
    for call in calls(federation):
        source = plan.clusters[call.source]
        export = next(each for each in source.exports if each.export.service_host in call.url)
        sni = server_name(export.export.service_host, export.export.ports[0].number)
        return Crossing(call, (source.addresses[0], export.port), sni)
    raise BenchError("no import has a sample `sleep` that may use it: nothing can be called across the meshes")


def _until(so: Callable[[], bool], else_wrong: str) -> float:
    begun = time.monotonic()
    while not so():
        if time.monotonic() - begun > PATIENCE:
            raise BenchError(f"{else_wrong} within {PATIENCE} s")
        time.sleep(PAUSE)
    return time.monotonic() - begun
