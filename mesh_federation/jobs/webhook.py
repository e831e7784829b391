"""Waits until an admission webhook answers: a ready Deployment is not yet an endpoint that the API server reaches.

The job asks the API server to admit an object without keeping it. Where no webhook is registered (simulated nodes run
none) the first answer is yes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.workdir import wait_until_complete
from mesh_federation.jobs.job import Job, JobContext

TIMEOUT = 180
"""Seconds; a few are usual."""
TRY = ("create", "--dry-run=server", "--validate=false", "--filename=-")
"""The webhook is asked, and not kubectl, which would read the API server's whole OpenAPI document first."""


@dataclass(frozen=True)
class WebhookSettings:
    """Which webhook.

    Attributes:
        owner: the program that answers, as people call it.
        probe: an object that the webhook admits.
    """

    owner: str
    probe: Mapping[str, object]


def run(settings: WebhookSettings, context: JobContext, timeout: float = TIMEOUT) -> None:
    """Ask until the answer is yes, or end with the API server's last error."""
    with context.kubectl() as kubectl:
        wait_until_complete(lambda: _refusal(settings, kubectl), timeout)


def _refusal(settings: WebhookSettings, kubectl: Kubectl) -> str:
    done = kubectl.run(*TRY, stdin=json.dumps(settings.probe, sort_keys=True))
    return f"{settings.owner}'s webhook does not answer:\n{done.stderr}" if done.returncode else ""


JOB = Job("webhook", WebhookSettings, {"": run})
