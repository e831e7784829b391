"""All jobs by name. A job's module is imported when the job is asked for: an update starts dozens of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mesh_federation.jobs.job import Job

_IN_CLUSTERS = (
    "crds",
    "egress-ready",
    "export-check",
    "host-release",
    "kubeconfig",
    "load-balancer",
    "namespace",
    "ownership-check",
    "prerequisites",
    "proxy-trust",
    "remote-reader",
    "root-distribution",
    "webhook",
)
"""Jobs in a cluster, each `JOB` of the module of its name; the others create and delete clusters."""


def job(name: str) -> Job[Any] | None:
    """Return the job of a name; None if there is none."""
    if name in _IN_CLUSTERS:
        found: Job[Any] = import_module(f"{__package__}.{name.replace('-', '_')}").JOB
        return found
    return _of_providers().get(name)


def jobs() -> Mapping[str, Job[Any]]:
    """Return all jobs by name."""
    in_clusters = {name: found for name in _IN_CLUSTERS if (found := job(name))}
    return {**_of_providers(), **in_clusters}


def _of_providers() -> Mapping[str, Job[Any]]:
    from mesh_federation.jobs.cluster import JOBS  # it loads every provider

    return JOBS
