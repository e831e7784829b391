"""An existing cluster is itself, whatever its kubeconfig, its context or its key in the stack file is called."""

from mesh_federation.plan.identity import Recorded, findings

EAST, WEST = Recorded("east-1a2b3c", "uid-of-east"), Recorded("west-1a2b3c", "uid-of-west")


def rules(recorded: dict[str, Recorded], found: dict[str, str]) -> dict[str, str]:
    return {finding.where: finding.rule for finding in findings(recorded, found, found)}


def test_a_cluster_that_is_what_it_was_is_no_finding() -> None:
    assert rules({"east": EAST, "west": WEST}, {"east": EAST.uid, "west": WEST.uid}) == {}
    assert rules({}, {"east": EAST.uid}) == {}
    assert rules({"east": Recorded("east-1a2b3c", "")}, {"east": EAST.uid}) == {}


def test_another_cluster_under_the_same_name_is_refused_and_both_are_named() -> None:
    (finding,) = findings({"east": EAST}, {"east": "other"}, ["east"])
    assert (finding.where, finding.rule) == ("clusters.east.kubeconfig", "another-cluster")
    assert "other" in finding.what and EAST.uid in finding.what


def test_kubeconfigs_that_changed_places_are_refused() -> None:
    assert rules({"east": EAST, "west": WEST}, {"east": WEST.uid, "west": EAST.uid}) == {
        "clusters.east.kubeconfig": "another-cluster",
        "clusters.west.kubeconfig": "another-cluster",
    }


def test_a_renamed_key_is_refused_with_the_name_to_write_again() -> None:
    (finding,) = findings({"east": EAST}, {"prod-east": EAST.uid}, ["prod-east"])
    assert (finding.where, finding.rule) == ("clusters.prod-east", "cluster-renamed")
    assert finding.fix.startswith("write east again")


def test_two_entries_that_are_one_cluster_are_refused_at_the_new_one() -> None:
    assert rules({}, {"a": "x", "b": "x"}) == {"clusters.b.kubeconfig": "one-cluster-twice"}
    assert rules({"east": EAST}, {"east": EAST.uid, "copy": EAST.uid}) == {
        "clusters.copy.kubeconfig": "one-cluster-twice"
    }


def test_a_cluster_that_is_removed_makes_room_for_another() -> None:
    assert rules({"east": EAST}, {"north": "new"}) == {}


def test_a_cluster_that_does_not_answer_a_preview_is_not_taken_for_a_renamed_one() -> None:
    assert list(findings({"east": EAST}, {"copy": EAST.uid}, ["east", "copy"])) == []
