"""Explains a failed call: the likely cause and the remedy."""

import re

from mesh_federation.plan.calls import Call

REPAIRS = "./mesh up --refresh restores what was removed or changed"
STARTS = "./mesh up starts stopped clusters and recreates missing ones"
REMEDIES = {
    "RBAC: access denied": "{source} refuses {caller}: add it under `to` of the export, then run ./mesh up",
    "CERTIFICATE_VERIFY_FAILED|TLS_error": (
        "{cluster} and {source} do not accept each other's certificates: ./mesh up applies the declared trust;"
        f" {REPAIRS}"
    ),
    "Could not resolve host": f"{{cluster}} does not know the host: ./mesh up applies the stack file; {REPAIRS}",
    "upstream connect error|no healthy upstream|upstream request timeout|timed out": (
        f"{{cluster}} cannot reach the gateway of {{source}}: {STARTS}, and reconnects them; {REPAIRS};"
        " if neither helps, look for a firewall between their nodes"
    ),
    "connect to the server|connection to the server|dialing backend|did not answer": (
        f"cluster {{cluster}} does not answer: {STARTS}"
    ),
}
"""Remedies by a pattern of what curl, Envoy or kubectl prints."""
FALLBACK = f"{REPAIRS}; ./mesh doctor examines this machine"


def remedy(call: Call, output: str) -> str:
    """Return what to do about a failed call.

    Args:
        call: the call.
        output: what curl, Envoy or kubectl printed instead of a response.
    """
    known = next((remedy for pattern, remedy in REMEDIES.items() if re.search(pattern, output)), FALLBACK)
    return known.format(cluster=call.cluster, source=call.source, caller=call.caller)
