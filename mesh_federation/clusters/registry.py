"""The registry of providers: schema, rules, plan, doctor, toolchain and jobs know the providers listed here alone."""

from collections.abc import Mapping

from mesh_federation.clusters.existing import Existing
from mesh_federation.clusters.k3d import K3d
from mesh_federation.clusters.kind import Kind
from mesh_federation.clusters.kwok import Kwok
from mesh_federation.clusters.native import Native
from mesh_federation.clusters.provider import Provider

_LISTED: tuple[Provider, ...] = (
    Kwok(),
    Native(),
    Kind(),
    K3d(),
    Existing(),
)

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _LISTED}
"""By name, in the order in which people read them."""
DEFAULT = _LISTED[0].name
"""Provider of a cluster that names none."""
