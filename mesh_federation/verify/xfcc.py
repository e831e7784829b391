"""Identities of caller and server from X-Forwarded-Client-Cert, which the server's proxy adds to a request."""

import re

_IDENTITY = re.compile(r"\b(By|URI)=(spiffe://[^;,\"]+)")


def identities(body: str) -> dict[str, str]:
    """Return the SPIFFE identities of the caller (URI) and the server (By) if a response echoes its request headers."""
    return dict(_IDENTITY.findall(body))
