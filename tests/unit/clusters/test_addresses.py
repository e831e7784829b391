"""Pools and gateway addresses, for every lab network and every number of clusters."""

from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mesh_federation.clusters.addresses import (
    LARGEST_LAB,
    MOST_CLUSTERS,
    SMALLEST_LAB,
    capacity,
    gateway_address,
    largest_prefix,
    pools,
)
from mesh_federation.clusters.settings import LabNetwork


def node_range_of(lab: IPv4Network) -> IPv4Network:
    return IPv4Network(LabNetwork("lab", str(lab)).node_range)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
GENERATIONS = st.text("0123456789abcdef", min_size=6, max_size=6)


@st.composite
def labs(draw: st.DrawFn) -> IPv4Network:
    prefix = draw(st.integers(LARGEST_LAB, SMALLEST_LAB))
    start = draw(st.integers(0, (1 << prefix) - 1)) << (32 - prefix)
    return IPv4Network((start, prefix))


@st.composite
def labs_with_clusters(draw: st.DrawFn) -> tuple[IPv4Network, list[str]]:
    lab = draw(labs())
    most = min(capacity(lab), MOST_CLUSTERS)
    return lab, draw(st.lists(NAMES, min_size=1, max_size=most, unique=True))


@given(labs_with_clusters())
def test_pools_are_disjoint_and_in_the_upper_half_away_from_the_nodes(given_: tuple[IPv4Network, list[str]]) -> None:
    lab, clusters = given_
    cut = pools(lab, clusters)
    upper = list(lab.subnets(prefixlen_diff=1))[1]
    assert set(cut) == set(clusters)
    assert all(pool.subnet_of(upper) for pool in cut.values())
    assert not any(pool.overlaps(node_range_of(lab)) for pool in cut.values())
    assert not any(cut[a].overlaps(cut[b]) for a in cut for b in cut if a != b)


@given(labs_with_clusters())
def test_nodes_keep_the_lower_half_where_docker_starts_to_count(given_: tuple[IPv4Network, list[str]]) -> None:
    lab, _ = given_
    assert node_range_of(lab).network_address == lab.network_address
    assert node_range_of(lab).num_addresses * 2 == lab.num_addresses


@given(labs_with_clusters(), st.randoms())
def test_the_order_in_which_clusters_are_declared_moves_nobody(
    given_: tuple[IPv4Network, list[str]], random: Random
) -> None:
    lab, clusters = given_
    shuffled = random.sample(clusters, len(clusters))
    assert pools(lab, clusters) == pools(lab, shuffled)


@given(labs_with_clusters())
def test_a_new_cluster_moves_others_only_when_their_slots_meet(given_: tuple[IPv4Network, list[str]]) -> None:
    lab, clusters = given_
    *before, new = clusters
    assume(before)
    alone = {name: pools(lab, [name])[name] for name in clusters}
    assume(len(set(alone.values())) == len(clusters))
    assert {name: pools(lab, clusters)[name] for name in before} == pools(lab, before)
    assert pools(lab, clusters) == alone


@given(labs_with_clusters())
def test_a_new_cluster_never_moves_one_that_it_does_not_displace(given_: tuple[IPv4Network, list[str]]) -> None:
    """Where slots meet, the one whose hash is smaller stays: removing the last to choose changes no earlier choice."""
    lab, clusters = given_
    with_all = pools(lab, clusters)
    last = list(with_all)[-1]
    assert pools(lab, [name for name in clusters if name != last]) == {
        name: pool for name, pool in with_all.items() if name != last
    }


@pytest.mark.parametrize("prefix", range(LARGEST_LAB, SMALLEST_LAB + 1))
@pytest.mark.parametrize("clusters", [1, 2, 3, 8, 16, 31, 32])
def test_a_lab_that_is_too_small_is_refused_with_the_smallest_that_works(prefix: int, clusters: int) -> None:
    lab = IPv4Network(f"172.30.0.0/{prefix}")
    names = [f"cluster{number}" for number in range(clusters)]
    if clusters <= capacity(lab):
        assert len(pools(lab, names)) == clusters
        return
    with pytest.raises(ValueError, match=rf"{lab}.*{clusters} clusters.*/{largest_prefix(clusters)}"):
        pools(lab, names)
    assert len(pools(IPv4Network(f"172.30.0.0/{largest_prefix(clusters)}"), names)) == clusters
    next_smaller = largest_prefix(clusters) + 1
    assert next_smaller > SMALLEST_LAB or capacity(IPv4Network((0, next_smaller))) < clusters


@pytest.mark.parametrize("subnet", ["10.0.0.0/15", "172.30.0.0/27", "172.30.0.0/30"])
def test_labs_outside_the_supported_sizes_are_refused(subnet: str) -> None:
    with pytest.raises(ValueError, match="use a /"):
        pools(IPv4Network(subnet), ["east"])


def test_32_clusters_fit_a_lab_of_16_to_22_bits() -> None:
    assert [prefix for prefix in range(16, 27) if capacity(IPv4Network((0, prefix))) >= 32] == list(range(16, 23))


@given(labs_with_clusters(), GENERATIONS)
def test_a_gateways_address_lies_in_its_pool_and_is_no_buggy_one(
    given_: tuple[IPv4Network, list[str]], generation: str
) -> None:
    lab, clusters = given_
    for pool in pools(lab, clusters).values():
        address = gateway_address(pool, generation)
        assert address in pool
        assert address not in (pool.network_address, pool.broadcast_address)
        assert int(address) % 256 not in (0, 255)


@pytest.mark.parametrize("prefix", [16, 20, 24, 26])
def test_a_new_generation_hardly_ever_takes_the_address_of_the_one_before(prefix: int) -> None:
    pool = pools(IPv4Network(f"172.30.0.0/{prefix}"), ["east"])["east"]
    addresses = [gateway_address(pool, f"{number:06x}") for number in range(200)]
    moved = sum(before != after for before, after in zip(addresses, addresses[1:], strict=False))
    assert moved > 160


@given(GENERATIONS, st.integers(20, 30))
def test_every_address_that_is_no_buggy_one_can_be_a_gateways(generation: str, prefix: int) -> None:
    pool = IPv4Network((int(IPv4Address("172.30.192.0")), prefix))
    usable = [address for address in pool.hosts() if int(address) % 256 not in (0, 255)]
    digest = int.from_bytes(sha256(generation.encode()).digest()[:8], "big")
    assert gateway_address(pool, generation) == usable[digest % len(usable)]


@given(GENERATIONS)
def test_a_gateways_address_follows_from_its_generation_alone(generation: str) -> None:
    pool = IPv4Network("172.30.200.0/22")
    assert gateway_address(pool, generation) == gateway_address(pool, generation)
