"""The entry of all jobs: `python3 -m mesh_federation.jobs JOB [ACTION]`."""

import sys
from importlib import import_module

MODULES = {
    "crds": "mesh_federation.jobs.crds",
    "egress-ready": "mesh_federation.jobs.egress_ready",
    "existing": "mesh_federation.clusters.existing",
    "export-check": "mesh_federation.jobs.export_check",
    "host-release": "mesh_federation.jobs.host_release",
    "k3d": "mesh_federation.clusters.k3d",
    "kind": "mesh_federation.clusters.kind",
    "kubeconfig": "mesh_federation.jobs.kubeconfig",
    "kwok": "mesh_federation.clusters.kwok",
    "load-balancer": "mesh_federation.jobs.load_balancer",
    "namespace": "mesh_federation.jobs.namespace",
    "ownership-check": "mesh_federation.jobs.ownership_check",
    "prerequisites": "mesh_federation.jobs.prerequisites",
    "proxy-trust": "mesh_federation.jobs.proxy_trust",
    "remote-reader": "mesh_federation.jobs.remote_reader",
    "root-distribution": "mesh_federation.jobs.root_distribution",
    "webhook": "mesh_federation.jobs.webhook",
}
"""Where each job is. The names are in users' states and never change; the modules may move."""


def main() -> None:
    """Run the job that the command line names."""
    _, name, *arguments = [*sys.argv, ""] if len(sys.argv) == 1 else sys.argv
    if name not in MODULES:
        sys.exit(f"usage: python3 -m mesh_federation.jobs {'|'.join(MODULES)} [action]")
    sys.argv = [name, *arguments]
    import_module(MODULES[name]).main()


if __name__ == "__main__":
    main()
