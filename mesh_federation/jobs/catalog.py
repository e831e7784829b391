"""All jobs by name."""

from collections.abc import Mapping
from typing import Any

from mesh_federation.jobs import (
    cluster,
    crds,
    egress_ready,
    export_check,
    host_release,
    kubeconfig,
    load_balancer,
    namespace,
    ownership_check,
    prerequisites,
    proxy_trust,
    remote_reader,
    root_distribution,
    webhook,
)
from mesh_federation.jobs.job import Job

_LISTED: tuple[Job[Any], ...] = (
    *cluster.JOBS.values(),
    crds.JOB,
    egress_ready.JOB,
    export_check.JOB,
    host_release.JOB,
    kubeconfig.JOB,
    load_balancer.JOB,
    namespace.JOB,
    ownership_check.JOB,
    prerequisites.JOB,
    proxy_trust.JOB,
    remote_reader.JOB,
    root_distribution.JOB,
    webhook.JOB,
)

JOBS: Mapping[str, Job[Any]] = {job.name: job for job in _LISTED}
