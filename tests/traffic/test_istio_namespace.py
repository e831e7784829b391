"""Istio in a namespace of another name. On kind, stacks of one name cannot stand side by side: a file for itself."""

import pytest

from tests.traffic.conftest import Prepare
from tests.traffic.lab import brought_up
from tests.traffic.verified import until_green


@pytest.mark.long
@pytest.mark.parametrize("name", ["egress", "gateway-api", "multi-primary"])
def test_istio_may_be_in_a_namespace_of_another_name(prepare: Prepare, provider: str, name: str) -> None:
    with prepare(name) as made:
        with made.edited() as federation:
            federation["istio"] = {"namespace": "mesh-control"}
        with brought_up(made, provider) as lab:
            assert set(made.up().changes()) == {"unchanged"}
            until_green(lab)
            for cluster in made.clusters():
                assert "NotFound" in lab.kubectl(cluster, "get", "namespace", "istio-system").text
