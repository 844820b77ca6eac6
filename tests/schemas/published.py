"""The documents for machines, of docs/ and streamcount/openapi/, and validators made of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema_rs
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CLIENT = json.loads((DOCS / "schemas" / "from-client.json").read_text("utf-8"))
SERVER = json.loads((DOCS / "schemas" / "from-server.json").read_text("utf-8"))
ASYNCAPI = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
PUBLIC = json.loads((ROOT / "streamcount" / "openapi" / "public.json").read_text("utf-8"))
OPERATOR = json.loads((ROOT / "streamcount" / "openapi" / "operator.json").read_text("utf-8"))


def kinds(document):
    """The names of the messages that a document's oneOf offers."""
    return [one["$ref"].removeprefix("#/$defs/") for one in document["oneOf"]]


def only_listed_keys(document):
    """The same document, refusing what is not in it: to find what it forgot."""
    strict = copy.deepcopy(document)
    for name in kinds(strict):
        strict["$defs"][name]["additionalProperties"] = False
    return strict


def validator(document):
    jsonschema_rs.meta.validate(document)
    return jsonschema_rs.Draft202012Validator(document)


def referred(document, value):
    """What a reference inside the document leads to; anything else as it is."""
    while "$ref" in value:
        at = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        value = at
    return value


def shape(document, schema):
    """A schema without what is only for people, and with what it refers to in its place."""
    if isinstance(schema, list):
        return [shape(document, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    words = {"description", "title", "examples"} - schema.get("properties", {}).keys()
    inner = shape(document, referred(document, schema)) if "$ref" in schema else {}
    own = {key: item for key, item in schema.items() if key not in words | {"$ref", "properties"}}
    own = {key: shape(document, item) for key, item in own.items()}
    if "properties" in schema:
        own["properties"] = {
            key: shape(document, item) for key, item in schema["properties"].items()
        }
    return inner | own
