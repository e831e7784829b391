"""How the engine is run on a stack: its copy of the stack file, locks of killed runs, clusters in the state."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from yaml import safe_load

from mesh_federation import document
from mesh_federation.clusters import journal
from mesh_federation.clusters.local_cluster import LocalCluster
from mesh_federation.clusters.settings import ClusterSettings, ProviderSettings
from mesh_federation.clusters.workdir import Workdir
from mesh_federation.engine import clusters
from mesh_federation.engine.pulumi import Engine, EngineError, RecordedCluster
from mesh_federation.engine.step import Step
from mesh_federation.jobs.cluster import JOBS
from mesh_federation.loader import layered, parse
from mesh_federation.plan.provisioning import Provision
from mesh_federation.toolchain import pins
from mesh_federation.toolchain.host import Host
from tests.checkout import eventually
from tests.unit.cli.conftest import DECLARED, SOUND, STACK, Desk
from tests.unit.clusters.fake_machine import simulated

SALT = "encryptionsalt: v1:abc:def"


def with_stack(desk: Desk) -> None:
    """Leave what a stack leaves in the checkout's own state."""
    folder = desk.workspace.state() / ".pulumi" / "stacks" / "mesh-federation"
    folder.mkdir(parents=True)
    (folder / f"{STACK}.json").touch()


def makes_salt(desk: Desk) -> None:
    """Let `pulumi stack init` write a salt into the stack file of the folder it runs in, as the real one does."""
    desk.on("stack", f'case "$*" in *init*) echo "{SALT}" >> Pulumi.{STACK}.yaml;; esac')


def test_a_stack_is_made_once_and_its_salt_stays_out_of_the_users_file(desk: Desk) -> None:
    makes_salt(desk)
    desk.engine.open()
    assert desk.calls() == [f"stack init {STACK} --no-select --non-interactive"]
    assert desk.raw_calls()[0].startswith(f"{desk.workspace.projects}: ")
    assert desk.copy.read_text(encoding="utf-8") == f"{DECLARED}{SALT}\n"
    assert desk.stack_file.read_text(encoding="utf-8") == DECLARED


def test_a_stack_that_exists_keeps_its_salt_and_gets_the_stack_file_as_it_is_now(desk: Desk) -> None:
    makes_salt(desk)
    desk.engine.open()
    with_stack(desk)
    desk.stack_file.write_text("config: {a: b}\n", encoding="utf-8")
    desk.engine.open()
    assert len(desk.calls()) == 1
    assert desk.copy.read_text(encoding="utf-8") == f"config: {{a: b}}\n{SALT}\n"


def test_a_salt_that_the_user_committed_is_the_one(desk: Desk) -> None:
    with_stack(desk)
    engine = desk.engine
    desk.copy.write_text(f"config: {{}}\n{SALT}\n", encoding="utf-8")
    theirs = "encryptionsalt: v1:of:theirs"
    desk.stack_file.write_text(f"{theirs}\n{DECLARED}", encoding="utf-8")
    engine.open()
    assert desk.copy.read_text(encoding="utf-8") == f"{DECLARED}{theirs}\n"
    assert desk.stack_file.read_text(encoding="utf-8") == f"{theirs}\n{DECLARED}"


@pytest.mark.parametrize(
    ("file", "there"), [(".json", True), (".json.gz", True), (".json.bak", False), (".json.gz.bak", False)]
)
def test_a_stack_is_there_when_its_state_is_and_not_when_only_a_copy_is_left(
    desk: Desk, file: str, there: bool
) -> None:
    folder = desk.workspace.state() / ".pulumi" / "stacks" / "mesh-federation"
    folder.mkdir(parents=True)
    (folder / f"{STACK}{file}").touch()
    assert desk.engine.exists() is there


@pytest.mark.parametrize(("said", "used"), [({}, "300"), ({"GOGC": "50"}, "50")])
def test_an_engine_that_lives_for_seconds_collects_less_unless_the_user_says_otherwise(
    desk: Desk, said: dict[str, str], used: str
) -> None:
    desk = desk.ambient(**said)
    with_stack(desk)
    desk.on("up", f"echo $GOGC > {desk.root}/seen")
    assert desk.engine.stream("up") == 0
    assert (desk.root / "seen").read_text(encoding="utf-8") == f"{used}\n"


def destroyed_with(desk: Desk) -> list[str]:
    """Remove the stack, and return the lines of the configuration that the engine was given for it."""
    seen = desk.root / "seen"
    desk.on("destroy", f'for word; do case $word in --config-file=*) cp "${{word#--config-file=}}" {seen};; esac; done')
    assert desk.engine.destroy("--yes") == 0
    return seen.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize(
    "broken", [b"", b"- no mapping\n", b"a: [\n", b"null\n", b"encryptionsalt\n", b"\xff\xfe\n", None]
)
def test_what_a_broken_or_lost_stack_file_says_is_kept_from_an_engine_that_only_removes(
    desk: Desk, broken: bytes | None
) -> None:
    with_stack(desk)
    desk.workspace.projects.mkdir(parents=True)
    desk.copy.write_text(f"config: {{}}\n{SALT}\n", encoding="utf-8")
    if broken is None:
        desk.stack_file.unlink()
    else:
        desk.stack_file.write_bytes(broken)
    assert destroyed_with(desk) == [SALT]


def test_a_pipe_for_a_stack_file_is_not_waited_for(desk: Desk) -> None:
    with_stack(desk)
    desk.stack_file.unlink()
    os.mkfifo(desk.stack_file)
    assert destroyed_with(desk) == []


def test_an_engine_that_only_removes_has_the_salt_that_the_user_committed(desk: Desk) -> None:
    with_stack(desk)
    desk.stack_file.write_text(f"a: [\n{SALT}\n", encoding="utf-8")
    assert destroyed_with(desk) == [SALT]


def test_removing_leaves_the_configuration_as_it_was_whether_it_comes_to_its_end_or_not(desk: Desk) -> None:
    with_stack(desk)
    engine = desk.engine
    desk.copy.write_text(f"config: {{a: b}}\n{SALT}\n", encoding="utf-8")
    desk.on("destroy", "exit 255")
    assert engine.destroy() == 255
    assert desk.copy.read_text(encoding="utf-8") == f"config: {{a: b}}\n{SALT}\n"


def test_another_backend_is_asked_for_its_stacks(desk: Desk) -> None:
    other = desk.ambient(PULUMI_BACKEND_URL="s3://states", PATH="/usr/bin:/bin")
    listed = json.dumps([{"name": "org/mesh-federation/dev"}, {"name": "test"}])
    desk.on("stack", f"echo '{listed}'")
    assert other.engine.exists()
    assert not Engine(other.workspace, desk.toolchain, "de").exists()
    assert desk.calls()[0] == "stack ls --json --project=mesh-federation --non-interactive"


@pytest.mark.parametrize(
    ("number", "asking"),
    [
        pytest.param(signal.SIGINT, "kill -INT $PPID; kill -INT $$; sleep 60", id="ctrl-c"),
        pytest.param(signal.SIGTERM, "kill -TERM $PPID; sleep 60 & wait", id="terminated"),
    ],
)
def test_who_ends_a_command_waits_for_the_engine(desk: Desk, number: signal.Signals, asking: str) -> None:
    """Ctrl-C reaches the engine by itself; SIGTERM is passed on to it as Ctrl-C."""
    desk.on("up", f"trap 'touch {desk.root}/ended; exit 1' INT; {asking}")
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        desk.engine.stream("up")
    assert (desk.root / "ended").exists()
    assert signal.getsignal(number) is before


def test_ctrl_c_that_came_too_late_ends_nothing(desk: Desk) -> None:
    desk.on("up", "kill -INT $PPID")
    assert desk.engine.stream("up") == 0


def test_closing_forgets_the_stack_and_its_salt(desk: Desk) -> None:
    engine = desk.engine
    desk.copy.touch()
    engine.close()
    assert desk.calls() == [f"stack rm {STACK} --yes --preserve-config --non-interactive"]
    assert not desk.copy.exists()
    assert desk.stack_file.exists()


def test_closing_clears_copies_of_the_state_and_what_killed_runs_left_but_no_other_stacks(desk: Desk) -> None:
    states = desk.workspace.state() / ".pulumi" / "stacks" / "mesh-federation"
    ours = [states / f"{STACK}.json.bak", desk.workspace.home / "runs" / STACK / "killed" / "kubeconfig1"]
    others = [states / "other.json.bak", desk.workspace.home / "runs" / "other" / "alive" / "kubeconfig1"]
    for file in (*ours, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    desk.engine.close()
    assert [file.exists() for file in (*ours, *others)] == [False, False, True, True]


def test_closing_leaves_the_checkouts_own_state_alone_where_another_backend_has_the_stack(desk: Desk) -> None:
    own = desk.keep_state()
    desk.ambient(PULUMI_BACKEND_URL="s3://states", PATH="/usr/bin:/bin").engine.close()
    assert own.exists()


def test_what_the_engine_says_when_it_fails_is_the_error(desk: Desk) -> None:
    desk.on("cancel", "echo 'error: no such stack' >&2; exit 255")
    with pytest.raises(EngineError, match="^no such stack$"):
        desk.engine.ask("cancel")
    desk.on("cancel", "echo 'said on standard output'; exit 1")
    with pytest.raises(EngineError, match="said on standard output"):
        desk.engine.ask("cancel")


def test_a_run_uses_the_checkout_the_stack_and_the_engines_copy_and_returns_its_status(desk: Desk) -> None:
    desk.on("up", "exit 42")
    assert desk.engine.stream("up", "--yes") == 42
    assert desk.raw_calls() == [f"{desk.workspace.checkout}: up --yes --stack={STACK} --config-file={desk.copy}"]


STEPS = """
warning: something
{"steps": [
    {"op": "same", "urn": "urn:pulumi:dev::mesh-federation::kubernetes:core/v1:Service::east:a/b"},
    {"op": "update", "urn": "urn:pulumi:dev::mesh-federation::kubernetes:core/v1:Service::west:a/b",
     "diffReasons": ["spec"], "detailedDiff": {"spec.type": {}}}
]}
"""


def test_what_a_preview_would_do_is_told_step_by_step(desk: Desk) -> None:
    desk.on("preview", f"cat <<'EOF'{STEPS}EOF")
    assert desk.engine.steps("--refresh") == [
        Step("same", "east:a/b", ()),
        Step("update", "west:a/b", ("spec", "spec.type")),
    ]
    [called] = desk.calls()
    assert called.startswith("preview --json --refresh --stack=dev --config-file=")
    assert not list((desk.workspace.home / "runs").glob("*/*"))


def test_a_preview_that_fails_is_told_in_the_engines_words(desk: Desk) -> None:
    desk.on("preview", "echo 'error: no such thing' >&2; exit 255")
    with pytest.raises(EngineError, match="no such thing"):
        desk.engine.steps()


def test_a_preview_that_the_program_refuses_is_told_in_the_programs_words(desk: Desk) -> None:
    refused = {"diagnostics": [{"severity": "info", "message": "x"}, {"severity": "error", "message": "error: no\n"}]}
    desk.on("preview", f"cat <<'EOF'\n{json.dumps(refused)}\nEOF\nexit 1")
    with pytest.raises(EngineError, match="^no$"):
        desk.engine.steps()


def test_kubeconfigs_that_a_provider_forgets_in_its_temporary_folder_go_with_the_run(desk: Desk) -> None:
    desk.on("up", 'echo secret > "$TMPDIR/kubeconfig1"; echo "$TMPDIR" > "$here/../where"')
    assert desk.engine.stream("up") == 0
    where = Path((desk.root / "where").read_text(encoding="utf-8").strip())
    assert where.is_relative_to(desk.workspace.home) and not where.exists()


# Locks of killed runs.


def lock(desk: Desk, content: object, stack: str = STACK, seconds_ago: float = 0) -> Path:
    folder = desk.workspace.state() / ".pulumi" / "locks" / "organization" / "mesh-federation" / stack
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{len(list(folder.iterdir()))}.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    os.utime(file, (time.time() - seconds_ago,) * 2)
    return file


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


CANCEL = f"cancel --yes --stack={STACK} --non-interactive"
EXPORT = f"stack export --stack={STACK} --non-interactive"
PENDING = {"pending_operations": [{"type": "creating"}, {"type": "deleting"}]}


@pytest.fixture
def state(desk: Desk) -> Path:
    """A state that a killed engine left, and the file in which the stub keeps what is imported over it."""
    kept = desk.root / "imported"
    exported = json.dumps({"version": 3, "deployment": PENDING})
    imports = f'for word; do case $word in --file=*) cp "${{word#--file=}}" {kept};; esac; done'
    desk.on("stack", f"[ $2 = export ] && cat <<'END' || {{ {imports}; }}\n{exported}\nEND")
    return kept


def test_without_a_lock_nothing_is_cancelled(desk: Desk) -> None:
    assert desk.engine.clear_stale_lock() == []
    assert desk.calls() == []


def test_the_lock_of_a_process_that_is_gone_is_cancelled(desk: Desk, dead: int, state: Path) -> None:
    engine = desk.engine
    lock(desk, {"pid": dead})
    assert engine.clear_stale_lock() == [dead]
    assert desk.calls()[:2] == [CANCEL, EXPORT]


def test_what_a_killed_run_had_begun_to_create_is_dropped_and_nothing_else(desk: Desk, dead: int, state: Path) -> None:
    engine = desk.engine
    lock(desk, {"pid": dead})
    engine.clear_stale_lock()
    assert json.loads(state.read_text(encoding="utf-8"))["deployment"] == {"pending_operations": [{"type": "deleting"}]}


def test_the_lock_of_a_process_that_runs_is_kept(desk: Desk) -> None:
    engine = desk.engine
    lock(desk, {"pid": os.getpid()})
    assert engine.clear_stale_lock() == []
    assert desk.calls() == []


def test_a_lock_that_is_older_than_the_process_with_its_number_is_nobodys(desk: Desk, state: Path) -> None:
    engine = desk.engine
    lock(desk, {"pid": os.getpid()}, seconds_ago=10**8)
    assert engine.clear_stale_lock() == [os.getpid()]
    assert desk.calls()[0] == CANCEL


def test_a_live_lock_protects_the_stack_from_being_cancelled(desk: Desk, dead: int) -> None:
    engine = desk.engine
    lock(desk, {"pid": dead})
    lock(desk, {"pid": os.getpid()})
    assert engine.clear_stale_lock() == []
    assert desk.calls() == []


def test_locks_of_other_stacks_are_not_looked_at(desk: Desk, dead: int) -> None:
    engine = desk.engine
    lock(desk, {"pid": dead}, stack="other")
    assert engine.clear_stale_lock() == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": null}', '{"pid": "x"}'])
def test_a_lock_that_cannot_be_read_is_left_to_the_engine(desk: Desk, content: str) -> None:
    engine = desk.engine
    lock(desk, content)
    assert engine.clear_stale_lock() == []
    assert desk.calls() == []


def test_locks_of_another_backend_are_its_own_affair(desk: Desk, dead: int) -> None:
    other = desk.ambient(PULUMI_BACKEND_URL="s3://states")
    engine = other.engine
    lock(desk, {"pid": dead})
    assert engine.clear_stale_lock() == []


def worker(desk: Desk, program: Path, home: Path | None = None) -> "subprocess.Popen[bytes]":
    """Start a program in the environment in which an engine starts its plugins."""
    environment = {"PULUMI_HOME": str(home or desk.workspace.pulumi_home)}
    return subprocess.Popen([program, "60"], env=environment)


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="only Linux tells the programs of processes")
def test_what_a_killed_engine_left_is_ended_and_neither_an_editor_nor_what_is_anothers(desk: Desk) -> None:
    sleep = Path(shutil.which("sleep") or "").resolve()
    plugin = desk.root / "pulumi-resource-command"
    engine = desk.root / "pulumi"
    for copy in (plugin, engine):
        shutil.copy(sleep, copy)
    shell = ["/bin/bash", "-c", f"{plugin} 60 & echo $!; exec -a pulumi {engine} 60"]
    environment = {"PULUMI_HOME": str(desk.workspace.pulumi_home)}
    others = [worker(desk, sleep), worker(desk, plugin, desk.root)]
    with subprocess.Popen(shell, env=environment, stdout=subprocess.PIPE, text=True) as alive:
        assert alive.stdout
        served = psutil.Process(int(alive.stdout.readline()))
        left = worker(desk, plugin)
        eventually(lambda: psutil.Process(left.pid).exe() == str(plugin) and alive_name(alive.pid) == "pulumi")
        desk.engine.end_workers()
        assert not psutil.pid_exists(left.pid)
        assert served.is_running() and all(other.poll() is None for other in others)
        alive.kill()
    served.kill()
    for other in others:
        other.kill()


STANDINS = [piece.standin for piece in pins.load(Host.current()).pieces if piece.standin]


@pytest.mark.skipif(not Path("/proc/self/exe").exists(), reason="only Linux tells the programs of processes")
@pytest.mark.parametrize("standin", STANDINS)
def test_a_stand_in_that_a_killed_engine_left_is_ended_wherever_its_module_lies(desk: Desk, standin: str) -> None:
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", standin]
    environment = {"PULUMI_HOME": str(desk.workspace.pulumi_home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as left:
        assert left.stdout and left.stdout.readline()
        desk.engine.end_workers()
        ended = left.poll() is not None
        left.kill()
    assert ended


def alive_name(pid: int) -> str:
    """Name of a process."""
    return psutil.Process(pid).name()


def test_engines_that_are_at_work_are_told_by_their_locks(desk: Desk, dead: int) -> None:
    engine = desk.engine
    assert engine.at_work() == []
    lock(desk, {"pid": dead})
    lock(desk, {"pid": os.getpid()})
    assert engine.at_work() == [os.getpid()]


# Clusters in the state.


EAST, WEST = simulated("east-1a2b3c", STACK), simulated("west-1", STACK)


def reached(settings: ProviderSettings) -> ClusterSettings:
    """Settings of the job that writes the kubeconfig of a cluster."""
    return ClusterSettings(settings.name, settings.logical, settings.stack)


def command(create: str, settings: ClusterSettings = EAST, **inputs: object) -> dict[str, object]:
    environment = {"JOB": document.write(settings)}
    return {
        "urn": URN,
        "type": "command:local:Command",
        "inputs": {"create": create, "environment": environment, **inputs},
    }


@pytest.mark.parametrize("script", ["namespace", "kubeconfig", "crds", "ownership-check"])
def test_a_command_that_makes_something_else_is_no_cluster(desk: Desk, script: str) -> None:
    """Many are fed a kubeconfig, and some have an action of that name too."""
    created = f"python3 -m mesh_federation.jobs {script} create"
    assert recorded(desk, command(created, reached(EAST), stdin={"ciphertext": "a secret"})) == []


URN = "urn:pulumi:s::mesh-federation::command:local:Command::east-create"
KWOK = "python3 -m mesh_federation.jobs kwok create"
KUBECONFIG = "python3 -m mesh_federation.jobs kubeconfig create"


def recorded(desk: Desk, *resources: dict[str, object]) -> list[RecordedCluster]:
    desk.on("stack", f"cat <<'END'\n{json.dumps({'version': 3, 'deployment': {'resources': resources}})}\nEND")
    return desk.engine.recorded_clusters()


def test_clusters_are_read_from_the_state_with_all_that_makes_them_again(desk: Desk) -> None:
    assert recorded(desk, command(KWOK)) == [
        RecordedCluster(
            urn=URN,
            job=JOBS["kwok"],
            settings=EAST,
        )
    ]
    assert desk.calls() == [f"stack export --stack={STACK} --non-interactive"]


@pytest.mark.parametrize(
    "other",
    [
        command(KUBECONFIG, reached(EAST)),
        command("python3 -m mesh_federation.jobs crds", stdin="x"),
        command("python3 -m mesh_federation.jobs kwok delete", stdin="x"),
        command("python3 -m somebody.elses.script create", stdin="x"),
        command("true", stdin="x"),
        {"type": "command:local:Command", "inputs": {}},
        {"type": "kubernetes:core/v1:Namespace", "inputs": {"create": KWOK, "stdin": "x"}},
    ],
    ids=["kubeconfig", "crds", "delete", "foreign", "short", "empty", "no-command"],
)
def test_what_makes_no_cluster_is_not_taken_for_one(desk: Desk, other: dict[str, object]) -> None:
    assert recorded(desk, other) == []


def kubeconfig(settings: ProviderSettings = EAST) -> dict[str, object]:
    return command(KUBECONFIG, reached(settings))


def test_a_cluster_is_recorded_with_what_writes_its_kubeconfig(desk: Desk) -> None:
    [cluster] = recorded(desk, command(KWOK), kubeconfig(), kubeconfig(WEST))
    assert cluster.kubeconfig == reached(EAST)


def test_an_old_generation_that_still_runs_is_recorded_too(desk: Desk) -> None:
    both = recorded(desk, command(KWOK), command(KWOK) | {"delete": True})
    assert [cluster.outgoing for cluster in both] == [False, True]


def test_the_checkouts_own_state_is_read_without_the_engine_and_another_backends_through_it(desk: Desk) -> None:
    """The engine takes half a second to print what the file holds."""
    outputs = {"clusters": {"east": {"name": "east-1a2b3c"}}}
    resources = [{"type": "pulumi:pulumi:Stack", "urn": "urn:stack", "outputs": outputs}]
    latest = {"manifest": {"time": "then"}, "resources": resources}
    desk.keep_state(json.dumps({"version": 3, "checkpoint": {"stack": STACK, "latest": latest}}))
    assert (desk.engine.outputs(), desk.engine.saved()) == (outputs, "then")
    assert desk.calls() == []
    desk.on("stack", f"echo '{json.dumps({'deployment': {**latest, 'manifest': {'time': 'elsewhere'}}})}'")
    assert desk.ambient(PULUMI_BACKEND_URL="https://api.example.org").engine.saved() == "elsewhere"


@pytest.mark.parametrize(
    "text",
    ['{"version": 4, "checkpoint": {"latest": {"manifest": {"time": "new"}}}}', '{"version": 3, "checkpoint": {}}'],
)
def test_a_state_in_a_form_that_this_program_does_not_know_is_left_to_the_engine(desk: Desk, text: str) -> None:
    desk.keep_state(text)
    desk.on("stack", """echo '{"deployment": {"manifest": {"time": "as told"}}}'""")
    assert desk.engine.saved() == "as told"


def test_the_whole_state_is_read_at_once_with_its_secrets(desk: Desk) -> None:
    recorded(desk, {"urn": "urn::east:a", "type": "kubernetes:core/v1:Namespace", "inputs": {"kind": "Namespace"}})
    before = len(desk.calls())
    assert [each.name for each in desk.engine.snapshot().objects] == ["east:a"]
    assert desk.calls()[before:] == [f"stack export --show-secrets --stack={STACK} --non-interactive"]


EARLIER = [
    command("python3 -m components.provisioners.kwok create", stdin="a"),
    command(KWOK, stdin="a") | {"inputs": {"create": KWOK, "environment": {"CLUSTER": "east-1a2b3c"}, "stdin": "a"}},
    {"urn": "urn", "type": "pulumi:pulumi:Stack", "outputs": {"trust": {"east": {"issuer": "root CA"}}}},
]


@pytest.mark.parametrize("resource", EARLIER, ids=["job", "settings", "trust"])
def test_a_state_of_an_earlier_version_is_refused_in_one_sentence(desk: Desk, resource: dict[str, object]) -> None:
    with pytest.raises(EngineError, match=r"^this stack was brought up by an earlier version of this program; take"):
        recorded(desk, resource)


def test_a_state_of_this_version_is_read(desk: Desk) -> None:
    assert (
        recorded(desk, {"urn": "urn", "type": "pulumi:pulumi:Stack", "outputs": {"trust": {"east": {"version": 1}}}})
        == []
    )


def test_a_new_stack_has_no_clusters(desk: Desk) -> None:
    desk.on("stack", """echo '{"version": 3, "deployment": {"manifest": {}}}'""")
    assert desk.engine.recorded_clusters() == []


# Waking them.


@pytest.fixture
def scripts(desk: Desk) -> Path:
    """A job that records its calls; the environment says which cluster is gone (GONE), and how it fails (FAIL)."""
    desk.job(
        "kwok",
        "import json, os, sys\n"
        "name = json.loads(os.environ['JOB'])['name']\n"
        "with open(os.path.join(os.environ['MESH_HOME'], 'asked'), 'a') as asked:\n"
        '    asked.write(f"{sys.argv[1]} {name} {sys.stdin.read()}\\n")\n'
        "print(os.environ.get('MENDED', ''), end='', file=sys.stderr)\n"
        "sys.exit(3 if os.environ.get('GONE') == name else os.environ.get('FAIL'))\n",
    )
    return desk.workspace.home / "asked"


# Those that the engine never heard of.


def started(desk: Desk, name: str, stack: str = STACK) -> None:
    """Leave the journal of a job that began to make a cluster."""
    cluster = LocalCluster(simulated(name, stack), Workdir(desk.workspace.home, desk.root))
    journal.record(cluster, "kwok")


def test_a_cluster_whose_making_was_cut_short_is_removed_and_said_so(desk: Desk, scripts: Path) -> None:
    started(desk, "east-1a2b3c")
    said: list[str] = []
    clusters.remove_orphans(desk.engine, (), said.append)
    assert scripts.read_text(encoding="utf-8") == "delete east-1a2b3c \n"
    assert said == ["cluster east-1a2b3c, which an earlier run did not complete, is removed"]


def test_clusters_that_stand_and_those_of_other_stacks_are_not_swept(desk: Desk, scripts: Path) -> None:
    started(desk, "east-1a2b3c")
    started(desk, "west-1a2b3c", stack="another")
    clusters.remove_orphans(desk.engine, {"east-1a2b3c"}, told)
    assert not scripts.exists()


def test_a_cluster_that_cannot_be_swept_is_an_error_with_the_words_of_its_job(desk: Desk, scripts: Path) -> None:
    desk = desk.ambient(FAIL="Docker does not run")
    started(desk, "east-1a2b3c")
    with pytest.raises(EngineError, match="Docker does not run"):
        clusters.remove_orphans(desk.engine, (), told)


def told(_: str) -> None:
    """Tell nobody."""


def test_a_cluster_that_is_there_is_started_and_kept(desk: Desk, scripts: Path) -> None:
    recorded(desk, command(KWOK))
    clusters.start_all(desk.engine, told)
    assert scripts.read_text(encoding="utf-8") == "start east-1a2b3c \n"
    assert not [call for call in desk.calls() if call.startswith("state")]


def test_kubeconfigs_are_written_again_for_the_clusters_that_are_there(desk: Desk, scripts: Path) -> None:
    desk.job(
        "kubeconfig",
        "import json, os; print('secret')\n"
        "open(os.path.join(os.environ['MESH_HOME'], json.loads(os.environ['JOB'])['logical']), 'w')",
    )
    desk = desk.ambient(GONE=WEST.name)
    gone = command(KWOK, WEST)
    recorded(desk, command(KWOK), kubeconfig(), gone, kubeconfig(WEST))
    said: list[str] = []
    clusters.start_all(desk.engine, said.append)
    assert (desk.workspace.home / "east").exists() and not (desk.workspace.home / "west").exists()
    assert "secret" not in "".join(said)


def test_a_cluster_that_is_gone_is_no_longer_marked_as_reached_until_it_is_made_anew(desk: Desk, scripts: Path) -> None:
    mark = desk.workspace.home / "kubeconfigs" / STACK / ".east.of"
    mark.parent.mkdir(parents=True)
    mark.write_text("east-1a2b3c", encoding="utf-8")
    desk = desk.ambient(GONE=EAST.name)
    recorded(desk, command(KWOK))
    clusters.start_all(desk.engine, told)
    assert not mark.exists()


def test_clusters_that_the_state_does_not_know_are_not_given_other_authorities(desk: Desk, scripts: Path) -> None:
    mark = desk.workspace.home / "kubeconfigs" / STACK / ".west.of"
    mark.parent.mkdir(parents=True)
    mark.write_text("west-9", encoding="utf-8")
    recorded(desk, command(KWOK))
    with pytest.raises(EngineError, match="dev made west-9 in this checkout, but this checkout's own state does not"):
        clusters.start_all(desk.engine, told)
    assert not scripts.exists()


def test_a_cluster_whose_making_was_cut_short_goes_on_being_made(desk: Desk, scripts: Path) -> None:
    started(desk, "west-1a2b3c")
    recorded(desk, command(KWOK))
    clusters.start_all(desk.engine, told)


def test_what_had_to_be_mended_in_a_cluster_is_told(desk: Desk, scripts: Path) -> None:
    desk = desk.ambient(MENDED="node-1 did not run: restarted\n")
    recorded(desk, command(KWOK))
    said: list[str] = []
    clusters.start_all(desk.engine, said.append)
    assert said == ["node-1 did not run: restarted"]


def test_a_cluster_that_is_gone_is_forgotten_with_all_that_was_in_it_and_said_so(desk: Desk, scripts: Path) -> None:
    desk = desk.ambient(GONE=EAST.name)
    recorded(desk, command(KWOK))
    said: list[str] = []
    clusters.start_all(desk.engine, said.append)
    assert said == ["cluster east-1a2b3c is gone: it is recreated with everything in it"]
    assert desk.calls()[-1] == f"state delete {URN} --target-dependents --yes --stack={STACK} --non-interactive"


def test_an_old_generation_that_is_gone_is_left_to_the_engine(desk: Desk, scripts: Path) -> None:
    desk = desk.ambient(GONE=EAST.name)
    recorded(desk, command(KWOK) | {"delete": True})
    clusters.start_all(desk.engine, told)
    assert not [call for call in desk.calls() if call.startswith("state")]


def test_a_cluster_that_cannot_be_woken_is_an_error_in_its_scripts_words(desk: Desk, scripts: Path) -> None:
    desk = desk.ambient(FAIL="etcd: corrupt")
    recorded(desk, command(KWOK))
    with pytest.raises(EngineError, match="^etcd: corrupt$"):
        clusters.start_all(desk.engine, told)


# Those of a new stack, which are begun before the engine.


def of_simulated_stack(desk: Desk) -> list[Provision]:
    """The clusters of the stack `simulated`."""
    layers = layered(safe_load(SOUND)["config"]["mesh-federation:federation"], desk.stack_file, None)
    return clusters.ours(desk.engine, parse(layers.tree))


def test_clusters_of_a_new_stack_are_begun_before_the_engine_and_found_by_it(desk: Desk, scripts: Path) -> None:
    recorded(desk)
    early = of_simulated_stack(desk)
    assert [each.cluster for each in early] == ["east", "west"]
    with clusters.begun(desk.engine, early):
        made = {f"create {each.name} " for each in early}
        eventually(lambda: scripts.exists() and set(scripts.read_text(encoding="utf-8").splitlines()) == made)
        recorded(desk, command(KWOK))
    assert "delete" not in scripts.read_text(encoding="utf-8")


def test_clusters_that_were_begun_for_an_engine_that_makes_none_are_removed(desk: Desk, scripts: Path) -> None:
    recorded(desk)
    early = of_simulated_stack(desk)
    with pytest.raises(EngineError, match="refused"), clusters.begun(desk.engine, early):
        raise EngineError("refused")
    asked = scripts.read_text(encoding="utf-8").splitlines()
    assert asked[-2:] == [f"delete {each.name} " for each in early]
