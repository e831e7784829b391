"""A cluster and its replacement side by side: the real name carries the generation (model/provisioning.py).

Environment:
    STACK: the Pulumi stack, where it is known; else all stacks of the checkout are looked through.
"""

import os
import time

from components.provisioners import place

DRAIN_SECONDS = 5
"""For the proxies of importers to take up a new endpoint: istiod pushes it within a second."""


def logical(name: str) -> str:
    """Return the name under which people declared the cluster."""
    return name.rpartition("-")[0]


def let_importers_move(name: str) -> None:
    """Wait a moment before a cluster that was replaced is removed.

    Its importers were told of the successor just now, and calls on their way still end here. A cluster that is removed
    for good has no successor, so nothing waits then.
    """
    current = _current(logical(name))
    if current and name not in current:
        time.sleep(DRAIN_SECONDS)


def _current(cluster: str) -> set[str]:
    """Return the real names that a logical name has now, one a stack, as kubeconfig.py notes them."""
    notes = (place.home() / "kubeconfigs").glob(f"{os.environ.get('STACK', '*')}/.{cluster}.of")
    return {note.read_text(encoding="utf-8") for note in notes}
