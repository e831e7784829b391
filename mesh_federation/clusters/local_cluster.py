"""A cluster as this machine knows it: its settings, its files, and its API server."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from mesh_federation.clusters.kubectl import Kubectl
from mesh_federation.clusters.settings import ClusterSpec, ProviderSettings
from mesh_federation.clusters.workdir import Workdir

GONE = 3
"""Exit status by which a job says that its cluster is no longer there."""


@dataclass(frozen=True)
class LocalCluster:
    """A cluster, and where its files are.

    Attributes:
        settings: which cluster it is.
        workdir: where it is made.
        folders: folders of the toolchain, by the variable that names each.
    """

    settings: ProviderSettings
    workdir: Workdir
    folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its real name."""
        return self.settings.name

    @property
    def logical(self) -> str:
        """The name under which people declared it."""
        return self.settings.logical

    @property
    def spec(self) -> ClusterSpec:
        """What the stack file says of it."""
        return self.settings.spec

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.workdir.folder(self.name)

    @property
    def kubeconfig(self) -> Path:
        """How this program reaches it."""
        return self.workdir.kubeconfig(self.name)

    @property
    def kubectl(self) -> Kubectl:
        """Runs kubectl on it."""
        return Kubectl(self.kubeconfig)

    def answers(self) -> bool:
        """Say whether its API server is ready."""
        return self.kubectl.run("get", "--raw=/readyz", "--request-timeout=3s").returncode == 0

    def exit_as_gone(self) -> NoReturn:
        """End the job with status GONE: a cluster that should only be started is no longer there."""
        print(f"cluster {self.name} is gone", file=sys.stderr)
        sys.exit(GONE)
