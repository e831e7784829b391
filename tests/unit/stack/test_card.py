"""Cards of partners: bad ones and the exact text that each gives, and what a good one adds to a federation.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import shutil
from pathlib import Path

import pytest

from mesh_federation import loader
from mesh_federation.stack import card
from mesh_federation.stack.config import Card
from mesh_federation.stack.problem import InvalidModel, report
from tests.golden import Golden

FILES = Path(__file__).with_name("cards")
STACK = FILES / "stack" / "Pulumi.dev.yaml"
BAD = sorted(FILES.glob("*.yaml"))


def _name(path: Path) -> str:
    return path.stem


def good() -> Card:
    found = loader.read(STACK).partners["acme"].mesh
    assert found
    return found


@pytest.mark.parametrize("file", BAD, ids=_name)
def test_a_bad_card_has_exactly_its_problems(golden: Golden, file: Path, tmp_path: Path) -> None:
    stack_file = Path(shutil.copy(STACK, tmp_path))
    shutil.copy(file, tmp_path / "partner.card.yaml")
    with pytest.raises(InvalidModel) as raised:
        loader.read(stack_file)
    text = report("dev", raised.value.problems)
    golden(f"cards/{file.stem}.txt", text)
    assert "Traceback" not in text and str(tmp_path) not in text
    assert "SECRET-VALUE" not in text and "PRIVATE" not in text


def test_no_golden_is_left_behind() -> None:
    assert {file.stem for file in FILES.glob("*.txt")} == {file.stem for file in BAD}


def test_a_partner_is_a_cluster_with_the_exports_of_its_card_and_nothing_of_ours() -> None:
    federation = loader.read(STACK)
    assert list(federation.own) == ["east"]
    partner = federation.clusters["acme"]
    assert (partner.trust_domain, partner.network) == ("west.example", "west-network")
    [export] = [each for each in federation.exports if each.is_of_partner]
    assert (export.cluster, str(export.service), set(export.consumers)) == ("acme", "httpbin/httpbin", {"east"})
    assert federation.roots_of_others == {"acme": good().roots}


def test_a_partners_services_have_the_domain_that_its_card_names(tmp_path: Path) -> None:
    stack_file = Path(shutil.copy(STACK, tmp_path))
    text = card.written(good()).replace("svc.cluster.local", "svc.in.munich")
    (tmp_path / "partner.card.yaml").write_text(
        text.replace("clusterDomain: cluster.local", "clusterDomain: in.munich"), encoding="utf-8"
    )
    federation = loader.read(stack_file)
    [link] = federation.imports
    assert (link.host, link.exported_host) == (
        "httpbin.httpbin.svc.cluster.local",
        "httpbin.httpbin.svc.in.munich",
    )
    assert federation.export_of(link).service_host == link.exported_host


def test_the_fingerprint_is_of_the_trust_domain_and_the_authorities_alone() -> None:
    was = good()
    same = was.model_copy(update={"exports": (), "network": "n2", "roots": (f"\n{was.roots[0]}\n",)})
    assert card.fingerprint(same) == card.fingerprint(was)
    assert card.fingerprint(was.model_copy(update={"trust_domain": "other.example"})) != card.fingerprint(was)


def test_what_is_written_is_read_again_and_names_its_fingerprint(tmp_path: Path) -> None:
    text = card.written(good())
    (tmp_path / "partner.card.yaml").write_text(text, encoding="utf-8")
    shutil.copy(STACK, tmp_path)
    assert loader.read(tmp_path / STACK.name).partners["acme"].mesh == good()
    assert card.fingerprint(good()) in text.splitlines()[1]
