"""Prints a cluster's kubeconfig under its logical name, and keeps a file of it for people.

Certificates are embedded: a kubeconfig that names files looks unchanged when they change.
"""

import json
import sys
from typing import NotRequired, TypedDict

from mesh_federation.clusters import kubeconfigs
from mesh_federation.clusters.settings import ClusterSettings
from mesh_federation.jobs.cluster import alone
from mesh_federation.jobs.job import Job, JobContext
from mesh_federation.process import run

VIEW = ("kubectl", "config", "view", "--raw", "--flatten", "--minify", "--output=json")


class Named(TypedDict):
    """An entry of a kubeconfig's lists."""

    name: str
    context: NotRequired[dict[str, str]]


Minified = TypedDict(
    "Minified",
    {"clusters": list[Named], "users": list[Named], "contexts": list[Named], "current-context": str},
)
"""A kubeconfig cut down to one context."""


def create(settings: ClusterSettings, context: JobContext) -> None:
    """Print the kubeconfig, and write it to kubeconfigs/STACK/CLUSTER, readable by its owner only."""
    workdir = context.workdir
    with alone(settings.name, "create", workdir):
        done = run([*VIEW, f"--kubeconfig={workdir.kubeconfig(settings.name)}"])
        if done.returncode:
            sys.exit(f"no kubeconfig for {settings.name}:\n{done.stderr}")
        text = json.dumps(_renamed(json.loads(done.stdout), settings.logical))
        kubeconfigs.keep(workdir.home / kubeconfigs.shown(settings.stack, settings.logical), text, settings.name)
    print(text)


def delete(settings: ClusterSettings, context: JobContext) -> None:
    """Remove the file, unless it is already another generation's."""
    workdir = context.workdir
    with alone(settings.name, "delete", workdir):
        kubeconfigs.remove(workdir.home / kubeconfigs.shown(settings.stack, settings.logical), settings.name)


def _renamed(config: Minified, context: str) -> Minified:
    """Give the one cluster, user and context the logical name."""
    for entry in (*config["clusters"], *config["users"], *config["contexts"]):
        entry["name"] = context
        if "context" in entry:
            entry["context"] |= {"cluster": context, "user": context}
    return {**config, "current-context": context}


JOB = Job("kubeconfig", ClusterSettings, {"create": create, "delete": delete})
