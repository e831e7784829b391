"""Networks of these tests, in which no lab is that a person has on this machine."""

import os
from ipaddress import IPv4Network

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Number of this process among those that run tests side by side, each with networks of its own."""

NETWORK, SUBNET = f"mesh-federation-test-{WORKER}", f"172.{28 - 2 * WORKER}.0.0/16"
"""Of the lab that tests share."""

FRESH_NETWORK, FRESH_SUBNET = f"mesh-federation-fresh-{WORKER}", f"172.{29 - 2 * WORKER}.0.0/16"
"""Of checkouts in which nothing runs yet; they stand beside the lab that all tests share."""


def address(last: int) -> str:
    """Return an address of the shared lab's network, counted from its end."""
    return str(IPv4Network(SUBNET)[-last])
