"""`mesh observe`: reads the meshes that belong to others, and writes what a plan must know beside the stack file."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console

from mesh_federation import loader
from mesh_federation.cli import stacks
from mesh_federation.cli.errors import Refused
from mesh_federation.cli.streams import say, tell
from mesh_federation.clusters import kubectl, workdir
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.engine.workspace import Workspace
from mesh_federation.observe import contents
from mesh_federation.observe.facts import Observation, Unobservable, chosen, differences, observation
from mesh_federation.stack import kubeconfig, observed
from mesh_federation.stack.config import Cluster, Federation
from mesh_federation.stack.kubeconfig import UnusableKubeconfig
from mesh_federation.stack.problem import Problem, report
from mesh_federation.verify.kubectl import CachedKubectl
from mesh_federation.verify.verdict import ClusterUnreachable, Inconclusive

RULE = "not-observable"


def observe(stack: str, overlay: Path | None) -> int:
    """Observe every mesh of a stack that belongs to others; the file is written once all of them have answered.

    Returns:
        The exit status: 0 if the stack is valid with what was observed, else 1.

    Raises:
        Refused: a cluster cannot be reached, or holds no Istio that could be federated.
    """
    workspace = stacks.checkout(stack, overlay)
    stack_file = workspace.stack_file(stack)
    federation = declared(workspace, stack)
    theirs = of_others(federation, stack)
    tools = stacks.toolchain(stacks.providers(federation))
    environment = {**workspace.ambient, **workspace.environment(tools)}
    with ThreadPoolExecutor() as pool:
        found = dict(
            zip(
                (each.name for each in theirs),
                pool.map(lambda each: _observe(each, workspace, environment), theirs),
                strict=True,
            )
        )
    if problems := [each for each in found.values() if isinstance(each, Problem)]:
        tell(report(f"{stack} cannot be observed", problems).rstrip("\n"))
        return 1
    seen = {name: each for name, each in found.items() if isinstance(each, Observation)}
    file = observed.beside(stack_file)
    _show(Console(), federation, seen)
    workdir.write(file, observed.written(stack, {name: each.mesh for name, each in seen.items()}))
    tell(f"{file.name} holds what the plan must know: commit it")
    stacks.valid(workspace, stack)
    return 0


def declared(workspace: Workspace, stack: str) -> Federation:
    """Return the federation with its types checked: what is observed may be what its rules lack."""
    with stacks.problems_told(workspace, stack):
        layers = loader.declared(workspace.stack_file(stack), workspace.overlay)
        with layers.checked():
            return loader.typed(layers.tree)


def of_others(federation: Federation, stack: str) -> list[Cluster]:
    """Return the clusters whose Istio belongs to others.

    Raises:
        Refused: there are none.
    """
    found = [each for each in federation.clusters.values() if each.is_existing and not each.istio.install]
    if not found:
        raise Refused(
            Problem(
                "clusters",
                RULE,
                f"no Istio of {stack} belongs to others",
                "write `istio: {install: false}` below each existing cluster whose Istio is installed already",
            )
        )
    return found


def _observe(cluster: Cluster, workspace: Workspace, environment: Mapping[str, str]) -> Observation | Problem:
    """Observe one mesh, by a kubeconfig that is on disk only meanwhile."""
    try:
        sources = kubeconfig.files(cluster.kubeconfig or "", os.environ, workspace.checkout)
        text = json.dumps(kubeconfig.extract(sources, cluster.context or "", cluster.name))
    except UnusableKubeconfig as unusable:
        return Problem(f"{cluster.path}.kubeconfig", RULE, str(unusable), unusable.fix)
    with kubectl.connected(text, Workdir.of(environment)) as access:
        try:
            choose = partial(chosen, revision=cluster.istio.revision, namespace=cluster.istio.namespace)
            return observation(contents.read(CachedKubectl(cluster.name, access.kubeconfig, environment), choose))
        except Unobservable as unobservable:
            return Problem(cluster.path, RULE, f"{cluster.name}: {unobservable.problem}", unobservable.fix)
        except Inconclusive as inconclusive:
            return Problem(cluster.path, RULE, inconclusive.message, _hint(cluster, inconclusive))


def _hint(cluster: Cluster, inconclusive: Inconclusive) -> str:
    """Say what to do; hints of checks are about clusters that a stack brought up."""
    if isinstance(inconclusive, ClusterUnreachable):
        return f"see to it that kubectl reaches the cluster by the kubeconfig of {cluster.path}; then observe again"
    if "forbidden" in inconclusive.message.lower():
        return "let the owner apply what `./mesh observe --rbac SUBJECT` prints"
    return inconclusive.hint


def _show(console: Console, federation: Federation, seen: Mapping[str, Observation]) -> None:
    """Show what was found, and what changed since the last time."""
    for name, each in seen.items():
        mesh, before = each.mesh, federation.clusters[name].observed
        lines = [
            f"{name}: Istio {mesh.version}, revision {mesh.revision or 'default'}, installed by {each.installer}",
            f"  trust domain {mesh.trust_domain}, {len(mesh.roots)} root(s), mutual TLS {mesh.mutual_tls}",
            *([f"  {line}" for line in differences(before, mesh)] if before else []),
        ]
        say(console, "\n".join(lines))
