"""The members of a fleet make, each in its own cluster, exactly what one stack of all clusters would make there."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from mesh_federation import loader
from mesh_federation.cli.card import told
from mesh_federation.engine.snapshot import Snapshot
from mesh_federation.plan.federation import ClusterPlan, plan
from mesh_federation.stack import card
from mesh_federation.stack.fleet import card_file
from mesh_federation.stack.stack_file import KEY
from mesh_federation.verify.certificates import pem
from tests.authorities import authority

CHECKOUT = Path(loader.__file__).parents[1]
CARDS = CHECKOUT / "tests" / "unit" / "stack" / "fleets" / "cards" / "shop"
ROOTS = {name: card.load(CARDS / f"{name}.yaml")[0]["roots"][0] for name in ("east", "west")}
ROOTS["central"] = (CARDS.parents[1] / "old-root.pem").read_text(encoding="utf-8")
STACKS = sorted(
    file.stem.removeprefix("Pulumi.") for file in CHECKOUT.glob("Pulumi.*.yaml") if "discovery" not in file.read_text()
)
WAVES = 4


def as_fleet(stack: str, folder: Path, domain: str) -> list[str]:
    """Write a committed stack as a fleet on clusters that exist, and its members; return the clusters."""
    document = yaml.safe_load((CHECKOUT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    federation = document["config"][KEY]
    federation["trust"] = {"model": "separate"}
    for number, (name, cluster) in enumerate(federation["clusters"].items()):
        cluster |= {"provisioner": "existing", "kubeconfig": f"{name}.kubeconfig"}
        cluster["clusterDomain"] = "cluster.local" if name == "east" else domain
        cluster["gateway"] = {"addresses": [f"198.51.100.{number + 1}"]}
        member = {KEY: {"memberOf": {"fleet": "fleet", "cluster": name}}}
        (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": member}), encoding="utf-8")
    (folder / "Pulumi.fleet.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return list(federation["clusters"])


def up(cluster: str, folder: Path) -> ClusterPlan:
    """Plan a member, and write the card that its `up` would leave."""
    federation = loader.read(folder / f"Pulumi.{cluster}.yaml")
    planned = plan(federation, "stack").clusters[cluster]
    made = {"name": cluster, "kubeconfig": "k", "gateway": list(planned.addresses), "trustDomain": "x"}
    state = Snapshot("now", {"clusters": {cluster: made}, "trust": {}}, (), {cluster: ROOTS[cluster]})
    left = told(federation, planned, state, list(federation.partners))
    assert left
    file = folder / card_file("fleet", cluster)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(card.written(left), encoding="utf-8")
    return planned


class Values(dict[str, object]):
    """What an `up` fills in: addresses of clusters; each other value is its own name here."""

    def __missing__(self, name: str) -> str:
        """Return a value that nothing else has."""
        return name


VALUES = Values({name: ["198.51.100.77"] for name in ROOTS})


def made_in(planned: ClusterPlan) -> Mapping[str, object]:
    """Everything that a stack makes in a cluster."""
    return {
        "objects": {each.name: (each.filled(VALUES), each.after) for each in planned.objects},
        "values": planned.values,
        "prerequisites": planned.prerequisites,
        "samples": planned.samples,
    }


@pytest.mark.parametrize(
    ("stack", "domain"),
    [
        *((stack, "cluster.local") for stack in STACKS),
        # Of three-meshes, east and another cluster export one host: such exporters have one cluster domain.
        *((stack, "cluster.munich") for stack in STACKS if stack != "three-meshes"),
    ],
)
def test_members_make_what_one_stack_would_make(stack: str, domain: str, tmp_path: Path) -> None:
    clusters = as_fleet(stack, tmp_path, domain)
    for _ in range(WAVES):
        members = {name: up(name, tmp_path) for name in clusters}
    assert not any(loader.read(tmp_path / f"Pulumi.{name}.yaml").waiting for name in clusters)
    whole = plan(loader.read(tmp_path / "Pulumi.fleet.yaml"), "stack").clusters
    for name in clusters:
        assert made_in(members[name]) == made_in(whole[name])


def test_links_wait_for_a_member_whose_authority_has_expired(tmp_path: Path) -> None:
    clusters = as_fleet("east-west", tmp_path, "cluster.local")
    for name in clusters * WAVES:
        up(name, tmp_path)
    file = tmp_path / card_file("fleet", "west")
    left = yaml.safe_load(file.read_text(encoding="utf-8"))
    left["roots"] = [pem(authority("west", days=0).chain[0]).decode()]
    file.write_text(yaml.safe_dump(left), encoding="utf-8")
    waiting = loader.read(tmp_path / "Pulumi.east.yaml").waiting
    assert waiting == ("imports[0] waits for west: the authorities on its card have expired",)
