"""What can be declared but not brought up yet is refused in words, place by place."""

import pytest

from mesh_federation.loader import parse
from mesh_federation.plan.federation import plan
from mesh_federation.stack.problem import InvalidModel

EXPORT = {
    "cluster": "west",
    "service": "a/b",
    "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
    "to": [{"cluster": "east"}],
}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"istio": {"ambient": True}}, "istio.ambient"),
    ],
)
def test_an_unbuilt_feature_is_refused_where_it_is_asked_for(change: dict[str, object], path: str) -> None:
    declared = {"clusters": {"east": {}, "west": {}}, "exports": [EXPORT], **change}
    with pytest.raises(InvalidModel) as refused:
        plan(parse(declared), "test")
    assert [(finding.where, finding.rule) for finding in refused.value.problems] == [(path, "not-built-yet")]


@pytest.mark.parametrize("via", ["direct", "egress"])
@pytest.mark.parametrize("api", ["istio", "gateway"])
@pytest.mark.parametrize("mode", ["remote", "local", "global"])
def test_what_is_built_is_not_refused(mode: str, api: str, via: str) -> None:
    link = {"cluster": "east", "from": "west", "service": "a/b", "as": mode, "api": api, "via": via}
    assert plan(parse({"clusters": {"east": {}, "west": {}}, "exports": [EXPORT], "imports": [link]}), "test").clusters
