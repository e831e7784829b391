"""Each `mesh up` compares exports with the Services of clusters that are there, before the engine changes anything."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mesh_federation.engine import exports
from mesh_federation.engine.pulumi import EngineError
from mesh_federation.loader import parse
from mesh_federation.stack.config import Federation
from tests.unit.cli.conftest import STACK, Desk
from tests.unit.components.federations import committed
from tests.unit.components.recorder import ROOT

KUBECTL = """#!/bin/sh
echo "$*" >> 'HERE/asked'
case "$*" in
  *" get service "*) cat 'HERE/service' ;;
  *" get pods "*) echo '{"items": []}' ;;
esac
"""


def federation(*, on_sample: bool = False) -> Federation:
    tree: dict[str, Any] = committed("simulated")
    if not on_sample:
        tree["workloads"] = []
        tree["exports"][0]["ports"][0]["targetPort"] = 8080
    return parse(tree)


@pytest.fixture
def west(desk: Desk) -> Desk:
    """The desk, with a kubeconfig of west and a kubectl that answers from files."""
    (desk.workspace.checkout / "mesh_federation").symlink_to(ROOT / "mesh_federation")
    kubectl = desk.toolchain.bin / "kubectl"
    kubectl.write_text(KUBECTL.replace("HERE", str(desk.root)), encoding="utf-8")
    kubectl.chmod(stat.S_IRWXU)
    kubeconfig = desk.workspace.home / "kubeconfigs" / STACK / "west"
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.write_text("{}", encoding="utf-8")
    serves(desk, app="httpbin")
    return desk


def serves(desk: Desk, **selector: str) -> None:
    spec = {"selector": selector, "ports": [{"port": 8000, "targetPort": 8080}]}
    (desk.root / "service").write_text(json.dumps({"spec": spec}), encoding="utf-8")


def asked(desk: Desk) -> Path:
    return desk.root / "asked"


def test_an_export_that_is_as_its_service_lets_the_engine_go_on(west: Desk) -> None:
    exports.compare(west.engine, federation())
    assert "get service httpbin --namespace=httpbin" in asked(west).read_text(encoding="utf-8")


def test_an_export_beside_which_its_service_was_changed_or_came_later_stops_the_run(west: Desk) -> None:
    serves(west, name="httpbin")
    with pytest.raises(EngineError, match=r"^west exports httpbin/httpbin, which is not as the export says"):
        exports.compare(west.engine, federation())


def test_a_cluster_that_does_not_answer_is_left_to_the_engine(west: Desk) -> None:
    (west.root / "service").unlink()
    (west.toolchain.bin / "kubectl").write_text("#!/bin/sh\necho away >&2\nexit 1\n", encoding="utf-8")
    exports.compare(west.engine, federation())


def test_samples_of_the_stack_and_clusters_that_are_not_there_yet_are_not_asked(west: Desk) -> None:
    exports.compare(west.engine, federation(on_sample=True))
    (west.workspace.home / "kubeconfigs" / STACK / "west").unlink()
    exports.compare(west.engine, federation())
    assert not asked(west).exists()
