"""The entry of all jobs: `python3 -m mesh_federation.jobs JOB [ACTION]`.

It alone reads the environment: the document JOB, the folders, and PULUMI_COMMAND_STDOUT, what the Command printed last.
"""

import os
import sys
from typing import Any

from mesh_federation.clusters.workdir import Workdir
from mesh_federation.document import VARIABLE, DocumentError
from mesh_federation.jobs import catalog
from mesh_federation.jobs.job import ENTRY, PREVIOUS, Job, JobContext
from mesh_federation.process import ProgramMissing, ProgramTimeout
from mesh_federation.stack.text import printable

TOOLCHAIN = ("MESH_CHARTS", "MESH_MANIFESTS", "MESH_IMAGES")
"""Variables that name folders of the toolchain, and its document with the table of images."""


def main(arguments: list[str]) -> None:
    """Run the job that the command line names."""
    job = catalog.job(arguments[0]) if arguments else None
    if job is None:
        sys.exit(f"usage: python3 -m {ENTRY} {'|'.join(catalog.jobs())} [ACTION]")
    if len(arguments) > 2 or (action := "".join(arguments[1:])) not in job.actions:
        sys.exit(f"usage: python3 -m {ENTRY} {job.name} {'|'.join(job.actions)}".rstrip())
    try:
        _run(job, action)
    except SystemExit as ended:
        sys.exit(printable(ended.code) if isinstance(ended.code, str) else ended.code)  # a cluster wrote parts of it


def _run(job: Job[Any], action: str) -> None:
    try:
        settings = job.read(os.environ.get(VARIABLE, ""))
        job.actions[action](settings, _context(job))
    except DocumentError as error:
        sys.exit(f"job {job.name}: {error}")
    except (ProgramMissing, ProgramTimeout) as error:
        sys.exit(str(error))


def _context(job: Job[Any]) -> JobContext:
    return JobContext(
        stdin=sys.stdin.read(),
        workdir=Workdir.of(os.environ),
        previous=os.environ.get(PREVIOUS, ""),
        folders={name: os.environ[name] for name in TOOLCHAIN if name in os.environ},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
