"""Every combination of import options that the schema allows can be planned."""

import pytest

from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan

EXPORT = {
    "cluster": "west",
    "service": "a/b",
    "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
    "to": [{"cluster": "east"}],
}


@pytest.mark.parametrize("via", ["direct", "egress"])
@pytest.mark.parametrize("api", ["istio", "gateway"])
@pytest.mark.parametrize("mode", ["remote", "local", "global"])
def test_every_combination_of_import_options_can_be_planned(mode: str, api: str, via: str) -> None:
    link = {"cluster": "east", "from": "west", "service": "a/b", "as": mode, "api": api, "via": via}
    assert plan(parse({"clusters": {"east": {}, "west": {}}, "exports": [EXPORT], "imports": [link]}), "test").clusters
