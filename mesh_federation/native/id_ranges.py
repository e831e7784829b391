"""Which user and group ids of this machine a sandbox uses: pods need 65536 of their own.

Sources: user_namespaces(7), subuid(5), newuidmap(1).
"""

import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mesh_federation import process
from mesh_federation.stack.problem import Problem, ProblemError

NEEDED = 65536
FIRST_SUBORDINATE = 100000
"""Where useradd(8) begins to give them (SUB_UID_MIN of login.defs)."""
ROOTS_FIRST = 1879048192
"""First of the ids that a sandbox of root uses: behind those that systemd gives to users and containers."""


@dataclass(frozen=True)
class IdRange:
    """Ids of a user namespace, in a row.

    Attributes:
        inside: the first id in the user namespace.
        outside: the id of this machine that it stands for.
        count: how many.
    """

    inside: int
    outside: int
    count: int

    @property
    def words(self) -> tuple[str, str, str]:
        """The three numbers, as files and programs want them."""
        return str(self.inside), str(self.outside), str(self.count)


@dataclass(frozen=True)
class IdMap:
    """Ids of a sandbox.

    Attributes:
        users: ranges of user ids.
        groups: ranges of group ids.
    """

    users: tuple[IdRange, ...]
    groups: tuple[IdRange, ...]

    @property
    def owner(self) -> tuple[int, int]:
        """The user and the group of this machine that root of the sandbox is."""
        return self.users[0].outside, self.groups[0].outside

    def write(self, pid: int) -> None:
        """Give the ids to the user namespace of a process.

        Raises:
            ProblemError: the kernel, or newuidmap, refuses.
        """
        for kind, ranges in (("uid", self.users), ("gid", self.groups)):
            if os.geteuid() == 0:
                text = "".join(f"{' '.join(each.words)}\n" for each in ranges)
                Path(f"/proc/{pid}/{kind}_map").write_text(text, encoding="ascii")
            else:
                _run_helper(f"new{kind}map", pid, ranges)


def of_this_user() -> IdMap:
    """Return the ids that this user may give to a sandbox.

    Raises:
        ProblemError: there are too few; says how to get them.
    """
    if os.geteuid() == 0:
        return IdMap(*(of_root(Path(f"/proc/self/{kind}_map"), kind) for kind in ("uid", "gid")))
    for helper in ("newuidmap", "newgidmap"):
        if shutil.which(helper) is None:
            raise ProblemError(_no_helper(helper))
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user of a container that its files do not know
        name = str(os.getuid())
    owns = (Path("/etc/subuid"), os.getuid()), (Path("/etc/subgid"), os.getgid())
    return IdMap(*(of_user(file, name, os.getuid(), own) for file, own in owns))


def of_root(given: Path, kind: str) -> tuple[IdRange, ...]:
    """Take ids that nobody else has; inside of a container, which may have none to spare, the container's own.

    Args:
        given: file with the ids that this process has, as /proc/PID/uid_map.
        kind: `uid` or `gid`.

    Raises:
        ProblemError: there are too few.
    """
    have = list(_mapped(given))
    for first in (ROOTS_FIRST, 0):
        if any(each.inside <= first and first + NEEDED <= each.inside + each.count for each in have):
            return (IdRange(0, first, NEEDED),)
    what = f"this container has fewer than {NEEDED} {kind}s"
    raise ProblemError(Problem("", "too-few-ids", what, "start the container without a limit of its ids"))


def _mapped(file: Path) -> Iterator[IdRange]:
    for line in file.read_text(encoding="ascii").splitlines():
        yield IdRange(*map(int, line.split()))


def of_user(file: Path, name: str, user: int, own: int) -> tuple[IdRange, ...]:
    """Take the user's own id as root, and further ones from a file.

    Args:
        file: /etc/subuid or /etc/subgid.
        name: of the user.
        user: the user's id.
        own: the id to begin with: the user's, or the group's.

    Raises:
        ProblemError: the file gives too few; says how to get them.
    """
    given = list(_subordinate(file))
    for whose, first, count in given:
        if whose in (name, str(user)) and count >= NEEDED - 1:
            return IdRange(0, own, 1), IdRange(1, first, NEEDED - 1)
    free = max([FIRST_SUBORDINATE, *(first + count for _, first, count in given)])
    rows = f"{free}-{free + NEEDED - 1}"
    what = f"{file} gives {name} no {NEEDED} ids, which pods need"
    fix = f"sudo usermod --add-subuids {rows} --add-subgids {rows} {name}"
    raise ProblemError(Problem("", "too-few-ids", what, fix))


def _subordinate(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield whose ids the lines of a file are, the first one and how many."""
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        whose, *numbers = line.split(":")
        if len(numbers) == 2 and all(number.isdigit() for number in numbers):
            yield whose, int(numbers[0]), int(numbers[1])


def _run_helper(helper: str, pid: int, ranges: tuple[IdRange, ...]) -> None:
    words = [word for each in ranges for word in each.words]
    done = process.run([helper, str(pid), *words], timeout=10)
    if done.returncode:
        what, fix = f"{helper} refuses", "look at /etc/subuid and /etc/subgid"
        raise ProblemError(Problem("", "too-few-ids", what, fix, done.stderr.strip()))


def _no_helper(helper: str) -> Problem:
    fix = "install the package uidmap (Debian, Ubuntu) or shadow-utils (Fedora, Arch)"
    return Problem("", "program-missing", f"{helper} is not on PATH", fix)
