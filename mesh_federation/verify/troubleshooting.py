"""What it means that a call fails, and what to do about it."""

import re

from mesh_federation.plan.calls import Call

REPAIRS = "./mesh up --refresh puts back what somebody removed or changed"
STARTS = "./mesh up starts what stopped and makes anew what is gone"
MEANINGS = {
    "RBAC: access denied": "{source} refuses {caller}: name it under `to` of the export, then ./mesh up",
    "CERTIFICATE_VERIFY_FAILED|TLS_error": (
        "{cluster} and {source} do not accept each other's certificates: ./mesh up applies what is declared;"
        f" {REPAIRS}"
    ),
    "Could not resolve host": f"{{cluster}} does not know the host: ./mesh up applies what is declared; {REPAIRS}",
    "upstream connect error|no healthy upstream|upstream request timeout|timed out": (
        f"{{cluster}} does not reach the gateway of {{source}}: {STARTS}, and reconnects it; {REPAIRS};"
        " where neither helps, look for a firewall between their nodes"
    ),
    "connect to the server|connection to the server|dialing backend|did not answer": (
        f"cluster {{cluster}} does not answer: {STARTS}"
    ),
}
"""What it means that a call fails, by a pattern of what curl, Envoy or kubectl says then."""
ANYTHING = f"{REPAIRS}; ./mesh doctor looks at this machine"


def hint(made: Call, said: str) -> str:
    """Tell what to do about a call that failed, by what came back instead of an answer."""
    meaning = next((known for sign, known in MEANINGS.items() if re.search(sign, said)), ANYTHING)
    return meaning.format(cluster=made.cluster, source=made.source, caller=made.caller)
