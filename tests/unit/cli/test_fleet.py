"""`mesh up --all` and `mesh down --all`: waves, failures and Ctrl-C, with a `mesh` of stubs for each member."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh_federation.cli import fleet as command
from tests.unit.cli.conftest import STACK, Desk, Mesh

FLEET = Path(__file__).parents[1] / "stack" / "fleets"
NAMES = ("east", "north", "west")
OF_ONE = """
import os, signal, sys, time
from pathlib import Path
desk = Path({root!r})
command = sys.argv[1]
[stack] = [each.removeprefix("--stack=") for each in sys.argv if each.startswith("--stack=")]
cluster = stack.removeprefix("shop-")
with (desk / "calls").open("a") as calls:
    calls.write(f"{{command}} {{cluster}}\\n")
turn = (desk / "calls").read_text().splitlines().count(f"{{command}} {{cluster}}")
print("the output of", stack)
together, deadline = desk / "together", time.monotonic() + 60
while together.exists() and len((desk / "calls").read_text().splitlines()) < 3 and time.monotonic() < deadline:
    time.sleep(0.01)  # until all members have begun, so that none of them sees a card of its own wave
with (desk / "overlays").open("a") as overlays:
    print(os.environ.get("MESH_OVERLAY", ""), file=overlays)
broken = Path("cards/shop/west.yaml")
if broken.exists() and "cluster: east" in broken.read_text() and cluster != "west":
    sys.exit("the stack file is invalid")
if (desk / "failing").exists() and stack in (desk / "failing").read_text():
    sys.exit("the engine says no")
if (desk / "terminated").exists():
    def end(number, frame):
        (desk / f"{{cluster}}.ended").touch()
        sys.exit(130)
    signal.signal(signal.SIGTERM, end)
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
if command == "preview":
    print("Previewing", "", "Resources:", "    + 2 to create", "    ~ 1 to update", "    7 unchanged", sep="\\n")
    print("", "Duration: 1s", sep="\\n")
    print(*sys.argv[3:])
if command == "verify":
    wrong = ["", "FAIL a check", "  why"] if cluster == "west" else []
    print("ok  another check", *wrong, "", f"{{stack}}: {{'wrong' if wrong else 'verified'}}", sep="\\n")
    with (desk / "flags").open("a") as flags:
        print(*(each for each in sys.argv[2:] if "--stack" not in each), file=flags)
    if (desk / "killed").exists() and cluster == "east":
        print("no report", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(1 if cluster == "west" else 0)
if (desk / "pressed").exists():
    os.kill(os.getppid(), signal.SIGINT)
for given in (desk / "cards" / str(turn) / f"{{cluster}}.yaml", desk / "cards" / "always" / f"{{cluster}}.yaml"):
    if given.exists():
        Path("cards/shop").mkdir(parents=True, exist_ok=True)
        Path("cards/shop", given.name).write_text(given.read_text().replace("TURN", str(turn)))
"""


@dataclass(frozen=True)
class Members:
    """The stacks of a fleet, whose `mesh` is a stub that records its calls and leaves cards."""

    root: Path
    checkout: Path

    def gives(self, turn: str, cluster: str, text: str) -> None:
        """Say which card a member leaves at its first, second or every run."""
        file = self.root / "cards" / turn / f"{cluster}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def fails(self, *stacks: str) -> None:
        """Say which stacks fail."""
        (self.root / "failing").write_text(" ".join(stacks), encoding="utf-8")

    def calls(self) -> list[str]:
        """Commands and clusters, in the order in which they were run."""
        log = self.root / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def card(which: str, cluster: str) -> str:
    return (FLEET / "cards" / which / f"{cluster}.yaml").read_text(encoding="utf-8")


@pytest.fixture
def members(desk: Desk) -> Members:
    checkout = desk.workspace.checkout
    shutil.copy(FLEET / "Pulumi.shop.yaml", checkout)
    for name in NAMES:
        text = f"config: {{mesh-federation:federation: {{memberOf: {{fleet: shop, cluster: {name}}}}}}}\n"
        (checkout / f"Pulumi.shop-{name}.yaml").write_text(text, encoding="utf-8")
    for package in ("mesh_federation", "mesh_federation/cli"):
        (checkout / package).mkdir()
        (checkout / package / "__init__.py").touch()
    stub = checkout / "mesh_federation" / "cli" / "__main__.py"
    stub.write_text(OF_ONE.format(root=str(desk.root)), encoding="utf-8")
    return Members(desk.root, checkout)


def test_a_wave_runs_the_members_whose_plans_the_last_one_changed(mesh: Mesh, members: Members) -> None:
    members.gives("1", "east", card("shop", "east"))
    members.gives("1", "west", card("half", "west"))
    members.gives("2", "west", card("shop", "west"))
    (members.root / "together").touch()
    done = mesh("up", "--all", "--stack", "shop", "--at-once", "8")
    assert done.status == 0, done.err
    assert [line for line in done.out.splitlines() if line.startswith("wave")] == [
        "wave 1: 3 stacks", "wave 2: 2 stacks", "wave 3: 1 stack",
    ]  # fmt: skip
    assert sorted(members.calls()[:3]) == ["up east", "up north", "up west"]
    assert sorted(members.calls()[3:]) == ["up east", "up east", "up west"]


def test_cards_that_change_nothing_start_no_other_wave(mesh: Mesh, members: Members) -> None:
    shutil.copytree(FLEET / "cards" / "shop", members.checkout / "cards" / "shop")
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 0 and members.calls().count("up east") == 1
    assert "shop: 3 stacks up" in done.out and "wave 2" not in done.out


def test_what_waits_for_a_member_is_told_at_the_end(mesh: Mesh, members: Members) -> None:
    (members.checkout / "Pulumi.shop-west.yaml").unlink()
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 0 and "shop-east: imports[1] waits for west" in done.err


def test_a_member_that_fails_keeps_no_other_from_coming_up(mesh: Mesh, members: Members) -> None:
    members.fails("shop-east")
    members.gives("1", "west", card("half", "west"))
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1
    assert [members.calls().count(f"up {name}") for name in NAMES] == [1, 1, 1]
    assert "shop-east failed" in done.err and "the engine says no" in done.err and "shop-east.up.log" in done.err
    assert "not up: shop-east" in done.err and "shop-west" not in done.err.splitlines()[-1]


def test_the_output_of_each_member_is_kept(mesh: Mesh, members: Members) -> None:
    mesh("up", "--all", "--stack", "shop")
    log = members.checkout / ".mesh" / "logs" / "shop-north.up.log"
    assert log.read_text(encoding="utf-8") == "the output of shop-north\n"


def test_nothing_is_begun_while_a_member_is_invalid(mesh: Mesh, members: Members) -> None:
    file = members.checkout / "Pulumi.shop-east.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("cluster: east", "cluster: eats"), encoding="utf-8")
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1 and "the fleet has no cluster eats" in done.err
    assert members.calls() == []


def test_cards_that_never_settle_end_as_a_failure(mesh: Mesh, members: Members) -> None:
    for name in ("east", "west"):
        members.gives("always", name, card("shop", name).replace("192.0.2.4", "192.0.2.TURN"))
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1 and "not up: shop-" in done.err
    assert len([line for line in done.out.splitlines() if line.startswith("wave")]) == command.MOST_WAVES


def test_after_ctrl_c_what_runs_comes_to_its_end_and_no_other_is_begun(mesh: Mesh, members: Members) -> None:
    (members.root / "pressed").touch()
    done = mesh("up", "--all", "--stack", "shop", "--at-once", "1")
    assert done.status == 130 and len(members.calls()) == 1


def test_who_is_terminated_lets_all_members_end_first(mesh: Mesh, members: Members) -> None:
    (members.root / "terminated").touch()
    done = mesh("up", "--all", "--stack", "shop", "--at-once", "1")
    assert done.status == 130 and len(members.calls()) == 1
    [called] = members.calls()
    assert (members.root / f"{called.removeprefix('up ')}.ended").exists()


def test_a_preview_counts_what_would_change_in_each_member(mesh: Mesh, members: Members) -> None:
    done = mesh("preview", "--all", "--stack", "shop", "--diff")
    assert done.status == 0
    assert sorted(done.out.splitlines()) == [
        f"shop-{name}: + 2 to create, ~ 1 to update, 7 unchanged" for name in NAMES
    ]
    log = members.checkout / ".mesh" / "logs" / "shop-north.preview.log"
    assert log.read_text(encoding="utf-8").endswith("--diff\n")


@pytest.mark.parametrize("command", ["preview", "verify"])
def test_links_that_are_not_made_yet_are_told(mesh: Mesh, members: Members, command: str) -> None:
    (members.checkout / "Pulumi.shop-west.yaml").unlink()
    done = mesh(command, "--all", "--stack", "shop")
    assert "shop-east: imports[1] waits for west" in done.err


def test_a_preview_that_fails_hides_no_other(mesh: Mesh, members: Members) -> None:
    members.fails("shop-east")
    done = mesh("preview", "--all", "--stack", "shop")
    assert done.status == 1 and "the engine says no" in done.err and "shop-west: + 2 to create" in done.out


def test_a_fleet_is_verified_member_by_member_with_what_is_wrong_and_a_summary_of_each(
    mesh: Mesh, members: Members
) -> None:
    done = mesh("verify", "--all", "--stack", "shop", "--only=trust", "--drill", "--warn-days=3")
    assert done.status == 1 and sorted(members.calls()) == ["verify east", "verify north", "verify west"]
    assert {"FAIL a check", "  why", "shop-west: wrong", "shop-east: verified"} <= set(done.out.splitlines())
    assert "another check" not in done.out
    assert set((members.root / "flags").read_text(encoding="utf-8").splitlines()) == {
        "--only=trust --drill --warn-days=3"
    }


def test_a_member_whose_verification_dies_is_not_verified(mesh: Mesh, members: Members) -> None:
    (members.root / "killed").touch()
    done = mesh("verify", "--all", "--stack", "shop")
    assert done.status == 2 and "shop-east.verify.log" in done.out and "no report" in done.out


@pytest.mark.parametrize("option", ["--watch", "--format=json"])
def test_reports_of_a_fleet_are_text_and_end(mesh: Mesh, members: Members, option: str) -> None:
    done = mesh("verify", "--all", "--stack", "shop", option)
    assert done.status != 0 and "--watch and --format are for one stack" in done.err and members.calls() == []


def test_down_removes_all_members_and_no_other_stack(mesh: Mesh, members: Members) -> None:
    done = mesh("down", "--all", "--stack", "shop", "--yes")
    assert (done.status, sorted(members.calls())) == (0, ["down east", "down north", "down west"])
    assert "shop: nothing is left of 3 stacks" in done.out
    members.fails("shop-west")
    done = mesh("down", "--all", "--stack", "shop", "--yes")
    assert done.status == 1 and "not removed: shop-west" in done.err


def test_a_fleet_without_members_is_told_how_to_write_one(mesh: Mesh, members: Members) -> None:
    for name in NAMES:
        (members.checkout / f"Pulumi.shop-{name}.yaml").unlink()
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1 and "memberOf: {fleet: shop, cluster: NAME}" in done.err


def test_two_stacks_of_one_cluster_are_refused(mesh: Mesh, members: Members) -> None:
    shutil.copy(members.checkout / "Pulumi.shop-east.yaml", members.checkout / "Pulumi.again.yaml")
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1 and "again and shop-east are both the stack of east" in done.err
    assert members.calls() == []


def test_what_is_for_one_stack_is_refused_for_all(mesh: Mesh, members: Members) -> None:
    done = mesh("up", "--all", "--call", "--stack", "shop")
    assert done.status == 1 and "--call" in done.err and members.calls() == []


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_stack_file_that_cannot_be_read_is_not_taken_for_no_member(
    mesh: Mesh, members: Members, command: str
) -> None:
    file = members.checkout / "Pulumi.shop-west.yaml"
    file.write_text("config: {mesh-federation:federation: {memberOf: {fleet: shop", encoding="utf-8")
    done = mesh(command, "--all", "--stack", "shop", "--yes")
    assert done.status == 1 and "Pulumi.shop-west.yaml" in done.err and members.calls() == []


def test_a_cluster_without_a_stack_is_told(mesh: Mesh, members: Members) -> None:
    (members.checkout / "Pulumi.shop-west.yaml").unlink()
    done = mesh("down", "--all", "--stack", "shop", "--yes")
    assert done.status == 0 and "west has no stack" in done.err and "2 stacks" in done.out


def test_what_becomes_invalid_in_a_wave_keeps_no_result_of_others_from_being_told(mesh: Mesh, members: Members) -> None:
    broken = card("shop", "west").replace("cluster: west", "cluster: east")
    members.gives("1", "west", broken)
    members.fails("shop-north")
    done = mesh("up", "--all", "--stack", "shop")
    assert done.status == 1
    assert "shop-north failed" in done.err and "not up:" in done.err and "shop-east" in done.err.splitlines()[-1]


def test_an_overlay_is_the_same_file_for_all_members(
    mesh: Mesh, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = members.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.yaml").write_text("images: {sleep: mirror.example/curl:1}\n", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    done = mesh("up", "--all", "--stack", "shop", "--overlay", "mine.yaml")
    assert done.status == 0, done.err
    assert (members.root / "overlays").read_text(encoding="utf-8").split() == [str(elsewhere / "mine.yaml")] * 3


def test_a_fleet_does_not_come_up_as_one_stack_beside_its_members(mesh: Mesh, members: Members) -> None:
    done = mesh("up", "--stack", "shop")
    assert done.status == 1 and "./mesh up --all --stack shop" in done.err
    done = mesh("up", "--all", "--stack", "shop-east")
    assert done.status == 1 and "write --stack shop" in done.err


def test_the_card_of_a_member_goes_with_it_whatever_was_left_of_it(mesh: Mesh, members: Members) -> None:
    shutil.copytree(FLEET / "cards" / "shop", members.checkout / "cards" / "shop")
    edited = members.checkout / "Pulumi.shop.yaml"
    edited.write_text(edited.read_text(encoding="utf-8").replace("      west: ", "      gone: "), encoding="utf-8")
    assert mesh("down", "--stack", "shop-west").status == 0
    assert [file.name for file in (members.checkout / "cards" / "shop").iterdir()] == ["east.yaml"]


def test_a_card_stays_while_another_stack_has_the_cluster(mesh: Mesh, members: Members) -> None:
    shutil.copytree(FLEET / "cards" / "shop", members.checkout / "cards" / "shop")
    shutil.copy(members.checkout / "Pulumi.shop-west.yaml", members.checkout / "Pulumi.again.yaml")
    assert mesh("down", "--stack", "again").status == 0
    assert (members.checkout / "cards" / "shop" / "west.yaml").exists()


def test_a_broken_file_of_a_member_keeps_no_other_stack_from_coming_up(
    mesh: Mesh, answering: Desk, members: Members
) -> None:
    (members.checkout / "Pulumi.shop-west.yaml").write_text("config: {memberOf: {fleet: shop", encoding="utf-8")
    assert mesh("up", "--yes", "--stack", STACK).status == 0
    assert any(call.startswith("up ") for call in answering.calls())
