"""The protocol documents' own examples and schemas, for tests to judge by."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

HERE = Path(__file__).parent


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads((HERE / "evi-schemas.json").read_text())
    return schemas


@cache
def evi_validator(name: str) -> Draft202012Validator:
    """The schema `name` of the EVI wire reference, such as `SubscribeEvent`."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _schemas()["$defs"]})


def evi_examples() -> list[tuple[str, dict[str, Any]]]:
    """Every message that the EVI wire reference gives as an example, with its schema's name."""
    examples = json.loads((HERE / "evi_examples.json").read_text())
    return [(example["schema"], example["message"]) for example in examples]


def twilio_transcript() -> list[dict[str, Any]]:
    """A whole media stream, line by line: `t_ms`, `dir` and the exact message `msg`."""
    lines = (HERE / "twilio-transcript.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
