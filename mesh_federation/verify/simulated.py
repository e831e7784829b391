"""Checks of what pods hold and answer: where they only exist on paper, there is nothing to check."""

from collections.abc import Callable
from functools import partial

from mesh_federation.verify.context import ClusterUnderTest
from mesh_federation.verify.verdict import Verdict, not_applicable

ON_PAPER = "its pods only exist on paper"


def on_pods(site: ClusterUnderTest, judge: Callable[[], Verdict]) -> Callable[[], Verdict]:
    """Return what judges a cluster; of one that is simulated, that it has nothing to judge."""
    return partial(not_applicable, ON_PAPER) if site.is_simulated else judge
