"""The JSON Schema of stack files agrees with the types."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from pydantic import ValidationError

from mesh_federation.stack import json_schema, yaml_reader
from mesh_federation.stack.config import Declared, Entry

CORPUS = Path(__file__).with_name("corpus")


@cache
def validator() -> Validator:
    """The schema, which is checked and compiled once."""
    schema = json_schema.schema()
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def check(file: Path) -> None:
    """Raise a ValidationError if a stack file does not satisfy the schema."""
    tree: Any = yaml_reader.read(file.read_bytes())
    validator().validate(tree)


def test_the_committed_schema_is_up_to_date() -> None:
    assert json_schema.FILE.read_text() == json_schema.rendered(), "run python -m mesh_federation.stack.json_schema"


@pytest.mark.parametrize("file", sorted((CORPUS / "valid").glob("*.yaml")), ids=lambda path: path.stem)
def test_valid_files_satisfy_the_schema(file: Path) -> None:
    check(file)


@pytest.mark.parametrize("name", ["config-unknown-key", "shape-snake-case", "shape-many-at-once", "shape-no-clusters"])
def test_files_with_wrong_types_do_not_satisfy_the_schema(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(CORPUS / f"{name}.yaml")


MODELS = {kind.__name__: kind for kind in (*Declared.__subclasses__(), *Entry.__subclasses__())}


KEYS_OF_MODELS = sorted(
    (name, field.alias or key) for name, kind in MODELS.items() for key, field in kind.model_fields.items()
)


@pytest.mark.parametrize(("kind", "key"), KEYS_OF_MODELS)
def test_no_key_accepts_null(kind: str, key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        MODELS[kind].model_validate_json(json.dumps({key: None}), strict=True)
    assert (key,) in {error["loc"] for error in raised.value.errors() if error["type"] != "missing"}


def test_the_schema_allows_null_nowhere() -> None:
    assert "null" not in {each for kind in json_schema.schema()["$defs"].values() for each in types_of(kind)}  # type: ignore[attr-defined]


def types_of(tree: object) -> Iterator[str]:
    """Yield the types that a JSON Schema allows anywhere below a place."""
    if isinstance(tree, dict):
        if isinstance(tree.get("type"), str):
            yield tree["type"]
        yield from (each for value in tree.values() for each in types_of(value))
    elif isinstance(tree, list):
        yield from (each for value in tree for each in types_of(value))
