"""Where load balancers and gateways live: pure arithmetic on the lab network.

Source of the rules: MetalLB's layer-2 pools must lie in the nodes' subnet, and Docker hands out node addresses from its
start. So nodes keep the lower half of the lab network, and each cluster gets one slice of the upper half.

A pool depends on its cluster's name and hardly ever on the others, so that a new cluster moves nobody's gateway.
"""

from collections.abc import Iterable
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network

SMALLEST_POOL = 28
"""Prefix length below which a pool has no room for two generations of a gateway side by side."""

_BLOCK_PREFIX, _USABLE = 24, 254
"""Of 256 addresses, those that do not end in 0 or 255."""

MOST_CLUSTERS = 32
LARGEST_LAB, SMALLEST_LAB = 16, 26


def capacity(lab: IPv4Network) -> int:
    """Return how many clusters the lab network has pools for."""
    return 1 << (_slice_prefix(lab) - lab.prefixlen - 1)


def largest_prefix(clusters: int) -> int:
    """Return the prefix length of the smallest lab network with a pool for so many clusters."""
    fitting = (p for p in range(SMALLEST_LAB, LARGEST_LAB - 1, -1) if capacity(IPv4Network((0, p))) >= clusters)
    return next(fitting)


def pools(lab: IPv4Network, clusters: Iterable[str]) -> dict[str, IPv4Network]:
    """Give each cluster a slice of the upper half of the lab network, by a hash of its name.

    Where two names meet in one slot, the one whose hash is smaller keeps it and the other takes the next free one.

    Raises:
        ValueError: the network is too small; names the smallest that would do.
    """
    names = sorted(set(clusters), key=_digest)
    if not LARGEST_LAB <= lab.prefixlen <= SMALLEST_LAB or len(names) > capacity(lab):
        raise ValueError(f"{lab} has no pools for {len(names)} clusters: use a /{largest_prefix(len(names))}")
    upper = list(lab.subnets(prefixlen_diff=1))[1]
    slices = list(upper.subnets(new_prefix=_slice_prefix(lab)))
    taken: dict[str, IPv4Network] = {}
    for name in names:
        turns = (slices[(_digest(name) + step) % len(slices)] for step in range(len(slices)))
        taken[name] = next(pool for pool in turns if pool not in taken.values())
    return taken


def node_range(lab: IPv4Network, pool: IPv4Network) -> IPv4Network:
    """Return the part of the lower half of the lab network that lies as a pool does in the upper half.

    Native nodes take their addresses from it: Docker hands out those of containers itself.
    """
    half = lab.num_addresses // 2
    return IPv4Network((int(pool.network_address) - half, pool.prefixlen))


def gateway_address(pool: IPv4Network, generation: str) -> IPv4Address:
    """Choose the east-west gateway's address: another one for each generation of the cluster.

    So a cluster and the one that replaces it can stand side by side, and the address is known at preview.
    Addresses that end in 0 or 255 are left out (MetalLB `avoidBuggyIPs`).
    """
    chosen = _digest(generation)
    if pool.prefixlen > _BLOCK_PREFIX:
        usable = [address for address in pool.hosts() if int(address) % 256 not in (0, 255)]
        return usable[chosen % len(usable)]
    block, place = divmod(chosen % (pool.num_addresses // 256 * _USABLE), _USABLE)
    return pool[256 * block + 1 + place]


def _slice_prefix(lab: IPv4Network) -> int:
    return min(lab.prefixlen + MOST_CLUSTERS.bit_length(), SMALLEST_POOL)


def _digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
