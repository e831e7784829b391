"""Who ends first is told in time."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from mesh_federation.cli.validate import validate
from mesh_federation.loader import parse
from mesh_federation.plan.expiry import expiring, first
from tests.unit.components.authorities import Issuer, authority
from tests.unit.plan.model import Tree, cluster, tree


def chained(days: int) -> tuple[Issuer, Issuer]:
    """A root of 100 days, and an intermediate that lasts so long."""
    root = authority("Corp root", lasting=timedelta(days=100))
    return authority("Corp mesh", root, lasting=timedelta(days=days)), root


def provided(days: int, **trust: object) -> Tree:
    mesh, root = chained(days)
    given = {"certificate": mesh.pem, "key": mesh.key_pem, "root": root.pem}
    return tree(
        clusters={"east": cluster(10)}, exports=[], imports=[],
        trust={"model": "provided", "provided": {"east": given}, **trust},
    )  # fmt: skip


def test_the_first_to_end_is_found_wherever_it_stands_in_a_chain() -> None:
    mesh, root = chained(20)
    for texts in ((mesh.pem, root.pem), (root.pem + mesh.pem,)):
        assert (first(texts).name, first(texts).days_left) == ("Corp mesh", 19)
    assert first([root.pem]).date == f"{root.certificate.not_valid_after_utc:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("days", "trust", "told"),
    [(20, {}, ["Corp mesh"]), (40, {}, []), (40, {"warnDays": 50}, ["Corp mesh"])],
)
def test_authorities_that_end_within_the_days_of_warning_are_told(days: int, trust: Tree, told: list[str]) -> None:
    assert [each.name for each in expiring(parse(provided(days, **trust)))] == told


def test_what_only_the_engine_can_decrypt_is_not_judged() -> None:
    sealed = {key: {"secure": "v1:a:b"} for key in ("certificate", "key", "root")}
    trust = {"model": "provided", "provided": {"east": sealed}}
    assert expiring(parse(tree(clusters={"east": cluster(10)}, exports=[], imports=[], trust=trust))) == []


def test_validate_warns_and_finds_nothing_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mesh, root = chained(20)
    (tmp_path / "key.pem").write_text(mesh.key_pem, encoding="utf-8")
    file, declared = tmp_path / "Pulumi.test.yaml", provided(20)
    given = {"certificate": mesh.pem, "key": "key.pem", "root": root.pem}
    declared["trust"] = {"model": "provided", "provided": {"east": given}}
    file.write_text(yaml.safe_dump({"config": {"mesh-federation:federation": declared}}), encoding="utf-8")
    assert validate(file, Console()) == 0
    told = capsys.readouterr().out
    assert "no problems" in told
    assert "warning: Corp mesh expires on" in told and "in 19 days" in told
