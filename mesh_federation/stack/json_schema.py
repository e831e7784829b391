"""JSON Schema of stack files, for editors: completion, descriptions and a first check while typing.

Run `python -m mesh_federation.stack.json_schema` after a change of config.py; a test fails while the file is stale.
"""

import json
from pathlib import Path

from mesh_federation.stack.config import KEY, PROJECT, Federation

FILE = Path(__file__).with_name("federation.schema.json")

_SECURE = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "What `pulumi config set --secret` writes.",
}


def schema() -> dict[str, object]:
    """Describe a whole Pulumi.<stack>.yaml: other programs' keys are allowed, unknown keys of this one are not."""
    federation = Federation.model_json_schema(by_alias=True)
    definitions = federation.pop("$defs")
    for text in definitions["ProvidedAuthority"]["properties"].values():
        _allow_secret(text)
    for properties in (each.get("properties", {}) for each in (*definitions.values(), federation)):
        for key in properties.values():
            _drop_null(key)
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
    """Let an encrypted value stand where this text is asked for."""
    plain = {key: text.pop(key) for key in ("type", "format", "writeOnly") if key in text}
    text["anyOf"] = [plain, _SECURE]


def _drop_null(key: dict[str, object]) -> None:
    """What is left out is not what is written with nothing behind: no key takes null."""
    if "default" in key and key["default"] is None:
        del key["default"]


def rendered() -> str:
    """Return the text of the committed file."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered())
