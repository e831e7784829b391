"""MetalLB in the program: what waits for it, and what it waits for."""

import os
from pathlib import Path

import pulumi
import pytest

from mesh_federation.manifests import published
from tests.unit.components.conftest import Record
from tests.unit.components.federations import committed
from tests.unit.components.recorder import Run


@pytest.fixture
def balanced(record: Record) -> Run:
    return record(committed("east-west"))


def test_no_gateway_asks_for_an_address_before_there_is_a_pool(balanced: Run) -> None:
    for name in ("east", "west"):
        service = balanced.one("Service", f"{name}:istio-system/istio-eastwestgateway")
        before = balanced.before(service)
        assert balanced.one("IPAddressPool", f"{name}:metallb-system/mesh-federation").urn in before
        assert balanced.one("L2Advertisement", f"{name}:metallb-system/mesh-federation").urn in before


def test_a_pool_is_sent_only_when_metallbs_webhook_answers(balanced: Run) -> None:
    for name in ("east", "west"):
        pool = balanced.one("IPAddressPool", f"{name}:metallb-system/mesh-federation")
        answers = balanced.one("Command", f"{name}-metallb-webhook")
        assert answers.urn in pool.dependencies
        assert balanced.one("Deployment", f"{name}:metallb-system/controller").urn in balanced.before(answers)


def test_metallb_starts_after_its_definitions(balanced: Run) -> None:
    for name in ("east", "west"):
        defined = balanced.one("Command", f"{name}-metallb-crds")
        assert (defined.settings["folder"], defined.settings["file"]) == ("MESH_MANIFESTS", "metallb.yaml")
        for starting in (
            balanced.one("Deployment", f"{name}:metallb-system/controller"),
            balanced.one("DaemonSet", f"{name}:metallb-system/speaker"),
        ):
            assert defined.urn in starting.dependencies


def test_metallb_and_istio_are_installed_side_by_side(balanced: Run) -> None:
    pool = balanced.one("IPAddressPool", "east:metallb-system/mesh-federation")
    istiod = balanced.one("Deployment", "east:istio-system/istiod")
    assert istiod.urn not in balanced.before(pool)
    assert pool.urn not in balanced.before(istiod)


def test_a_manifest_of_the_users_own_is_taken_as_it_is(record: Record, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: metallb-system}\n", encoding="utf-8")
    tree = committed("east-west")
    tree["lab"] = {"metallbManifest": str(own)}
    run = record(tree)
    metallb = {each.kind for each in run.objects if "metallb-system" in each.name}
    assert metallb == {"Namespace", "IPAddressPool", "L2Advertisement"}


@pytest.mark.parametrize("text", ["", "just: data\n", "- a\n", "{", "a: b\n--- \nc"])
def test_a_file_that_is_no_manifest_is_refused_with_the_key_to_set(tmp_path: Path, text: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(text, encoding="utf-8")
    with pytest.raises(pulumi.RunError, match=r"lab\.metallbManifest"):
        published.read(bad)


def test_a_manifest_that_never_ends_is_neither_read_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for endless in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(pulumi.RunError, match="pipe or a device"):
            published.read(endless)
        with pytest.raises(pulumi.RunError, match="pipe or a device"):
            published.gateway_api(str(endless))


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=r"none\.yaml"):
        published.read(tmp_path / "none.yaml")


def test_without_the_toolchains_manifest_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_MANIFESTS", raising=False)
    with pytest.raises(pulumi.RunError, match=r"\./mesh install kind"):
        published.metallb("official")
