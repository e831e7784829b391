"""Who called and who answered, as the server's own proxy saw it (X-Forwarded-Client-Cert)."""

import re

_IDENTITY = re.compile(r"\b(By|URI)=(spiffe://[^;,\"]+)")


def identities(body: str) -> dict[str, str]:
    """Return the SPIFFE identities of the caller (URI) and the server (By), where an answer tells what was asked."""
    return dict(_IDENTITY.findall(body))
