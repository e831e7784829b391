"""Planned objects become resources: each of them, or none."""

from typing import cast

import pulumi
import pytest

from mesh_federation.plan.objects import PlannedObject
from mesh_federation.resources.objects import ClusterTarget, create_planned

SERVICE = PlannedObject({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "mesh"}})


def test_a_chart_that_renders_an_object_twice_is_refused_before_anything_is_created() -> None:
    nothing = cast(pulumi.ProviderResource, None)
    with pytest.raises(pulumi.RunError, match="cluster east: Service mesh/istiod is rendered twice"):
        create_planned([SERVICE, SERVICE], ClusterTarget("east", nothing, "dev"), cast(pulumi.Resource, None))
