"""Applies custom resource definitions: one server-side apply, as a megabyte a cluster stays out of the state.

usage: python3 -m components.provisioners.crds

Environment:
    CRDS: file with the definitions; variables in it are expanded, and its other objects are left out.
Standard input: the cluster's kubeconfig.
"""

import os
import re
import sys
from pathlib import Path

from components.provisioners import access, place

SEPARATOR = re.compile(r"^---.*$", re.MULTILINE)
DEFINITION = re.compile(r"^kind: *CustomResourceDefinition *$", re.MULTILINE)

APPLY = ("apply", "--server-side", "--force-conflicts", "--filename=-")
WAIT = ("wait", "--for=condition=Established", "--timeout=60s", "--filename=-")
"""It gives up at once on a definition that has no conditions yet, as on a busy API server, so it is asked again."""
TIMEOUT = 60
"""Seconds; one or two are usual."""


def main() -> None:
    """Apply the definitions and wait until the API server serves them."""
    file = os.path.expandvars(os.environ["CRDS"])
    definitions = _definitions(file)
    with access.kubectl(sys.stdin.read()) as kubectl:
        if failure := _failure(kubectl, APPLY, file, definitions):
            sys.exit(failure)
        place.until_whole(lambda: _failure(kubectl, WAIT, file, definitions), TIMEOUT)


def _failure(kubectl: list[str], step: tuple[str, ...], file: str, definitions: str) -> str:
    done = place.ask([*kubectl, *step], definitions)
    return f"{file}: kubectl {step[0]} failed\n{done.stderr}" if done.returncode else ""


def _definitions(file: str) -> str:
    try:
        documents = SEPARATOR.split(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        sys.exit(f"{file} cannot be read: {error.strerror}")
    found = [document for document in documents if DEFINITION.search(document)]
    if not found:
        sys.exit(f"{file} holds no CustomResourceDefinition")
    return "---".join(found)


if __name__ == "__main__":
    main()
