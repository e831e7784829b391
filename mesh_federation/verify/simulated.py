"""Checks that need running pods: they do not apply to a cluster whose nodes are simulated."""

from collections.abc import Callable
from functools import partial

from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.verdict import Verdict, not_applicable

SIMULATED = "its pods are simulated and run nothing"


def skip_if_simulated(cluster: ClusterUnderTest, run: Callable[[], Verdict]) -> Callable[[], Verdict]:
    """Return the function of a check; for a simulated cluster, one that returns "not applicable"."""
    return partial(not_applicable, SIMULATED) if cluster.is_simulated else run
