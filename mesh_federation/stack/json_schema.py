"""JSON Schema of stack files, for editors: completion, descriptions and a first check while typing.

Run `python -m mesh_federation.stack.json_schema` after a change of config.py; a test fails while the file is outdated.
"""

import json
from pathlib import Path

from mesh_federation.stack.config import Federation
from mesh_federation.stack.stack_file import KEY, PROJECT

FILE = Path(__file__).with_name("federation.schema.json")

_SECURE = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "An encrypted value, as `pulumi config set --secret` writes it.",
}


def schema() -> dict[str, object]:
    """Return the schema of a stack file: keys of other programs are allowed, unknown keys of this one are not."""
    federation = Federation.model_json_schema(by_alias=True)
    definitions = federation.pop("$defs")
    for text in definitions["ProvidedAuthority"]["properties"].values():
        _allow_secret(text)
    for properties in (each.get("properties", {}) for each in (*definitions.values(), federation)):
        for key in properties.values():
            _drop_null(key)
    federation["anyOf"] = [{"required": federation.pop("required")}, {"required": ["memberOf"]}]
    config = {
        "type": "object",
        "properties": {KEY: {"$ref": "#/$defs/Federation"}},
        "patternProperties": {f"^{PROJECT}:(?!federation$)": False},
        "required": [KEY],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of a mesh federation",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": {**definitions, "Federation": federation},
    }


def _allow_secret(text: dict[str, object]) -> None:
    """Allow an encrypted value in place of a text."""
    plain = {key: text.pop(key) for key in ("type", "format", "writeOnly") if key in text}
    text["anyOf"] = [plain, _SECURE]


def _drop_null(key: dict[str, object]) -> None:
    """Remove null defaults: a key may be left out, but it does not accept null."""
    if "default" in key and key["default"] is None:
        del key["default"]


def rendered() -> str:
    """Return the text of the committed file."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered())
