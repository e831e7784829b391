"""The sandbox of a stack: private namespaces in which its native clusters run, with a network of their own.

It is a process that does nothing. Its user, mount, network, process-id, host-name and IPC namespaces last as long as it
does, and everything in them ends with it. Ids in it stand for ids of this machine that nobody else has, so that root of
a pod is no root, also where root started it. Its files are this machine's programs, read-only, and one folder.

Sources: namespaces(7), user_namespaces(7), pivot_root(2).
"""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_federation import document
from mesh_federation.native import id_ranges, network, root_filesystem
from mesh_federation.native.id_ranges import IdMap
from mesh_federation.native.namespaces import NamespaceKind, unshare
from mesh_federation.stack.problem import Problem, ProblemError

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds this package."""
INTERPRETER = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
"""The interpreter itself: a virtual environment is not needed, and may lie where the sandbox sees nothing."""
KINDS = NamespaceKind.MOUNT | NamespaceKind.NETWORK | NamespaceKind.PID | NamespaceKind.UTS | NamespaceKind.IPC
FOLDERS = ("/usr/sbin", "/sbin")
"""Where programs are too that users of some distributions do not have on PATH."""
LIMIT = "user.max_user_namespaces"
FORBIDDING = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
)
"""Sysctls of Ubuntu and Debian, with the value that forbids user namespaces to users, and the one that allows them."""
OF_CONTAINERS = (".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io")
"""Files by which containers of Docker, Podman and Kubernetes are known."""
ZOMBIE = "Z"
"""State of a process that has ended and that nobody has waited for."""
SECONDS_TO_START = 30.0


@dataclass(frozen=True)
class SandboxSettings:
    """What a sandbox is made from.

    Attributes:
        shared: folder that it may write to, as `SHARED`.
        programs: folders that it shows, read-only, at their own paths.
        subnet: CIDR of the network of its nodes and gateways.
    """

    shared: str
    programs: tuple[str, ...]
    subnet: str


@dataclass(frozen=True)
class ProcessId:
    """A process of this machine that no other is mistaken for: numbers are used again.

    Attributes:
        pid: its number.
        started: when it started, in clock ticks since the boot.
        boot: id of that boot.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Describe a running process.

        Raises:
            OSError: it does not run.
        """
        return cls(
            pid, int(_status(pid)[19]), Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        )

    def runs(self) -> bool:
        """Say whether it still runs: one that was killed and that nobody has waited for yet does not."""
        try:
            return ProcessId.of(self.pid) == self and _status(self.pid)[0] != ZOMBIE
        except OSError:
            return False

    def shares(self, pid: int) -> bool:
        """Say whether another process is in the same user namespace."""
        ours, theirs = (os.stat(f"/proc/{each}/ns/user") for each in (self.pid, pid))
        return ours.st_ino == theirs.st_ino

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        while self.runs():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)


@dataclass(frozen=True)
class Sandbox:
    """The sandbox of one stack, by its folder.

    Attributes:
        folder: for its files; only this machine's side reads it.
    """

    folder: Path

    @property
    def shared(self) -> Path:
        """The folder that processes in the sandbox may write to, in which they see it as `SHARED`.

        Nothing in it may be trusted: links in it may lead anywhere.
        """
        return self.folder / "shared"

    @property
    def log(self) -> Path:
        """What it printed when it was made."""
        return self.folder / "sandbox.log"

    @property
    def init(self) -> ProcessId | None:
        """Its first process; None if it does not run."""
        try:
            recorded = document.read(ProcessId, self._record.read_text(encoding="utf-8"), str(self._record))
        except (OSError, document.DocumentError):
            return None
        return recorded if recorded.runs() else None

    def start(self, programs: Sequence[str], subnet: str) -> ProcessId:
        """Start it unless it runs; returns its first process.

        Args:
            programs: folders with programs, which it shows.
            subnet: CIDR of its network.

        Raises:
            ProblemError: this machine cannot have one; says why, and what to do.
        """
        if running := self.init:
            return running
        shown = sorted({str(PACKAGES / "mesh_federation"), sys.base_prefix, *programs})
        _refuse_private([INTERPRETER, *shown])
        ids = id_ranges.of_this_user()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.shared.mkdir(exist_ok=True, mode=0o700)
        return make(SandboxSettings(str(self.shared), tuple(shown), subnet), ids, self.log, self._record)

    def make_folder(self, name: str) -> Path:
        """Make a folder in `shared` that processes in the sandbox may write to, unless it is there."""
        made, owner = self.shared / name, self.shared.stat()
        with suppress(FileExistsError):
            made.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)
        return made

    def holder(self, file: str) -> ProcessId | None:
        """Return the process of the sandbox that holds a lock on a file in `shared`; None if none does.

        Source: proc_locks(5).
        """
        running = self.init
        with suppress(OSError):
            inode = os.stat(self.shared / file, follow_symlinks=False).st_ino
            for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
                _, kind, _, _, pid, place, *_ = line.replace(" -> ", " ").split()
                if kind == "FLOCK" and place.rpartition(":")[2] == str(inode) and running and running.shares(int(pid)):
                    return ProcessId.of(int(pid))
        return None

    def stop(self) -> None:
        """End everything that runs in it, and remove its files."""
        if running := self.init:
            running.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs a program in the sandbox.

        Raises:
            ProblemError: it does not run.
        """
        return [*self.entry(), *words]

    def entry(self, *kinds: str) -> list[str]:
        """Return the words that enter the sandbox, or only the namespaces of some kinds.

        Args:
            kinds: options of nsenter(1); left out: all.

        Raises:
            ProblemError: it does not run.
        """
        running = self.init
        if running is None:
            what, fix = f"no sandbox runs in {self.folder}", "run `./mesh up`, which starts it"
            raise ProblemError(Problem("", "sandbox-gone", what, fix))
        every = ("--user", "--mount", "--net", "--pid", "--uts", "--ipc")
        return ["nsenter", f"--target={running.pid}", "--setuid=0", "--setgid=0", *(kinds or every), "--"]

    @property
    def _record(self) -> Path:
        return self.folder / "sandbox.json"


def environment() -> dict[str, str]:
    """Return the environment of programs in a sandbox: that of this process may hold secrets.

    MESH_HOME tells people whose processes they see.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:{':'.join(FOLDERS)}"
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "MESH_HOME") if name in os.environ}
    fixed = {"HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": path, **kept, **fixed}


def make(settings: SandboxSettings, ids: IdMap, log: Path, record: Path) -> ProcessId:
    """Make a sandbox and return its first process, once its network is there.

    A fresh process does it: a process with threads cannot move to a user namespace. The sandbox stays only once it is
    recorded: one that nobody knows would never end.

    Args:
        settings: what it is made from.
        ids: for its user namespace.
        log: file for what is printed on the way.
        record: file in which its first process is recorded.

    Raises:
        ProblemError: the kernel or a program refuses.
    """
    if os.geteuid() == 0:
        os.chown(settings.shared, *ids.owner)
    command = [INTERPRETER, "-s", "-m", "mesh_federation.native.sandbox", document.write(settings), document.write(ids)]
    kept, keeping = os.pipe()
    with open(keeping, "wb", buffering=0) as kept_by_us, log.open("w", encoding="utf-8") as errors:
        with subprocess.Popen(
            command,
            env=environment(),
            stdin=kept,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as maker:
            os.close(kept)
            limit = threading.Timer(SECONDS_TO_START, maker.kill)
            limit.start()
            first = maker.communicate()[0].strip()
            limit.cancel()
        if maker.returncode or not first.isdigit():
            raise ProblemError(refused(log.read_text(encoding="utf-8").strip(), os.geteuid() == 0))
        started = ProcessId.of(int(first))
        record.write_text(json.dumps(asdict(started)), encoding="utf-8")
        kept_by_us.write(b"+")
    return started


def main(settings: SandboxSettings, ids: IdMap) -> None:
    """Make the sandbox, and print the number of its first process, which stays if a byte comes at standard input."""
    os.umask(0o022)  # what is made is for the ids of the sandbox, of which others than root must read it
    mapped, ready = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _build(settings, ids, mapped, ready)
    os.close(ready[1])
    os.close(mapped[0])
    try:
        if os.read(ready[0], 1):
            ids.write(child)
    finally:
        os.close(mapped[1])
    first = b"".join(iter(lambda: os.read(ready[0], 64), b""))
    os.waitpid(child, 0)
    if not first:
        sys.exit(1)
    print(first.decode())


def _build(settings: SandboxSettings, ids: IdMap, mapped: tuple[int, int], ready: tuple[int, int]) -> None:
    """Move to the namespaces, and start the first process in them; never returns."""
    status = 1
    os.close(1)  # whoever waits for the number must not wait for this process
    try:
        is_root = os.geteuid() == 0
        if is_root:  # only here may root read what the ids of the sandbox must not
            unshare(NamespaceKind.MOUNT)
            root_filesystem.build(Path(settings.shared), settings.programs, ids.owner)
        unshare(NamespaceKind.USER)
        _wait_for_ids(mapped, ready)
        unshare(KINDS)
        if not is_root:
            root_filesystem.build(Path(settings.shared), settings.programs, (0, 0))
        _start_first(settings, ready)
        status = 0
    except (OSError, ProblemError) as error:
        print(error, file=sys.stderr, flush=True)
    os._exit(status)


def _wait_for_ids(mapped: tuple[int, int], ready: tuple[int, int]) -> None:
    os.close(mapped[1])
    os.write(ready[1], b"+")
    os.read(mapped[0], 1)  # ends when the other end is closed
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)


def _start_first(settings: SandboxSettings, ready: tuple[int, int]) -> None:
    """Start the first process, and tell its number once everything is there."""
    done = os.pipe()
    first = os.fork()
    if first == 0:
        _become_first(settings, done)
    os.close(done[1])
    if not os.read(done[0], 1):
        raise OSError("the first process of the sandbox ended")
    os.write(ready[1], str(first).encode())


def _become_first(settings: SandboxSettings, done: tuple[int, int]) -> None:
    """Prepare the namespaces from inside, and rest; never returns."""
    try:
        root_filesystem.mount_own()
        network.make_bridge(settings.subnet)
        os.write(done[1], b"+")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets children that nobody waits for
        os.closerange(1, 1024)
        if os.read(0, 1):
            os.close(0)
            os.execvp("sleep", ["sleep", "infinity"])
    except (OSError, ProblemError) as error:
        print(error, file=sys.stderr, flush=True)
    os._exit(1)


def _refuse_private(paths: Iterable[str]) -> None:
    """Refuse files that the ids of a sandbox of root cannot read, such as those of a checkout made with umask 077.

    Raises:
        ProblemError: root alone can read one; names it.
    """
    for path in paths if os.geteuid() == 0 else ():
        if Path(path).exists() and not os.stat(path).st_mode & stat.S_IXOTH:
            what = f"{path} can be read by root alone, and pods of root run as other users"
            raise ProblemError(Problem("", "private-files", what, f"chmod --recursive go+rX {shlex.quote(path)}"))


def _status(pid: int) -> list[str]:
    """Return the fields of a process's status behind its name, which may hold anything (proc_pid_stat(5)).

    Raises:
        OSError: it is not there.
    """
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def refused(printed: str, is_root: bool, machine: Path = Path("/")) -> Problem:
    """Explain why the kernel refuses a sandbox, by what is known to forbid one.

    Args:
        printed: what it said.
        is_root: whether root asked.
        machine: root of the files that tell what is forbidden.
    """

    def forbids(sysctl: str, value: str) -> bool:
        file = machine / "proc" / "sys" / sysctl.replace(".", "/")
        return file.exists() and file.read_text(encoding="ascii").strip() == value

    for sysctl, value, better in () if is_root else FORBIDDING:
        if forbids(sysctl, value):
            what = f"{sysctl} is {value}: this machine allows users no private namespaces"
            return Problem("", "no-namespaces", what, f"sudo sysctl -w {sysctl}={better}", printed)
    if forbids(LIMIT, "0"):
        what = f"{LIMIT} is 0: this machine allows no private namespaces"
        return Problem("", "no-namespaces", what, f"sudo sysctl -w {LIMIT}=65536", printed)
    if any((machine / file).exists() for file in OF_CONTAINERS):
        what = "this container may not make private namespaces"
        fix = "start it with --privileged (docker run, podman run, a job of a CI service), or use a machine"
        return Problem("", "no-namespaces", what, fix, printed)
    what = "this machine does not allow private namespaces"
    return Problem("", "no-namespaces", what, "use the stack `simulated`, whose pods do not run, or kind", printed)


if __name__ == "__main__":
    main(document.read(SandboxSettings, sys.argv[1], "settings"), document.read(IdMap, sys.argv[2], "ids"))
