"""docs/asyncapi.yaml: what AsyncAPI 3.0 asks for, and the states, codes and limits of the code.

asyncapi-3.0.0.json.gz is AsyncAPI's own JSON Schema of such documents, byte for byte, under the Apache
License 2.0: schemas/3.0.0-without-$id.json of the npm package @asyncapi/specs 6.11.1.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from streamcount.config import Settings
from streamcount.core import wire
from streamcount.core.session import TABLE
from streamcount.embed import client
from streamcount.ingest import connection
from tests.schemas.published import ASYNCAPI, CLIENT, DOCS, SERVER, kinds, validator

OFFICIAL = Path(__file__).with_name("asyncapi-3.0.0.json.gz")
SHA256 = "abe96881dbfaad495ccbb6bd8d3fb43ca18a13b9d7564849ccb66f39d5e5b20f"
CODES = ASYNCAPI["x-close-codes"]


def official():
    data = gzip.decompress(OFFICIAL.read_bytes())
    assert hashlib.sha256(data).hexdigest() == SHA256
    return jsonschema_rs.Draft7Validator(json.loads(data))


def plain(document):
    """The document as JSON has it: keys that YAML reads as numbers are text."""
    return json.loads(json.dumps(document))


def test_it_is_an_asyncapi_document():
    official().validate(plain(ASYNCAPI))


@pytest.mark.parametrize(
    "change",
    [
        {"info": {"title": "no version"}},
        {"operations": {"join": {"action": "hear", "channel": {"$ref": "#/channels/viewers"}}}},
        {"channels": {"viewers": {"address": 7}}},
        {"closeCodes": {}},
    ],
)
def test_the_official_schema_refuses_what_is_none(change):
    assert not official().is_valid(plain(ASYNCAPI) | change)


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_somewhere():
    found = set(references(ASYNCAPI))
    for reference in found:
        file, _, pointer = reference.partition("#/")
        at = json.loads((DOCS / file).read_text("utf-8")) if file else ASYNCAPI
        for step in pointer.split("/"):
            at = at[step]
    schemas = {reference for reference in found if reference.startswith("./schemas/")}
    assert schemas == {
        f"./schemas/from-{side}.json#/$defs/{kind}"
        for side, document in (("client", CLIENT), ("server", SERVER))
        for kind in kinds(document)
    }


def test_every_message_has_an_example_that_is_one():
    from_client, from_server = validator(CLIENT), validator(SERVER)
    for name, message in ASYNCAPI["components"]["messages"].items():
        side = from_client if name in kinds(CLIENT) else from_server
        assert [one["payload"]["type"] for one in message["examples"]] == [name]
        for one in message["examples"]:
            side.validate(one["payload"])


def test_the_address_and_subprotocol_are_those_of_the_code():
    channel = ASYNCAPI["channels"]["viewers"]
    asked = channel["bindings"]["ws"]["headers"]["properties"]["Sec-WebSocket-Protocol"]
    assert (channel["address"], asked["const"]) == (wire.PATH, wire.SUBPROTOCOL)


def test_the_states_are_the_table_of_the_code():
    ours = {
        state: {(kind, row["step"], row["next"]) for kind, row in rows.items()}
        for state, rows in ASYNCAPI["x-states"].items()
    }
    theirs = {}
    for (state, kind), (step, then) in TABLE.items():
        row = (kind.__name__.lower(), step.value, then.value)
        theirs.setdefault(state.value, set()).add(row)
    assert ours == theirs


def test_the_close_codes_are_those_of_the_page():
    page = (
        (DOCS / "protocol.md").read_text("utf-8").partition("## Close codes")[2].partition("## ")[0]
    )
    told = {}
    for codes, why, back in re.findall(r"^\| ([\d, ]+) \| (.+) \| (.+) \|$", page, re.MULTILINE):
        for code in codes.split(", "):
            told[int(code)] = (why, back.startswith("yes"))
    assert told.keys() == CODES.keys()
    for code, one in CODES.items():
        why, back = told[code]
        assert (one["why"] in why, one["comeBack"]) == (True, back), code


def test_the_close_codes_are_those_of_the_code():
    numbers = {value for key, value in vars(wire).items() if key.isupper() and type(value) is int}
    codes = {code for code in numbers if 1000 <= code < 5000} - {wire.MESSAGE_BYTES_MAX}
    assert codes | {connection.TIMED_OUT} <= CODES.keys()
    with_error = {code for code, one in CODES.items() if one.get("error")}
    assert with_error == set(SERVER["$defs"]["error"]["properties"]["code"]["enum"])
    assert not any(CODES[code]["comeBack"] for code in client._FINAL_CODES)


def test_the_limits_are_the_defaults_of_the_settings():
    limits = dict(ASYNCAPI["x-limits"])
    assert limits.pop("message_bytes_max") == wire.MESSAGE_BYTES_MAX
    assert limits == {name: Settings.model_fields[name].default for name in limits}
    pace = CODES[wire.TOO_FAST]["why"]
    assert f"than {limits['messages_per_interval']} an" in pace
    assert f"burst of {limits['messages_burst']}" in pace
    assert f"within {limits['handshake_s']} s" in CODES[connection.TIMED_OUT]["why"]
