"""The APIs by which imports can be routed, by the name that the stack file has for each (`imports[].api`)."""

from collections.abc import Mapping

from mesh_federation.plan.gateway_api import GatewayApi
from mesh_federation.plan.istio_api import IstioApi
from mesh_federation.plan.routing_api import RoutingApi

APIS: Mapping[str, RoutingApi] = {"istio": IstioApi(), "gateway": GatewayApi()}
