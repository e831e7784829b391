"""Takes a cluster that exists already: proves that its API server answers, and changes nothing.

usage: python3 -m components.provisioners.existing create|start|delete

Environment:
    CLUSTER: the real name. MESH_HOME: see place.py.
Standard input of create and start: JSON with `kubeconfig`, a file's path, and `context`, empty for its current one.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from components.provisioners import place


def create(name: str, config: dict[str, str]) -> None:
    """Keep a copy of the cluster's kubeconfig, cut to its context, and prove that the cluster answers."""
    source = Path(config["kubeconfig"]).expanduser()
    context = [f"--context={config['context']}"] if config["context"] else []
    view = ["kubectl", "config", "view", "--raw", "--flatten", "--minify", f"--kubeconfig={source}", *context]
    done = place.ask(view)
    if done.returncode:
        sys.exit(f"{source}: no usable context {config['context']!r} for cluster {name}\n{done.stderr}")
    place.folder(name).mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place.kubeconfig(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    if not place.answers(name):
        sys.exit(f"the API server of {name} does not answer: check its kubeconfig and that the cluster runs")


def delete(name: str) -> None:
    """Forget the copied kubeconfig; the cluster stays."""
    shutil.rmtree(place.folder(name), ignore_errors=True)


if __name__ == "__main__":
    # Starting it is not ours; on another machine, or after a change of its kubeconfig, the copy is made anew.
    taken = {action: lambda name: create(name, json.load(sys.stdin)) for action in ("create", "start")}
    place.run({**taken, "delete": delete})
