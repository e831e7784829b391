"""What `mesh up` prints at the end: the clusters, their kubeconfigs, and what to try next."""

import os
from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesh_federation import loader
from mesh_federation.cli.streams import say
from mesh_federation.engine.outputs import ClusterOutput
from mesh_federation.engine.pulumi import Engine
from mesh_federation.plan.calls import calls
from mesh_federation.stack.config import Import
from mesh_federation.stack.text import printable


def running(engine: Engine) -> Mapping[str, ClusterOutput]:
    """Return the clusters in the outputs of a stack, by logical name."""
    return {name: ClusterOutput.model_validate(each) for name, each in engine.outputs()["clusters"].items()}


def summarize(engine: Engine, clusters: Mapping[str, ClusterOutput], console: Console) -> None:
    """Print a table of the clusters, and commands to try next."""
    table = Table("cluster", "real name", "trust domain", "gateway", box=SIMPLE_HEAD)
    table.add_column("kubeconfig", overflow="fold")
    for name, cluster in clusters.items():
        gateways = ", ".join(cluster.gateway)
        cells = (name, cluster.name, cluster.trust_domain, gateways, _file(engine, cluster))
        table.add_row(*(Text(printable(each)) for each in cells))  # others chose some of them
    console.print(table)
    for line in _next(engine, clusters):
        say(console, line)


def _file(engine: Engine, cluster: ClusterOutput) -> str:
    """Return the path of a kubeconfig, relative to the current folder."""
    return os.path.relpath(engine.workspace.home / cluster.kubeconfig)


def _next(engine: Engine, clusters: Mapping[str, ClusterOutput]) -> list[str]:
    overlay = engine.workspace.overlay
    federation = loader.read(engine.workspace.stack_file(engine.stack), overlay)
    which = f"--stack {engine.stack}{f' --overlay {overlay}' if overlay else ''}"
    steps = (
        [("a request across the meshes, with both identities", f"./mesh call {which}")]
        if any(calls(federation))
        else []
    )
    steps += [step for link in federation.imports[:1] for step in _look_at(link, engine, clusters)]
    steps += [
        ("whether what runs is what is declared, refusals included", f"./mesh verify {which}"),
        (f"what a change of Pulumi.{engine.stack}.yaml would do", f"./mesh preview {which}"),
        ("remove everything", f"./mesh down --stack {engine.stack}"),
    ]
    return ["Try next:", *(line for about, command in steps for line in (f"  # {about}", f"  {command}"))]


def _look_at(link: Import, engine: Engine, clusters: Mapping[str, ClusterOutput]) -> list[tuple[str, str]]:
    kubectl = f"kubectl --kubeconfig {_file(engine, clusters[link.cluster])}"
    return [
        ("kubectl, helm and pulumi for this shell", 'eval "$(./mesh env)"'),
        (
            f"{link.service} of {link.source}, as {link.cluster} sees it",
            f"{kubectl} get serviceentries,workloadentries -A -o yaml",
        ),
    ]
