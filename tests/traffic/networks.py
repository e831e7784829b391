"""Networks of these tests, in which no lab is that a person has on this machine."""

from ipaddress import IPv4Network

NETWORK, SUBNET = "mesh-federation-test", "172.28.0.0/16"
"""Of the lab that tests share."""

FRESH_NETWORK, FRESH_SUBNET = "mesh-federation-fresh", "172.29.0.0/16"
"""Of checkouts in which nothing runs yet; they stand beside the lab that all tests share."""


def address(last: int) -> str:
    """Return an address of the shared lab's network, counted from its end."""
    return str(IPv4Network(SUBNET)[-last])
