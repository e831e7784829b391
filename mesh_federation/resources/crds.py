"""Custom resource definitions: applied in one go, as a megabyte per cluster that stays out of the state.

The engine writes its whole state at every step, and the provider reads the whole schema of a cluster anew after each
definition that it makes itself.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pulumi
from pulumi_command import local

from mesh_federation.jobs.crds import JOB, CrdsSettings
from mesh_federation.resources import job
from mesh_federation.resources.job import JobArgs
from mesh_federation.resources.objects import ClusterTarget

OF_OTHERS = "definitions that others made are left alone if they serve what is needed, else refused"
OF_THE_TOOLCHAIN = ("MESH_CHARTS", "MESH_MANIFESTS")
"""Environment variables that name its folders."""


@dataclass(frozen=True)
class DefinitionsArgs:
    """Definitions, and the cluster that gets them.

    Attributes:
        file: YAML with the definitions; its other objects are left out.
        release: name and version of what they define, for people.
        kubeconfig: of the cluster; secret.
        target: the cluster.
        needed: kinds that definitions of others must serve, as `group/version Kind`; empty: all of the file.
    """

    file: Path
    release: str
    kubeconfig: pulumi.Output[str]
    target: ClusterTarget
    needed: Sequence[str] = ()


def apply(name: str, args: DefinitionsArgs, parent: pulumi.Resource) -> local.Command:
    """Apply all definitions of a file, and wait until the API server serves them; again whenever the file changes.

    They outlive the stack on clusters that are not ours: deleting them would delete their users' objects. Those that
    others made are never changed; no preview knows whether there are any, so it says what would happen to them.
    """
    version, target = sha256(args.file.read_bytes()).hexdigest()[:12], args.target
    folder, file = _portable(args.file)
    applying = JobArgs(
        job=JOB,
        settings=CrdsSettings(
            cluster=target.cluster,
            folder=folder,
            file=file,
            release=args.release,
            note=OF_OTHERS,
            needed=tuple(args.needed),
        ),
        triggers=[version, target.provider.id],
        kubeconfig=args.kubeconfig,
        target=target,
        after=[target.claim] if target.claim else [],
    )
    return job.run(name, applying, parent)


def _portable(file: Path) -> tuple[str, str]:
    """Name a file by the variable of its folder: the state must not differ from one machine to the next."""
    for variable in OF_THE_TOOLCHAIN:
        folder = os.environ.get(variable)
        if folder and file.is_relative_to(folder):
            return variable, str(file.relative_to(folder))
    return "", str(file)
