"""When containers that have ended start again. Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/."""

from mesh_federation.native.pod_spec import ALWAYS

FIRST_DELAY, LONGEST_DELAY = 10.0, 300.0
"""Seconds. The first restart is at once."""
STABLE_SECONDS = 600.0
"""A container that ran so long is as if it had never ended before."""


def restarts(policy: str, code: int) -> bool:
    """Say whether a container that ended with an exit status starts again."""
    return policy == ALWAYS or (policy == "OnFailure" and code != 0)


class RestartDelay:
    """How long a container that ends again and again has to wait."""

    def __init__(self) -> None:
        """Begin with no delay."""
        self._next = 0.0

    def after(self, ran: float) -> float:
        """Return the seconds to wait after a run of `ran` seconds, and double the next wait."""
        delay = 0.0 if ran > STABLE_SECONDS else self._next
        self._next = min(delay * 2, LONGEST_DELAY) if delay else FIRST_DELAY
        return delay
