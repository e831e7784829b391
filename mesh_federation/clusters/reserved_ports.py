"""Ports of this machine that are reserved for a cluster for as long as it exists, against all clusters of this user."""

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256

from mesh_federation.clusters import workdir
from mesh_federation.clusters.local_cluster import LocalCluster

FIRST_PORT, SLOTS, SIZE = 20000, 1500, 6
"""Below the ephemeral range, so that no outgoing connection takes one; kwokctl's own choice races."""


def reserve(cluster: LocalCluster) -> Sequence[int]:
    """Return the ports of a cluster, which are free; the same ones each time.

    A reservation is a link from a slot to the cluster's folder; it lapses when that folder is gone.

    Raises:
        SystemExit: no port is free.
    """
    slots = cluster.workdir.shared / "ports"
    slots.mkdir(parents=True, exist_ok=True)
    first = int(sha256(str(cluster.folder).encode()).hexdigest()[:8], 16)
    with workdir.locked(slots / ".lock"):
        for slot in ((first + step) % SLOTS for step in range(SLOTS)):
            link, numbers = slots / str(slot), range(FIRST_PORT + slot * SIZE, FIRST_PORT + (slot + 1) * SIZE)
            if link.is_symlink() and link.exists():
                if os.readlink(link) == str(cluster.folder):
                    return numbers
                continue
            if all(map(_is_free, numbers)):
                link.unlink(missing_ok=True)
                link.symlink_to(cluster.folder)
                return numbers
    sys.exit(f"no free ports between {FIRST_PORT} and {FIRST_PORT + SLOTS * SIZE} for {cluster.name}")


def release(cluster: LocalCluster) -> None:
    """Give up the reservation of a cluster."""
    slots = cluster.workdir.shared / "ports"
    with workdir.locked(slots / ".lock"):  # clusters are deleted side by side
        for slot in slots.glob("[0-9]*"):
            if os.readlink(slot) == str(cluster.folder):
                slot.unlink()


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
