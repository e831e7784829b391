"""Imports as global: remote instances join a global host (mesh_federation/plan/global_hosts.py)."""

from mesh_federation.plan import local_endpoints
from mesh_federation.plan.imports.base import EntriesImport
from mesh_federation.plan.objects import object_name
from mesh_federation.stack.config import Export, Federation, Import

IMPORT_LABEL = "mesh-federation/import"
"""On entries of a global host whose service the importing cluster does not run: no pod has it (pitfall 28)."""


class GlobalImport(EntriesImport):
    """A service under the name that it has in every mesh; pods of the importing cluster answer too if it runs any."""

    mode = "global"
    role = "import-global"
    joins_global_host = True
    releases_host = False  # the GlobalHost does

    @classmethod
    def has_local_endpoints(cls, federation: Federation, link: Import) -> bool:
        """Pods of the importing cluster answer too if the stack says that it runs the service."""
        return local_endpoints.runs_service(federation, link.cluster, link.service)

    @classmethod
    def endpoint_labels(cls, federation: Federation, link: Import, export: Export) -> dict[str, str]:
        """Return a label that the pods of the service have here, or one that nothing else has."""
        if not cls.has_local_endpoints(federation, link):
            return {IMPORT_LABEL: object_name("import", link.service)}
        name = local_endpoints.canonical_name(federation, link.cluster, link.service)
        return {local_endpoints.CANONICAL_NAME: name or link.service.name}
