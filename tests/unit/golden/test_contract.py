"""What lies in users' states: a change here strands stacks that run, and needs a new version of the contract.

The command line of every job and the keys of its document, what every Command of a stack runs, and the shapes of the
outputs `clusters` and `trust`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

from mesh_federation.jobs import catalog
from tests.golden import Golden
from tests.unit.components.conftest import Record
from tests.unit.components.federations import committed, multi_primary, not_ours
from tests.unit.components.recorder import Run

COMMAND = "command:local:Command"


def keys(kind: object) -> object:
    """The keys of a document, nested as they are there."""
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        return {field.name: keys(types[field.name]) for field in fields(kind)}
    nested = [keys(each) for each in get_args(kind)]
    name = kind.__name__ if isinstance(kind, type) else str(kind).removeprefix("collections.abc.")
    return next((each for each in nested if isinstance(each, dict)), name)


def jobs() -> Iterator[tuple[str, object]]:
    for name, job in catalog.jobs().items():
        yield name, {"lines": [job.command(action) for action in job.actions], "document": keys(job.settings)}


def commands(run: Run) -> Iterator[tuple[str, Mapping[str, str]]]:
    """What the Commands of a stack run, by the ends of their names."""
    for each in run.registered:
        if each.type == COMMAND:
            words = ("create", "update", "delete")
            yield each.name, {word: each.body[word] for word in words if word in each.body}


def shape(value: object) -> object:
    """The keys of an output, without its values."""
    if isinstance(value, Mapping):
        return {key: shape(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def test_jobs_commands_and_outputs_are_as_the_states_of_users_have_them(record: Record, golden: Golden) -> None:
    stacks = {
        "simulated": committed("simulated"),
        "egress": committed("egress"),
        "existing": not_ours(),
        "multi-primary": multi_primary("kind"),
        "rotation": {**committed("east-west"), "trust": {"rotation": {"phase": "add", "root": "r2"}}},
    }
    runs = {name: record(tree) for name, tree in stacks.items()}
    contract = {
        "jobs": dict(sorted(jobs())),
        "commands": {name: dict(sorted(commands(run))) for name, run in runs.items()},
        "outputs": {
            name: {output: shape(min(run.exports[output].items())[1]) for output in ("clusters", "trust")}
            for name, run in runs.items()
        },
    }
    golden("contract.json", json.dumps(contract, indent=2) + "\n")
