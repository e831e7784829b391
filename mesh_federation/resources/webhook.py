"""Waits for admission webhooks: a ready Deployment is not yet an endpoint that the API server reaches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget


@dataclass(frozen=True)
class WebhookArgs:
    """What a wait needs to know.

    Attributes:
        whose: how people call the webhook's owner.
        probe: an object that the webhook admits; it is never kept.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        running: the resources behind the webhook.
        triggers: further values whose change makes the owner start anew.
    """

    whose: str
    probe: Mapping[str, object]
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    running: Sequence[pulumi.Resource]
    triggers: Sequence[pulumi.Input[str]] = ()


def answers(name: str, args: WebhookArgs, parent: pulumi.Resource) -> local.Command:
    """Wait until the webhook admits an object; again whenever its owner starts anew."""
    asking = JobArgs(
        job="webhook",
        environment={"WHOSE": args.whose, "PROBE": json.dumps(args.probe, sort_keys=True)},
        triggers=[args.target.provider.id, *args.triggers],
        kubeconfig=args.kubeconfig,
        target=args.target,
        after=args.running,
    )
    return job.run(name, asking, parent)
