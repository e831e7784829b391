"""The network of a sandbox: a bridge that joins the nodes of all clusters, and one interface per node.

Pods of one cluster reach another cluster through its node alone, that is through Services of type LoadBalancer: no node
has a route to the pods of another one. A node refuses at once what it has no route for.

Sources: ip(8), nft(8); Kubernetes' network model for pods of one cluster.
"""

from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from mesh_federation import process
from mesh_federation.stack.problem import Problem, ProblemError

BRIDGE = "lab"
UPLINK = "lab0"
"""The interface of a node that leads to the bridge."""
OF_SERVICES = 77
"""Marks the routes of Services' addresses among those of a node (rtnetlink(7), rtm_protocol)."""
FIRST = "1"
"""The first process of the sandbox, which has its network."""
SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/ip_unprivileged_port_start": "0",
}
"""Of a node: it passes on what is not its own. Paths below /proc/sys."""


def make_bridge(subnet: str) -> None:
    """Make the bridge, in the network namespace of this process.

    Raises:
        ProblemError: the kernel, or a program, refuses.
    """
    _ip("link set lo up", f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")
    _ip(f"addr add {bridge_address(subnet)}/{IPv4Network(subnet).prefixlen} dev {BRIDGE}")


def bridge_address(subnet: str) -> IPv4Address:
    """Return the address of the bridge itself: the first of the network."""
    return IPv4Network(subnet)[1]


def join_bridge(node: str, address: str, subnet: str, pods: str) -> None:
    """Give the network namespace of this process an interface at the bridge, and the routes of a node.

    Args:
        node: its name, unique in the sandbox.
        address: of the node.
        subnet: CIDR of the network of nodes.
        pods: CIDR of the node's pods; the second address is the node's own.

    Raises:
        ProblemError: the kernel, or a program, refuses.
    """
    end, inside = interface(node), IPv4Network(pods)
    bridge = ("nsenter", f"--net=/proc/{FIRST}/ns/net", "--", "ip", "link")
    # The network of a node that was killed may last for a while: deleting one end of its interface deletes the other.
    process.run((*bridge, "delete", end), timeout=30)
    _ip(
        "link set lo up",
        f"link add {UPLINK} type veth peer name {end} netns {FIRST}",
        f"addr add {address}/{IPv4Network(subnet).prefixlen} dev {UPLINK}",
        f"link set {UPLINK} up",
        f"addr add {inside[1]}/32 dev lo",
        f"route add unreachable {inside}",
    )
    _run(*bridge, "set", end, "master", BRIDGE, "up")
    for name, value in SYSCTLS.items():
        (Path("/proc/sys") / name).write_text(value, encoding="ascii")
    hidden = f"ip saddr {inside} oifname {UPLINK} masquerade"
    # The kernel limits how often it says "unreachable" (icmp_ratelimit): without a reset, callers wait for a timeout.
    lost = "meta l4proto tcp fib daddr type != local fib daddr oif missing reject with tcp reset"
    _run(
        "nft",
        "add table ip native; add chain ip native out { type nat hook postrouting priority 100; }; "
        f"add rule ip native out {hidden}; add chain ip native in {{ type filter hook prerouting priority 0; }}; "
        f"add rule ip native in {lost}",
    )


def accept(address: str) -> None:
    """Let this node answer for the address of one of its Services."""
    _ip(f"route replace local {address}/32 dev lo proto {OF_SERVICES}")


def release_all() -> None:
    """Let this node answer for no address of a Service: an agent that starts again gives them anew."""
    _ip(f"route flush table local proto {OF_SERVICES}")


def release(address: str) -> None:
    """Let this node no longer answer for an address."""
    _ip(f"route del local {address}/32 dev lo proto {OF_SERVICES}")


def interface(node: str) -> str:
    """Return the name of a node's interface at the bridge: the kernel allows 15 characters."""
    return "n" + sha256(node.encode()).hexdigest()[:12]


def _ip(*commands: str) -> None:
    _run("ip", "-batch", "-", stdin="\n".join(commands))


def _run(*words: str, stdin: str = "") -> None:
    done = process.run(words, stdin=stdin, timeout=30)
    if done.returncode:
        what = f"`{' '.join(words)}` failed"
        raise ProblemError(Problem("", "network", what, "run `./mesh doctor`", done.stderr.strip()))
