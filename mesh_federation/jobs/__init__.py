"""One-shot work on a cluster or inside it, run by Command resources with nothing but the standard library.

Each job is run as `python3 -m mesh_federation.jobs JOB [ACTION]` in the project's folder, so that a checkout that moves
changes nothing. These words are in the state of every stack: a job that moves to another module keeps its name.
"""

ENTRY = "mesh_federation.jobs"
"""Module that runs every job."""


def command(job: str, action: str = "") -> str:
    """Return the command line of a job, as Command resources have it."""
    return " ".join(["python3", "-m", ENTRY, job, *([action] if action else [])])


def job(line: str) -> tuple[str, str] | None:
    """Return the job and the action of a command line; None where it runs no job."""
    words = line.split()
    if words[1:3] != ["-m", ENTRY] or len(words) not in (4, 5):
        return None
    return words[3], words[4] if len(words) == 5 else ""
