"""Admission webhooks: a ready Deployment is not yet an endpoint that the API server reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.jobs.webhook import JOB, WebhookSettings
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


@dataclass(frozen=True)
class WebhookArgs:
    """A webhook to wait for.

    Attributes:
        owner: name of the program that answers, for people.
        probe: an object that the webhook admits; it is never stored.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        running: the resources behind the webhook.
        triggers: further values whose change restarts the owner.
    """

    owner: str
    probe: Mapping[str, object]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    running: Sequence[pulumi.Resource]
    triggers: Sequence[pulumi.Input[str]] = ()


def wait_for_webhook(name: str, args: WebhookArgs, parent: pulumi.Resource) -> local.Command:
    """Wait until the webhook admits an object; again whenever its owner restarts."""
    arguments = JobArgs(
        job=JOB,
        settings=WebhookSettings(owner=args.owner, probe=args.probe),
        triggers=[args.target.provider.id, *args.triggers],
        kubeconfig=args.kubeconfig,
        target=args.target,
        after=args.running,
    )
    return job.run(name, arguments, parent)
