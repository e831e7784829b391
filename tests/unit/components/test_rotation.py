"""While clusters move to other roots, no certificate changes anywhere before all proxies everywhere were asked."""

from datetime import UTC, datetime, timedelta

import pulumi
import pytest

from tests.unit.components.conftest import Record
from tests.unit.components.federations import Tree, committed
from tests.unit.components.recorder import Run, run
from tests.unit.components.test_trust import cacerts


def east_west(**trust: object) -> Tree:
    return {**committed("east-west"), "trust": trust}


def rotating(phase: str, **following: object) -> Tree:
    return east_west(rotation={"phase": phase, "root": "r2", **following})


def left(made: Run) -> dict[str, object]:
    return {"trust": made.exports["trust"]}


def secret(made: Run, cluster: str) -> set[str]:
    return made.before(made.one("Secret", f"{cluster}:istio-system/cacerts"))


@pytest.mark.parametrize("phase", ["add", "switch", "drop"])
def test_certificates_change_when_the_proxies_of_all_clusters_were_asked(record: Record, phase: str) -> None:
    made = record(rotating(phase))
    asking = [made.one("Command", f"{cluster}-trusting").urn for cluster in ("east", "west")]
    for cluster in ("east", "west"):
        assert set(asking) <= secret(made, cluster)


def test_without_a_rotation_no_cluster_waits_for_another(record: Record) -> None:
    made = record(east_west())
    assert not [each for each in made.registered if each.name.endswith("-trusting")]
    others = {urn for urn in secret(made, "east") if "west" in urn.rpartition("::")[2]}
    assert all("CertificateAuthority" in urn for urn in others), "others are known by their authorities alone"


def test_simulated_clusters_have_no_proxies_to_ask(record: Record) -> None:
    tree = {**committed("simulated"), "trust": {"rotation": {"phase": "add", "root": "r2"}}}
    assert not [each for each in record(tree).registered if each.name.endswith("-trusting")]


def test_workloads_start_anew_in_each_phase_and_by_no_other_intermediate(record: Record) -> None:
    def stamp(tree: Tree, cluster: str, deployment: str) -> str:
        body = record(tree).one("Deployment", f"{cluster}:{deployment}").body
        return str(body["spec"]["template"]["metadata"]["annotations"]["mesh-federation/trust"])

    renewed = east_west()
    renewed["clusters"]["east"]["intermediate"] = "i2"
    assert record(renewed).one("LocallySignedCert", "east-intermediate-i2")
    phases = [east_west(), *map(rotating, ("add", "switch", "drop"))]
    for deployment in ("istio-system/istio-eastwestgateway", "sleep/sleep", "istio-system/istiod"):
        assert len({stamp(phase, "east", deployment) for phase in phases}) == len(phases)


def test_a_rotation_ends_as_the_plain_stack_file_begins(record: Record) -> None:
    dropped, finished = record(rotating("drop")), record(east_west(root="r2"))
    names = {each.name for each in dropped.registered} - {each.name for each in finished.registered}
    assert names == {"east-trusting", "west-trusting"}
    assert {each.name for each in finished.registered} <= {each.name for each in dropped.registered}


def test_the_next_step_is_compared_with_what_the_last_one_left(record: Record, tools: dict[str, str]) -> None:
    before = record(east_west())
    assert before.exports["trust"]["east"]["version"] == 1
    assert before.exports["trust"]["east"]["issuer"]["commonName"] == "root CA"
    run(rotating("add"), left=left(before), environment=tools)
    with pytest.raises(pulumi.RunError, match="rotation-step"):
        run(rotating("switch"), left=left(before), environment=tools)


@pytest.mark.parametrize("preview", [True, False])
def test_a_state_of_an_earlier_version_is_refused(tools: dict[str, str], preview: bool) -> None:
    earlier = {"trust": {"east": {"issuer": "root CA of mesh-federation, ECDSA P256, 3650 days", "accepted": []}}}
    with pytest.raises(pulumi.RunError, match=r"^this stack was brought up by an earlier version .* first$"):
        run(east_west(), left=earlier, environment=tools, preview=preview)


def test_a_preview_tells_it_too(record: Record, tools: dict[str, str]) -> None:
    before = record(east_west())
    with pytest.raises(pulumi.RunError, match="phase add, then switch, then drop"):
        run(east_west(model="separate"), left=left(before), environment=tools, preview=True)


def test_the_record_says_what_ends_first(record: Record) -> None:
    east = record(east_west(rootDays=20, intermediateDays=10)).exports["trust"]["east"]
    assert east["endsFirst"] == "east intermediate CA"
    left = datetime.fromisoformat(east["ends"]).replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(days=8) < left < timedelta(days=10)


def test_a_run_warns_of_authorities_that_end_soon(tools: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi, "warn", told.append)
    run(east_west(intermediateDays=10), environment=tools)
    assert len(told) == 2 and all("intermediate CA ends on" in line and "another name" in line for line in told)
    run(east_west(intermediateDays=10, warnDays=5), environment=tools)
    assert len(told) == 2


def test_every_cluster_trusts_both_ends_of_a_change_of_the_model(record: Record) -> None:
    tree = east_west(rotation={"phase": "switch", "model": "separate", "root": "r2"})
    east = cacerts(record(tree), "east")
    assert len(east.roots) == 2, "its own of both ends"
    tree["trust"]["scope"] = "mesh"
    assert len(cacerts(record(tree), "east").roots) == 3
    assert "east root CA" in east.links[-1].subject.rfc4514_string()
