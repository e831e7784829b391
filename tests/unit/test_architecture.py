"""The packages depend on each other as docs/architecture.md says, in one direction and without circles."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = {
    ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("mesh_federation", "components")
    for file in (CHECKOUT / package).rglob("*.py")
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module, parsed."""
    return {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in FILES.items()}


def imported(body: list[ast.stmt]) -> Iterator[str]:
    """Modules of this project that statements import when they run; what only types need does not count."""
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            below = [f"{statement.module}.{alias.name}" for alias in statement.names]
            yield from {name if name in FILES else statement.module for name in below} & FILES.keys()
        elif isinstance(statement, ast.Import):
            yield from {alias.name for alias in statement.names} & FILES.keys()


def imported_ever(tree: ast.Module) -> set[str]:
    """Modules of this project that a module imports at any time."""
    return {other for node in ast.walk(tree) for other in imported([node] if isinstance(node, ast.stmt) else [])}


def room(module: str) -> str:
    """The package below mesh_federation that a module is in, or `components`."""
    return (module.split(".") if module.startswith("components") else [*module.split("."), ""][1:])[0]


def allowed() -> dict[str, set[str]]:
    """What each package may import, by the table of the page."""
    rows = re.findall(r"^\| `(?:mesh_federation/)?(\w+)(?:/|\.py)` \| [^|]+ \| ?([^|]*) \|$", PAGE, flags=re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}


def test_no_module_imports_itself_through_others() -> None:
    at_once = {name: set(imported(tree.body)) for name, tree in modules().items()}
    TopologicalSorter(at_once).prepare()


def test_packages_import_what_the_page_says_and_nothing_else() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for module, tree in modules().items():
        used[room(module)] |= {room(other) for other in imported_ever(tree)} - {room(module), ""}
    used.pop("", None)
    permitted = allowed()
    wrong = {name: others - permitted[name] for name, others in used.items()}
    assert not {name: others for name, others in wrong.items() if others}


@pytest.mark.parametrize("package", ["stack", "rules", "plan", "clusters", "jobs", "verify", "diagrams"])
def test_only_components_and_resources_need_pulumi(package: str) -> None:
    for name, file in FILES.items():
        if room(name) == package:
            assert not re.search(r"^\s*(?:import|from) pulumi", file.read_text("utf-8"), flags=re.MULTILINE), name
