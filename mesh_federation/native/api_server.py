"""Waits for the API server of a node; kwokctl would ask twice a second, by a process of kubectl each time."""

import http.client
import ssl
import time

from mesh_federation.native.api_client import client_context
from mesh_federation.native.node_settings import API_PORT, NodeSettings

READY = "/readyz?exclude=poststarthook/scheduling/bootstrap-system-priority-classes"
"""Without the hook that makes the priority classes of Kubernetes' own pods: it tries once a second only."""
SECONDS = 60.0
PAUSE = 0.05
"""Seconds between two questions."""


def wait_until_ready(settings: NodeSettings) -> None:
    """Wait until the API server says that it is ready, or for a minute: whoever needs it will tell that it is not.

    Raises:
        OSError: there are no certificates.
    """
    pki = settings.pki
    context = client_context(str(pki / "ca.crt"), str(pki / "admin.crt"), str(pki / "admin.key"))
    deadline = time.monotonic() + SECONDS
    while not _is_ready(context) and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _is_ready(context: ssl.SSLContext) -> bool:
    connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, context=context, timeout=SECONDS)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
