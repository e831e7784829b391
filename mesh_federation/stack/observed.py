"""The file observed.<stack>.yaml beside a stack file: what `mesh observe` read of meshes that belong to others.

It is committed, so that a preview needs no cluster and a pull request shows what changed in one. It is laid under the
stack file, and holds nothing but `clusters.<name>.observed`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mesh_federation.stack import yaml_writer
from mesh_federation.stack.config import ObservedMesh
from mesh_federation.stack.problem import Problem
from mesh_federation.stack.rule_ids import FederationRule
from mesh_federation.stack.text import key_path
from mesh_federation.stack.tree import Tree

KEY = "observed"
HEAD = """# Written by `mesh observe --stack {stack}`: what the plan must know of meshes that belong to others.
# Commit this file. Do not edit it: run the command again when a mesh has changed.
"""


def beside(stack_file: Path) -> Path:
    """Return the file of a stack, whether it exists or not."""
    return stack_file.with_name(f"{KEY}.{stack_file.name.removeprefix('Pulumi.')}")


def load(file: Path) -> tuple[Tree, list[Problem]]:
    """Read the file of a stack.

    Returns:
        What it lays under the stack file, nothing if there is no file; and the problems of the file.
    """
    from mesh_federation.stack import yaml_reader  # every command loads this module, and PyYAML takes time

    if not file.exists():
        return {}, []
    again = "run mesh observe again"
    tree, problems = yaml_reader.mapping(file, "a mapping", again, f"make the file readable, or {again}")
    strange = [*problems, *_strange(tree)]
    return ({}, strange) if strange else (tree, [])


def _strange(tree: Tree) -> Iterator[Problem]:
    """Yield what is more than observed meshes: whoever changes this file must not change what is declared."""
    for key, value in tree.items():
        if key != "clusters" or not isinstance(value, Mapping):
            yield _not_observed(str(key))
            continue
        for name, cluster in value.items():
            for below in cluster if isinstance(cluster, Mapping) else [None]:
                if below != KEY:
                    yield _not_observed(key_path(f"clusters.{name}", str(below)) if below else f"clusters.{name}")


def _not_observed(where: str) -> Problem:
    return Problem(
        where,
        FederationRule.OBSERVED_ONLY,
        "this file holds only what mesh observe writes, which is below clusters.<name>.observed",
        "declare it in the stack file",
    )


def written(stack: str, meshes: Mapping[str, ObservedMesh]) -> str:
    """Return the text of the file of a stack, in the same order each time.

    Args:
        stack: its name.
        meshes: by cluster.
    """
    trees = {
        name: {KEY: each.model_dump(mode="json", by_alias=True, exclude_none=True)}
        for name, each in sorted(meshes.items())
    }
    return HEAD.format(stack=stack) + yaml_writer.write({"clusters": trees})
