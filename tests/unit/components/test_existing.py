"""Clusters that exist already: nothing there is replaced, taken over or lost because of how they are reached."""

import copy
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from mesh_federation.clusters import kubeconfigs
from tests.unit.components.conftest import Record
from tests.unit.components.federations import (
    STACKS,
    Tree,
    as_global,
    as_local,
    committed,
    multi_primary,
    not_ours,
    three_clusters,
)  # fmt: skip
from tests.unit.components.recorder import Registered, Run, run

Tools = dict[str, str]


def kubeconfig(tools: Tools, name: str) -> Path:
    return Path(tools["KUBECONFIGS"], name)


def inputs(one: Run) -> dict[tuple[str, str], Any]:
    """Everything that the engine is asked for, but for keys, which are made anew in each of these runs."""
    return {(each.type, each.name): each.body for each in one.registered if not of_keys(each)}


def of_keys(one: Registered) -> bool:
    return (
        one.type.startswith("tls:")
        or one.kind in ("Secret", "Deployment", "EnvoyFilter")
        or one.name.endswith(("-roots", "-webhook"))
    )


@pytest.fixture
def renewed(tools: Tools) -> Iterator[Path]:
    """The kubeconfig of east, which a test may rewrite."""
    file = kubeconfig(tools, "east")
    before = file.read_text(encoding="utf-8")
    yield file
    file.write_text(before, encoding="utf-8")


def test_another_path_or_context_changes_nothing_but_what_is_asked(tools: Tools, tmp_path: Path) -> None:
    shutil.copy(kubeconfig(tools, "east"), tmp_path / "config-2026")
    moved = copy.deepcopy(not_ours())
    moved["clusters"]["east"] |= {"kubeconfig": str(tmp_path / "config-2026"), "context": "admin"}
    before, after = (inputs(run(tree, environment=tools)) for tree in (not_ours(), moved))
    changed = {name: {k for k in body if body[k] != after[name][k]} for name, body in before.items()}
    assert {name[1]: keys for name, keys in changed.items() if keys} == {"east-create": {"environment"}}
    assert before.keys() == after.keys()


def test_renewed_credentials_change_nothing_and_reach_the_provider(tools: Tools, renewed: Path) -> None:
    before = inputs(run(not_ours(), environment=tools))
    text = renewed.read_text(encoding="utf-8")
    renewed.write_text(text.replace("token-of-east", "renewed-token"), encoding="utf-8")
    done = run(not_ours(), environment=tools)
    assert inputs(done) == before
    kept = Path(done.one("kubernetes", "east").body["kubeconfig"])
    assert json.loads(kept.read_text(encoding="utf-8"))["users"][0]["user"] == {"token": "renewed-token"}


def test_no_credentials_of_clusters_that_are_not_ours_are_in_the_state(record: Record) -> None:
    assert not [each.name for each in record(not_ours()).registered if "token-of-" in json.dumps(each.body)]


def test_every_object_is_marked_with_what_the_state_alone_has(record: Record) -> None:
    done = record(not_ours())
    owners = {name: set[str]() for name in ("east", "west")}
    for each in done.objects:
        labels = each.body["metadata"]["labels"]
        owners[labels["mesh-federation/cluster"]].add(labels["mesh-federation/owner"])
    assert [len(each) for each in owners.values()] == [1, 1]
    for name, (owner,) in owners.items():
        assert done.one("Command", f"{name}-claim").settings["owner_id"] == owner
        assert done.one("Command", f"{name}-create").urn in done.before(done.one("Command", f"{name}-claim"))


def test_nothing_is_made_before_the_cluster_is_claimed(record: Record) -> None:
    done = record(not_ours())
    looking = ("-create", "-claim", "-trusting")
    for each in done.registered:
        if each.is_object or (each.kind == "Command" and not each.name.endswith(looking)):
            claim = done.one("Command", f"{each.name.split(':')[0].split('-')[0]}-claim")
            assert claim.urn in done.before(each), each.name


def test_only_what_the_stack_file_names_as_adopted_outlives_the_stack(tools: Tools) -> None:
    tree = not_ours()
    tree["clusters"]["west"]["adopted"] = ["Namespace httpbin", "ServiceAccount httpbin/httpbin"]
    done = run(tree, environment=tools)
    owned = [each for each in done.objects if each.kind != "Namespace"]  # which the engine never deletes anywhere
    assert {each.name for each in owned if each.request.retainOnDelete} <= {"west:httpbin/httpbin"}
    for each in owned:
        adopted = each.body["metadata"]["annotations"].get("mesh-federation/adopted") == "true"
        assert adopted == each.request.retainOnDelete, each.name
    claims = {name: done.one("Command", f"{name}-claim") for name in ("east", "west")}
    assert claims["west"].settings["adopted"] == tree["clusters"]["west"]["adopted"]
    assert all("body" in each for each in json.loads(claims["west"].body["stdin"]))
    assert not any("body" in each for each in json.loads(claims["east"].body["stdin"]))


def left(**clusters: Mapping[str, str]) -> dict[str, object]:
    """Outputs of the run before."""
    return {"clusters": {name: {"provisioner": "existing", **each} for name, each in clusters.items()}}


EAST = {"name": "east-0a1b2c", "uid": "uid-of-east"}
WEST = {"name": "west-0a1b2c", "uid": "uid-of-west"}


def refused(tools: Tools, tree: Tree, before: Mapping[str, object], *, preview: bool = False) -> str:
    with pytest.raises(pulumi.RunError) as raised:
        run(tree, environment=tools, left=before, preview=preview)
    return str(raised.value)


@pytest.mark.parametrize("preview", [True, False])
def test_another_cluster_under_the_same_name_is_refused_before_anything(tools: Tools, preview: bool) -> None:
    told = refused(tools, not_ours(), left(east={**EAST, "uid": "uid-of-another"}, west=WEST), preview=preview)
    assert told.startswith("clusters.east.kubeconfig  another-cluster\n  it leads to the cluster uid-of-east")
    assert "uid-of-another" in told


@pytest.mark.parametrize("preview", [True, False])
def test_a_renamed_key_is_refused_before_anything(tools: Tools, preview: bool) -> None:
    told = refused(tools, not_ours(), left(old=EAST, west=WEST), preview=preview)
    assert told.startswith("clusters.east  cluster-renamed\n") and "-> write old again" in told


def test_a_preview_and_a_refused_update_leave_no_cluster_that_the_state_would_have_to_know(tools: Tools) -> None:
    home = Path(tools["MESH_HOME"])
    run(not_ours(), environment=tools, stack="previewed", preview=True)
    refused(tools, not_ours(), left(old=EAST, west=WEST))
    assert kubeconfigs.reached(home, "previewed") == kubeconfigs.reached(home, "test") == {}
    assert (home / kubeconfigs.shown("previewed", "east")).exists()


def test_two_entries_that_are_one_cluster_are_refused_before_anything(tools: Tools, tmp_path: Path) -> None:
    shutil.copy(kubeconfig(tools, "east"), tmp_path / "same")
    tree = not_ours()
    tree["clusters"]["west"]["kubeconfig"] = str(tmp_path / "same")
    assert "one-cluster-twice" in refused(tools, tree, {})


@pytest.mark.parametrize(("file", "said"), [("missing", "does not exist"), ("silent", "Unauthorized")])
def test_a_cluster_that_is_not_reached_stops_an_update_and_no_preview(tools: Tools, file: str, said: str) -> None:
    tree = not_ours()
    tree["clusters"]["east"]["kubeconfig"] = str(kubeconfig(tools, file))
    assert said in refused(tools, tree, left(east=EAST, west=WEST))
    assert run(tree, environment=tools, preview=True, left=left(east=EAST, west=WEST)).objects


def test_a_cluster_keeps_the_name_that_it_had(tools: Tools) -> None:
    done = run(not_ours(), environment=tools, left=left(east=EAST, west=WEST))
    create = done.one("Command", "east-create")
    assert (create.body["triggers"], create.settings["name"]) == (["0a1b2c"], "east-0a1b2c")
    assert {name: each["uid"] for name, each in done.exports["clusters"].items()} == {
        "east": "uid-of-east",
        "west": "uid-of-west",
    }


def elsewhere(tree: Tree) -> Tree:
    """The same on clusters that exist already."""
    moved = copy.deepcopy(tree)
    for name, cluster in moved["clusters"].items():
        kept = {key: cluster[key] for key in ("trustDomain", "meshID", "network", "locality") if key in cluster}
        moved["clusters"][name] = {**kept, "provisioner": "existing", "kubeconfig": f"$KUBECONFIGS/{name}"}
    return moved


FEDERATIONS = {
    **{stack: committed(stack) for stack in STACKS},
    "three": three_clusters(),
    "as-local": as_local(),
    "as-global": as_global(),
    "multi-primary": multi_primary(),
}


def test_an_object_has_one_urn_whatever_is_declared_around_it(record: Record) -> None:
    """The engine deletes what has another URN after it has made the new one: of one object, nothing would be left."""
    urns: dict[tuple[str, ...], set[str]] = {}
    for tree in FEDERATIONS.values():
        for each in record(elsewhere(tree), preview=True).objects:
            metadata = each.body["metadata"]
            cluster, group = each.name.split(":")[0], each.body["apiVersion"].rpartition("/")[0]
            key = (cluster, group, each.kind, metadata.get("namespace", ""), metadata["name"])
            urns.setdefault(key, set()).add(each.urn)
    assert len(urns) > 100
    assert {key: sorted(found) for key, found in urns.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", FEDERATIONS)
def test_the_ownership_check_lists_every_object_that_is_created_and_no_other(record: Record, name: str) -> None:
    run = record(elsewhere(FEDERATIONS[name]), preview=True)
    made: dict[str, list[tuple[str, ...]]] = {}
    for each in run.objects:
        metadata = each.body["metadata"]
        found = (each.body["apiVersion"], each.kind, metadata.get("namespace", ""), metadata["name"])
        made.setdefault(each.name.split(":")[0], []).append(found)
    for cluster, objects in made.items():
        listed = json.loads(run.one("Command", f"{cluster}-claim").body["stdin"])
        keys = ("apiVersion", "kind", "namespace", "name")
        assert sorted(tuple(each[key] for key in keys) for each in listed) == sorted(objects), cluster
