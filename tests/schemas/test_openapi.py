"""streamcount/openapi: every route of both ports, and the limits of the code."""

from __future__ import annotations

import asyncio
import copy
import re

import pytest
import schemathesis
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st

from streamcount.app import PublicFiles
from streamcount.config import Settings
from streamcount.core import claim, entries, event, fields, profile, trust, wire
from streamcount.core.papers import write_pem
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.http import PublicHttp
from streamcount.notary import publish
from streamcount.notary.roots import take_roots
from streamcount.operator.api import OperatorApi
from streamcount.tlog import note
from tests.evidence.certificates import certificate
from tests.schemas.published import OPERATOR, PUBLIC, referred, validator
from tests.stack import free_port

METHODS = {"get", "post", "put", "delete", "patch", "options"}
SCHEMAS = OPERATOR["components"]["schemas"]


@pytest.mark.parametrize("document", [PUBLIC, OPERATOR], ids=["public", "operator"])
def test_it_is_openapi_3_1(document):
    schemathesis.openapi.from_dict(document).validate()
    with pytest.raises(Exception, match="info"):
        schemathesis.openapi.from_dict(
            {key: value for key, value in document.items() if key != "info"}
        ).validate()


# --- Routes ---


async def applications(tmp_path):
    settings = Settings(data=tmp_path, operator_port=free_port())
    public = PublicHttp(Gateway(settings), PublicFiles(tmp_path))
    operator = OperatorApi(settings, None, "the-token", None, None)
    for side in (public, operator):
        await side.start()
    try:
        return public._runner.app, operator._runner.app
    finally:
        for side in (public, operator):
            await side.stop()


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    return asyncio.run(applications(tmp_path_factory.mktemp("routes")))


def examples(document, parameters):
    for given_one in parameters:
        one = referred(document, given_one)
        if one["in"] == "path":
            yield one["name"], one["example"]


def described(document):
    """(method, path with its examples in it) of every operation."""
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            filled = path
            for name, value in examples(document, item[method].get("parameters", [])):
                filled = filled.replace(f"{{{name}}}", value)
            assert "{" not in filled, f"{path}: a parameter without an example"
            yield method.upper(), filled


@pytest.mark.parametrize("side", ["public", "operator"])
def test_every_route_is_described_and_every_description_has_its_route(apps, side):
    app, document = {"public": (apps[0], PUBLIC), "operator": (apps[1], OPERATOR)}[side]
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"  # goes with every GET
    }
    reached = set()
    for method, path in described(document):
        found = asyncio.run(app.router.resolve(make_mocked_request(method, path)))
        assert found.http_exception is None, (method, path)
        reached.add((found.route.method, found.route.resource.canonical))
    assert reached == routes


def test_every_file_of_the_public_port_is_described(tmp_path):
    """They share one route, so the routes alone would not tell."""
    shapes = []
    for path, item in PUBLIC["paths"].items():
        if item.get("get", {}).get("tags") == ["Files"]:
            shape = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
            for given_one in item["get"].get("parameters", []):
                schema = given_one["schema"]
                part = schema.get("pattern", "|".join(schema.get("enum", []))).strip("^$")
                shape = shape.replace(f"{{{given_one['name']}}}", f"({part})")
            shapes.append(re.compile(shape))
    files = PublicFiles(tmp_path)
    pages = {f"/{name}" for name in files._pages.keys() | files._scripts.keys()}
    assert pages
    for page in pages:
        assert any(shape.fullmatch(page) for shape in shapes), page


def test_every_operation_but_files_and_health_needs_the_token(apps):
    open_ones = {
        path
        for path, item in OPERATOR["paths"].items()
        for op in item.values()
        if op.get("security") == []
    }
    assert open_ones == {
        "/", "/healthz", "/readyz", "/openapi.json", "/static/{file}", "/words/{language}.json",
    }  # fmt: skip


# --- Limits ---


def test_the_limits_are_those_of_the_code():
    new = SCHEMAS["NewEvent"]["properties"]
    assert SCHEMAS["EventId"]["pattern"].replace("(", "(?:") == f"^{event.EVENT_ID.pattern}$"
    stream = new["streams"]["items"]["properties"]
    assert stream["id"]["pattern"].replace("(", "(?:") == f"^{event.STREAM_ID.pattern}$"
    assert stream["source"]["maxLength"] == event.SOURCE_CHARACTERS_MAX
    assert new["streams"]["maxItems"] == event.STREAMS_MAX
    platform = stream["platform"]["properties"]
    assert platform["name"]["pattern"].replace("(", "(?:") == f"^{event.PLATFORM.pattern}$"
    assert platform["video"]["pattern"] == f"^{event.VIDEO.pattern}$"
    assert new["claimed_count"]["enum"] == list(event.CLAIMED_COUNTS)
    trusted = new["trust"]["properties"]
    witness = trusted["witnesses"]["items"]["properties"]
    assert witness["key"]["pattern"] == f"^{trust.WITNESS_KEY.pattern}$"
    authority = trusted["authorities"]["items"]["properties"]
    assert authority["name"]["pattern"].replace("(", "(?:") == f"^{trust.AUTHORITY_NAME.pattern}$"
    assert {witness["url"]["maxLength"], authority["url"]["maxLength"]} == {
        trust.URL_CHARACTERS_MAX
    }
    assert trusted["witnesses"]["maxItems"] == trusted["quorum"]["maximum"] == trust.WITNESSES_MAX
    assert trusted["authorities"]["maxItems"] == trust.AUTHORITIES_MAX
    assert new["timezone"]["pattern"] == f"^{event.TIMEZONE.pattern}$"
    titles = {one["maxLength"] for one in SCHEMAS["Title"]["properties"].values()}
    assert titles == {fields.TITLE_CHARACTERS_MAX}
    assert new["kind"]["enum"] == list(event.KINDS)
    assert new["window"]["maximum"] == new["interval"]["maximum"] == event.WINDOW_TICKS_MAX
    assert new["window"]["default"] == event.DEFAULT_WINDOW_TICKS
    assert new["interval"]["default"] == event.DEFAULT_INTERVAL_TICKS
    assert new["target"]["maximum"] == event.TARGET_MAX
    names, own = new["rule_profile"]["anyOf"]
    assert (names["enum"], new["rule_profile"]["default"]) == ([*profile.PROFILES], "neutral")
    assert own["properties"]["count"]["enum"] == list(profile.COUNTED)
    for name, schema in own["properties"].items():
        if name != "id":
            assert schema["default"] == getattr(profile.NEUTRAL, name)
        if name.endswith("_s"):
            assert schema["maximum"] == profile.PROFILE_TICKS_MAX
    origins = new["policy"]["properties"]["origins"]
    assert (origins["maxItems"], origins["items"]["maxLength"]) == (
        event.ORIGINS_MAX,
        event.ORIGIN_CHARACTERS_MAX,
    )
    body = OPERATOR["paths"]["/api/events/{event}/exclude"]["post"]["requestBody"]
    exclude = body["content"]["application/json"]["schema"]["properties"]
    assert exclude["viewers"]["maxItems"] == entries.EXCLUDED_PER_ENTRY_MAX
    assert exclude["viewers"]["items"]["pattern"] == f"^{wire.VIEWER_ID.pattern}$"
    assert exclude["reason"]["maxLength"] == entries.EXCLUDE_REASON_CHARACTERS_MAX
    for path, name, most in (
        ("note", "text", entries.NOTE_CHARACTERS_MAX),
        ("correct", "reason", claim.CLAIM_REASON_CHARACTERS_MAX),
        ("correct", "exclude_reason", entries.EXCLUDE_REASON_CHARACTERS_MAX),
    ):
        body = OPERATOR["paths"][f"/api/events/{{event}}/{path}"]["post"]["requestBody"]
        asked = body["content"]["application/json"]["schema"]["properties"]
        assert asked[name]["maxLength"] == most
    assert asked["viewers"]["maxItems"] == entries.EXCLUDED_PER_ENTRY_MAX
    assert SCHEMAS["Figures"]["required"] == list(claim.Figures.__slots__)
    shown = [name for name in claim.ClaimEntry.__slots__ if name != "definition"]
    assert SCHEMAS["Claim"]["required"] == [*SCHEMAS["Claim"]["properties"]] == shown
    counts = SCHEMAS["Counts"]["allOf"][1]["properties"]
    assert counts["gap_ticks"]["required"] == list(entries.GAP_KINDS)
    assert counts["latest_gaps"]["maxItems"] == publish.LATEST_GAPS
    assert counts["notes"]["maxItems"] == publish.LATEST_NOTES
    assert SCHEMAS["Column"]["maxItems"] == publish.TIMELINE_TICKS_MAX
    settings = Settings.model_fields
    assert f"{settings['request_bytes_max'].default // 1024} KiB" in OPERATOR["info"]["description"]
    assert settings["frames_bytes_max"].default == 8 * 2**20


# --- The schema of a definition accepts what the code accepts ---

NEW_EVENT = validator(SCHEMAS["NewEvent"] | {"components": {"schemas": SCHEMAS}})
GOOD = {"id": "lesson", "title": {"en": "A lesson"}}
TITLES = st.fixed_dictionaries({}, optional={"ar": st.text(max_size=202), "en": st.just("x" * 200)})
NUMBERS = st.none() | st.integers(-1, 700) | st.sampled_from([2**40, 2**40 + 1, 10**9, 10**9 + 1])
ANYTHING = NUMBERS | st.booleans() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just(1.5)
IDS = st.sampled_from(["a", "a-b", "-a", "a-", "A", "A.b_c-9", "", "x" * 64, "x" * 65, "a\n", "ا"])
VIDEOS = st.fixed_dictionaries(
    {"name": st.sampled_from(["youtube", "a-b", "-", "A", "", "x" * 33])},
    optional={"video": st.sampled_from(["dQw4w9WgXcQ", "a,b", "x" * 128, "x" * 129, "x\n"]), "x": ANYTHING},
)  # fmt: skip
STREAMS = st.lists(
    st.fixed_dictionaries(
        {"id": IDS},
        optional={
            "title": TITLES,
            "source": st.sampled_from(["", "x" * 500, "x" * 501]),
            "platform": ANYTHING | VIDEOS,
            "x": ANYTHING,
        },
    ),
    max_size=3,
)
ORIGINS = st.lists(
    st.sampled_from(
        ["none", "https://school.example", "https://school.example:8443", "https://school.example:443",
         "http://school.example:80", "HTTPS://x", "https://x/", "https://[::1]:9", "x" * 301, "", 7]
    ),
    max_size=3,
)  # fmt: skip
# A key whose id is its own, and others of another shape.
WITNESS = note.Verifier("w", note.Signer("w", bytes(32)).verifier.public, note.COSIGNATURE).vkey()
URLS = st.sampled_from(["", "https://w.example", "x" * 201])
WITNESSES = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from([WITNESS, "w", WITNESS.replace("+B", "+A")])},
        optional={"url": URLS},
    ),
    max_size=2,
)
ROOTS = st.sampled_from([write_pem(certificate("tsa")).decode(), "x", ""])
AUTHORITIES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["tsa", "TSA", ""]), "root_pem": ROOTS}, optional={"url": URLS}
    ),
    max_size=2,
)
PROFILES = st.sampled_from(["neutral", "live-viewers-10-min", "none", ""]) | st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "duration_s": ANYTHING | st.sampled_from([10**6, 10**6 + 1]),
        "presence_s": ANYTHING | st.sampled_from([10**6, 10**6 + 1]),
        "single_stream": ANYTHING,
        "count": st.sampled_from(["net", "gross", "both"]),
        "x": ANYTHING,
    },
)
FIELDS = {
    "id": IDS,
    "kind": st.sampled_from([*event.KINDS, "other"]),
    "title": TITLES,
    "organiser": TITLES,
    "timezone": st.sampled_from(["UTC", "Asia/Riyadh", "", "x" * 65, "a b"]),
    "planned_start": NUMBERS,
    "planned_end": NUMBERS,
    "streams": STREAMS,
    "window": st.integers(0, 601),
    "interval": st.integers(0, 601),
    "policy": st.fixed_dictionaries(
        {}, optional={"progress": ANYTHING, "hidden_counts": st.booleans(), "muted_counts": st.booleans(), "origins": ORIGINS}
    ),
    "rule_profile": PROFILES,
    "target": NUMBERS,
    "claimed_count": st.sampled_from(["proven", "platform", "other"]),
    "trust": st.fixed_dictionaries({}, optional={"witnesses": WITNESSES, "quorum": st.integers(-1, 9), "authorities": AUTHORITIES}),
}  # fmt: skip


@st.composite
def definitions(draw):
    """A good definition with up to four fields drawn anew, of which one may be anything."""
    made = copy.deepcopy(GOOD)
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4)):
        made[name] = draw(FIELDS[name])
    if draw(st.integers(0, 4)) == 0:
        made[draw(st.sampled_from([*sorted(FIELDS), "new"]))] = draw(ANYTHING)
    return made


RULES_BESIDE_THE_SCHEMA = (
    "2 x interval", "planned_end: must be later", "the same id", "the same platform and video",
    "no stream has a platform", "have the same name", "have the same key", "event.trust.quorum",
    "authorities[0].root_", "authorities[1].root_",
)  # fmt: skip


@given(definitions())
@example(GOOD)
@example(GOOD | {"title": {}})
@example(GOOD | {"title": {"ar": "", "en": ""}})
@example(GOOD | {"window": 7, "interval": 1})
@example(GOOD | {"policy": {"origins": ["none", "none"]}})
def test_the_schema_accepts_exactly_the_definitions_that_the_service_accepts(definition):
    try:
        event.parse_event(take_roots(definition)[0])
        told = ""
    except fields.EventError as error:
        told = str(error)
    if not any(rule in told for rule in RULES_BESIDE_THE_SCHEMA):
        assert NEW_EVENT.is_valid(definition) == (not told), told
