"""Existing clusters: their kubeconfigs are read, and their identity is checked, before anything else happens.

The state holds no kubeconfig. Each run reads the user's files again and writes one kubeconfig for each cluster, which
the Pulumi provider and all jobs use. So credentials, paths and contexts may change at any time.
"""

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import indent

from mesh_federation.clusters import identity, kubeconfigs, kubectl, workdir
from mesh_federation.clusters.registry import PROVIDERS
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.plan.federation import Plan
from mesh_federation.plan.identity import Recorded, findings
from mesh_federation.stack.kubeconfig import UnusableKubeconfig, extract, files
from mesh_federation.stack.problem import InvalidModel, Problem

SECONDS = 20
"""Time limit for a cluster to answer; credential plugins may have to log in."""
PREVIEW_SECONDS = 5
"""The same in a preview, which continues without an answer."""


def recorded(clusters: Mapping[str, Mapping[str, object]]) -> dict[str, Recorded]:
    """Return the existing clusters in a stack's output `clusters`, by logical name."""
    return {
        name: Recorded(str(each["name"]), str(each.get("uid") or ""))
        for name, each in clusters.items()
        if (provider := PROVIDERS.get(str(each.get("provisioner")))) and not provider.ours
    }


def recognised(stack: str, planned: Plan, before: Mapping[str, Recorded], *, preview: bool) -> None:
    """Read the kubeconfigs of all existing clusters, and refuse a cluster that is not the one of the last `up`.

    Args:
        stack: name of the Pulumi stack.
        planned: its plan.
        before: existing clusters of the last `up`.
        preview: whether to ignore clusters that cannot be reached.

    Raises:
        InvalidModel: a kubeconfig cannot be used, a cluster does not answer, or it is another one; with all problems.
    """
    meant = {name: each for name, each in planned.clusters.items() if each.declared.is_existing}
    here = Workdir.of(os.environ)
    reached, wrong = dict[str, Path](), list[Problem]()
    for name, each in meant.items():
        real = before[name].name if name in before else each.provision.name
        try:
            declared = each.declared
            written, context = declared.kubeconfig or "", declared.context or ""
            keep(here.home, stack, name, real, written, context, Path.cwd())
            reached[name] = here.kubeconfig(real)
        except UnusableKubeconfig as unusable:
            wrong.append(_of_kubeconfig(name, "unusable-kubeconfig", str(unusable), unusable.fix))
            _placeholder(here.kubeconfig(real))
    found = {}
    for name, answer in uids(reached, PREVIEW_SECONDS if preview else SECONDS).items():
        if isinstance(answer, str):
            found[name] = answer
        else:
            problem = f"the identity of the cluster cannot be read:\n{indent(str(answer), '    ')}"
            wrong.append(
                _of_kubeconfig(name, "silent-cluster", problem, "check that kubectl reaches it with this kubeconfig")
            )
    wrong = [*([] if preview else wrong), *findings(before, found, meant)]
    if wrong:
        raise InvalidModel(tuple(wrong))


def _of_kubeconfig(name: str, rule: str, problem: str, fix: str) -> Problem:
    return Problem(f"clusters.{name}.kubeconfig", rule, problem, fix)


def uids(kubeconfigs: Mapping[str, Path], seconds: int) -> dict[str, str | identity.Silent]:
    """Return the UID of each cluster, or why it is not known.

    Args:
        kubeconfigs: the kept kubeconfigs, by logical name.
        seconds: time limit for an answer.
    """
    if not shutil.which("kubectl"):
        return {name: identity.Silent('kubectl is not on PATH: run `eval "$(./mesh env)"`') for name in kubeconfigs}

    def answer(name: str) -> str | identity.Silent:
        try:
            return identity.ask(kubeconfigs[name], seconds)
        except identity.Silent as silent:
            return silent

    with ThreadPoolExecutor() as pool:
        return dict(zip(kubeconfigs, pool.map(answer, kubeconfigs), strict=True))


def keep(home: Path, stack: str, name: str, real: str, written: str, context: str, folder: Path) -> None:
    """Write the kubeconfig of one cluster from the user's files: one file for the stack, and one for people.

    Args:
        home: folder for everything that runs.
        stack: name of the Pulumi stack.
        name: the cluster's logical name.
        real: its real name.
        written: `kubeconfig` of the stack file.
        context: `context` of the stack file.
        folder: base of relative paths.

    Raises:
        UnusableKubeconfig: the files name no cluster, or cannot be read.
    """
    text = json.dumps(extract(files(written, os.environ, folder), context, name))
    workdir.write_secret(home / kubectl.reference(real), text)
    workdir.write_secret(home / kubeconfigs.shown(stack, name), text)  # recorded by the job that an update runs


def _placeholder(file: Path) -> None:
    """Write an empty kubeconfig if there is none: in a preview, the Pulumi provider refuses a missing file."""
    if not file.exists():
        workdir.write_secret(file, json.dumps({"apiVersion": "v1", "kind": "Config"}))
