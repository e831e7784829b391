"""A class has one name in the whole repository, so that a reader who meets the name knows which one is meant."""

import ast
from collections import defaultdict
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CONCEPTS = {"Cluster", "Discovery", "Export", "Federation", "Gateway", "Import"}
"""Concepts of a stack file; their components, and what pictures show of them, have the same name on purpose."""
PICTURED = {"Port", "Root", "Rotation", "Trust"}
"""Parts of the documents that `mesh topology` and `mesh trust` write, named after what they describe."""


def test_a_class_name_is_used_once_except_for_concepts_and_what_describes_them() -> None:
    files: dict[str, list[str]] = defaultdict(list)
    for package in ("mesh_federation", "components"):
        for file in sorted((CHECKOUT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    files[node.name].append(str(file.relative_to(CHECKOUT)))
    shared = {name: places for name, places in files.items() if len(places) > 1}
    assert not {name: places for name, places in shared.items() if name not in CONCEPTS | PICTURED}
    assert shared.keys() >= CONCEPTS | PICTURED, "remove the names that are unique by now"
