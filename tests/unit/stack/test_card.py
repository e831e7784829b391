"""Cards of partners: bad ones and the exact text that each gives, and what a good one adds to a federation.

`pytest tests/unit/stack --update-goldens` rewrites the texts.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from mesh_federation import loader
from mesh_federation.plan.federation import plan
from mesh_federation.stack import card
from mesh_federation.stack.config import Card
from mesh_federation.stack.problem import InvalidModel, report
from mesh_federation.stack.stack_file import KEY
from mesh_federation.verify.certificates import pem
from tests.authorities import authority
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


def test_two_partners_may_have_networks_and_domains_of_any_name(tmp_path: Path) -> None:
    stack = yaml.safe_load(STACK.read_text(encoding="utf-8"))
    federation = stack["config"][KEY]
    for name, address in {"acme": "203.0.113.7", "beta": "203.0.113.8"}.items():
        root = pem(authority(name).chain[0]).decode()
        told = good().model_dump(by_alias=True, mode="json", exclude_none=True)
        told |= {"trustDomain": f"{name}.example", "network": "network1", "clusterDomain": "global", "roots": [root]}
        told["gateway"]["addresses"] = [address]
        told["exports"][0] |= {"hosts": ["httpbin.httpbin.svc.global"], "service": "httpbin/httpbin"}
        made = Card.model_validate(told)
        (tmp_path / f"{name}.yaml").write_text(card.written(made), encoding="utf-8")
        federation["partners"][name] = {"card": f"{name}.yaml", "fingerprint": card.fingerprint(made)}
    own = {
        "host": "httpbin.beta.global",
        "ports": [{"name": "http", "number": 80, "protocol": "HTTP", "exported": 8000}],
    }
    federation["imports"].append({"cluster": "east", "from": "beta", "service": "httpbin/httpbin", **own})
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    clusters = loader.read(tmp_path / "Pulumi.dev.yaml").clusters
    assert {name: each.network for name, each in clusters.items()} == {
        "east": "east-network", "acme": "acme-network", "beta": "beta-network",
    }  # fmt: skip


def test_a_partner_is_a_cluster_with_the_exports_of_its_card_and_nothing_of_ours() -> None:
    federation = loader.read(STACK)
    assert list(federation.own) == ["east"]
    partner = federation.clusters["acme"]
    assert (partner.trust_domain, partner.network) == ("west.example", "acme-network")
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


@pytest.mark.parametrize(
    ("admitted", "callers", "trusting"),
    [
        (["payroll/x", "sleep/sleep"], None, ("payroll", "sleep")),
        (["payroll/x", "sleep/sleep"], ["sleep/sleep"], ("sleep",)),
        (None, ["sleep/sleep"], ("sleep",)),
    ],
)
def test_a_card_names_callers_and_the_import_chooses_among_them(
    tmp_path: Path, admitted: list[str] | None, callers: list[str] | None, trusting: tuple[str, ...]
) -> None:
    stack = yaml.safe_load(STACK.read_text(encoding="utf-8"))
    told = good().model_dump(by_alias=True, mode="json", exclude_none=True)
    told["exports"][0]["to"] = [{"trustDomain": "east.local"} | ({"serviceAccounts": admitted} if admitted else {})]
    (tmp_path / "partner.card.yaml").write_text(card.written(Card.model_validate(told)), encoding="utf-8")
    stack["config"][KEY]["imports"][0] |= {"callers": callers} if callers else {}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    [link] = plan(loader.read(tmp_path / "Pulumi.dev.yaml"), "dev").clusters["east"].imports
    assert link.callers == trusting
