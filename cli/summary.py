"""What a person sees when a federation is up: what runs, where the kubeconfigs are, what to try next."""

import json
import os
from typing import TypedDict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.engine import Engine
from model import stackfile
from model.config import Federation, Import, Provisioner


class Running(TypedDict):
    """One cluster of the stack's output `clusters`."""

    provisioner: str
    name: str
    kubeconfig: str
    gateway: list[str]
    trustDomain: str


def summarize(engine: Engine, console: Console) -> None:
    """Print the clusters of a stack and the next things to try."""
    output = engine.ask("stack", "output", "clusters", "--json", f"--stack={engine.stack}")
    clusters: dict[str, Running] = json.loads(output)
    table = Table("cluster", "real name", "trust domain", "gateway", box=SIMPLE_HEAD)
    table.add_column("kubeconfig", overflow="fold")
    for name, cluster in clusters.items():
        gateways = ", ".join(cluster["gateway"])
        table.add_row(name, cluster["name"], cluster["trustDomain"], gateways, _file(engine, cluster))
    console.print(table)
    for line in _next(engine, clusters):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _file(engine: Engine, cluster: Running) -> str:
    """Name a kubeconfig file as short as it goes from where the person is."""
    return os.path.relpath(engine.workspace.home / cluster["kubeconfig"])


def _next(engine: Engine, clusters: dict[str, Running]) -> list[str]:
    federation = stackfile.read(engine.workspace.stack_file(engine.stack))
    steps = [step for link in federation.imports[:1] for step in _look_at(federation, link, engine, clusters)]
    steps += [
        (
            f"./mesh preview --stack {engine.stack}",
            f"what a change of Pulumi.{engine.stack}.yaml would do",
        ),
        (f"./mesh down --stack {engine.stack}", "remove everything"),
    ]
    return ["Try next:", *(line for command, about in steps for line in (f"  # {about}", f"  {command}"))]


def _look_at(
    federation: Federation, link: Import, engine: Engine, clusters: dict[str, Running]
) -> list[tuple[str, str]]:
    kubectl = f"kubectl --kubeconfig {_file(engine, clusters[link.cluster])}"
    about = f"{link.service} of {link.source}, as {link.cluster} sees it"
    steps = [('eval "$(./mesh env)"', "kubectl, helm and pulumi for this shell")]
    steps += [(f"{kubectl} get serviceentries -n istio-system -o yaml", about)]
    caller = next((w.reference for w in federation.workloads if (w.cluster, w.sample) == (link.cluster, "sleep")), None)
    if caller and federation.clusters[link.cluster].provisioner is not Provisioner.KWOK:
        export = next(e for e in federation.exports if (e.cluster, e.service) == (link.source, link.service))
        call = f"curl -s http://{link.host}:{export.ports[0].number}/headers"
        steps += [
            (f"{kubectl} -n {caller.namespace} exec deploy/{caller.name} -- {call}", "a request across the meshes")
        ]
    return steps
