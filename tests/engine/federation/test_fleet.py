"""A fleet whose clusters have stacks of their own, which know each other by their cards alone."""

import re
from collections.abc import Iterator

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from mesh_federation.stack.stack_file import KEY
from mesh_federation.toolchain.install import Toolchain
from tests.checkout import Checkout, checkout
from tests.rotation import rotating

FLEET = "shop"
MEMBERS = {f"{FLEET}-{cluster}": cluster for cluster in ("east", "west")}
EXPORT = {
    "cluster": "west",
    "service": "httpbin/httpbin",
    "ports": [{"name": "http", "number": 8000, "protocol": "HTTP"}],
    "to": [{"cluster": "east", "serviceAccounts": ["sleep/sleep"]}],
}
DECLARED = {
    "trust": {"model": "separate"},
    "clusters": {cluster: {"provisioner": "kwok"} for cluster in MEMBERS.values()},
    "exports": [EXPORT],
    "imports": [{"cluster": "east", "from": "west", "service": "httpbin/httpbin"}],
    "workloads": [{"cluster": "east", "sample": "sleep"}, {"cluster": "west", "sample": "httpbin"}],
}


@pytest.fixture
def fleet(toolchain: Toolchain) -> Iterator[Checkout]:
    """The checkout of a fleet with two members."""
    with checkout(toolchain, FLEET) as made:
        made.declare(DECLARED)
        for stack, cluster in MEMBERS.items():
            member = {KEY: {"memberOf": {"fleet": FLEET, "cluster": cluster}}}
            made.stack_file(stack).write_text(yaml.safe_dump({"config": member}), encoding="utf-8")
        yield made


def waves(made: Checkout) -> list[str]:
    done = made.mesh("up", "--all", "--yes", f"--stack={FLEET}")
    assert done.code == 0, done.text
    return [line for line in done.stdout.splitlines() if line.startswith("wave")]


def linked(made: Checkout, cluster: str) -> set[str]:
    """Names of the objects that accept another mesh."""
    kinds = "envoyfilters.networking.istio.io,serviceentries.networking.istio.io"
    return {line.partition("/")[2] for line in listed(made, cluster, kinds, "name").split()}


def listed(made: Checkout, cluster: str, kinds: str, form: str) -> str:
    """What the API server of a member lists."""
    file = made.home / "kubeconfigs" / f"{FLEET}-{cluster}" / cluster
    found = made.kubectl(cluster, "get", kinds, "--all-namespaces", f"--output={form}", kubeconfig=file)
    assert found.code == 0, found.text
    return found.stdout


def test_members_link_their_clusters_in_waves_and_each_makes_its_own_half(fleet: Checkout) -> None:
    assert waves(fleet) == ["wave 1: 2 stacks", "wave 2: 1 stack", "wave 3: 1 stack"]
    assert (linked(fleet, "west"), linked(fleet, "east")) == ({"export-httpbin-httpbin"}, {"import-httpbin-httpbin"})
    assert [list(fleet.declared(stack)) for stack in MEMBERS] == [["memberOf"], ["memberOf"]]
    for stack, cluster in MEMBERS.items():
        assert {path.name for path in (fleet.home / "kubeconfigs" / stack).glob("[!.]*")} == {cluster}
        verified = fleet.mesh("verify", f"--stack={stack}")
        assert verified.code == 0 and " 0 failed" in verified.text, verified.text

    assert waves(fleet) == ["wave 1: 2 stacks"]
    for stack in MEMBERS:
        assert "unchanged" in (output := log(fleet, stack)) and "updated" not in output

    cards = (fleet.folder / "cards").rename(fleet.folder / "lost")
    refused = fleet.mesh("up", "--yes", "--stack=shop-east")
    assert refused.code == 1 and "its card is gone" in refused.text and "imports[0] waits for west" in refused.text
    assert linked(fleet, "east") == {"import-httpbin-httpbin"}
    cards.rename(fleet.folder / "cards")

    with fleet.edited() as federation:
        federation.update(exports=[], imports=[])
    assert waves(fleet) == ["wave 1: 2 stacks"]
    assert linked(fleet, "west") == linked(fleet, "east") == set()

    done = fleet.mesh("down", "--all", "--yes", f"--stack={FLEET}")
    assert done.code == 0, done.text
    assert fleet.control_planes() == []
    assert not list(fleet.folder.glob("cards/*/*"))


def log(made: Checkout, stack: str) -> str:
    return (made.home / "logs" / f"{stack}.up.log").read_text(encoding="utf-8")


@pytest.mark.long
def test_in_each_phase_of_a_rotation_every_member_trusts_the_roots_of_the_others_in_that_phase(fleet: Checkout) -> None:
    waves(fleet)
    seen = {}
    for phase in rotating(fleet, root="r2"):
        waves(fleet)
        seen[phase] = {cluster: vouching(fleet, cluster) for cluster in MEMBERS.values()}
        verified = fleet.mesh("verify", "--all", f"--stack={FLEET}")
        assert verified.code == 0, verified.text
    assert waves(fleet) == ["wave 1: 2 stacks"]
    for cluster, other in (("east", "west"), ("west", "east")):
        old, new = f"{other} root CA", f"{other} root CA r2"
        accepted = {phase: {each for each in names[cluster] if each.startswith(other)} for phase, names in seen.items()}
        assert accepted == {"add": {old, new}, "switch": {old, new}, "drop": {new}, "done": {new}}


def vouching(made: Checkout, cluster: str) -> set[str]:
    """Names of the authorities that the filters of a cluster accept."""
    found = listed(made, cluster, "envoyfilters.networking.istio.io", "json")
    texts = re.findall("-----BEGIN.+?-----END CERTIFICATE-----", found)
    read = [x509.load_pem_x509_certificate(each.replace(r"\n", "\n").encode()) for each in texts]
    return {str(each.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) for each in read}
