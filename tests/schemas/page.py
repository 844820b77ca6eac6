"""docs/api.md, for people, from the OpenAPI documents of both ports."""

from __future__ import annotations

import json

from tests.schemas.published import DOCS, OPERATOR, PUBLIC, referred

OUT = DOCS / "api.md"
# Answers that many give, told once at the head of a port.
TOLD_ONCE = {"NoRoom", "Unauthorised", "TooLong"}
HEAD = """\
# The HTTP of both ports

What `GET /openapi.json` on each port says for machines, for people: made of
[public.json](../streamcount/openapi/public.json) and [operator.json](../streamcount/openapi/operator.json) by
`tests/schemas/page.py`. How viewers are counted is another page, [protocol.md](protocol.md).

    TOKEN=$(cat streamcount-data/operator.token)
    curl -H "Authorization: Bearer $TOKEN" localhost:8081/api/events
    curl -H "Authorization: Bearer $TOKEN" localhost:8081/api/events -d '{"id": "lesson", "title": {"en": "A lesson"}}'
    curl -H "Authorization: Bearer $TOKEN" -X POST localhost:8081/api/events/lesson/open
    curl localhost:8080/v1/events/lesson/count
"""


def build():
    parts = [HEAD]
    for title, document in (("Public port", PUBLIC), ("Operators' port", OPERATOR)):
        parts += [f"## {title}", document["info"]["description"], _overview(document)]
        parts += _operations(document)
        parts += _shapes(title, document)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _all(document):
    """(tag, method, path, operation) of every operation, in the order of the tags."""
    for tag in document["tags"]:
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if operation["tags"] == [tag["name"]]:
                    yield tag, method.upper(), path, operation


def _overview(document):
    rows = ["| | | |", "|---|---|---|"]
    for tag, method, path, operation in _all(document):
        token = "" if not document.get("security") or operation.get("security") == [] else ", token"
        rows.append(f"| `{method} {path}` | {operation['summary']} | {tag['name']}{token} |")
    return "\n".join(rows)


def _operations(document):
    for _, method, path, operation in _all(document):
        yield f"### `{method} {path}`"
        yield f"{operation['summary']}. {operation.get('description', '')}".strip()
        rows = []
        for given in operation.get("parameters", []):
            one = referred(document, given)
            if one["name"] != "event":
                told = [_type(document, one["schema"]), _default(one["schema"])]
                place = "in the query" if one["in"] == "query" else "in the path"
                rows.append(
                    f"| `{one['name']}`, {place} | {_join(told)} | {one.get('description', '')} |"
                )
        rows += _body(document, operation)
        for status, answer in operation["responses"].items():
            if answer.get("$ref", "").rpartition("/")[2] in TOLD_ONCE:
                continue
            one = referred(document, answer)
            kinds = [
                f"{kind}{_shape(document, content['schema'])}"
                for kind, content in one.get("content", {}).items()
            ]
            rows.append(f"| **{status}** | {' or '.join(kinds)} | {one['description']} |")
        yield "\n".join(["| | | |", "|---|---|---|", *rows])


def _body(document, operation):
    if "requestBody" not in operation:
        return
    body = operation["requestBody"]
    ((kind, content),) = body["content"].items()
    schema = content["schema"]
    if "$ref" in schema:
        yield f"| body{'' if body.get('required') else ', optional'} | {_link(schema['$ref'])} | {body.get('description', '')} |"
        return
    if "description" in body:
        yield f"| body | {'JSON' if kind == 'application/json' else 'text'} | {body['description']} |"
    for name, one in schema.get("properties", {}).items():
        yield f"| `{name}`, in the body | {_type(document, one)} | {one.get('description', '')} |"


def _shapes(title, document):
    """A table of every schema that is an object with keys of its own."""
    yield f"### Shapes of the {title[0].lower()}{title[1:]}"
    for name, schema in document["components"]["schemas"].items():
        *known, own = schema.get("allOf", [{}, schema])
        properties = own.get("properties", {})
        if not properties:
            continue
        rows = [f"| all keys of | {_link(one['$ref'])} | |" for one in known if one]
        for key, one in properties.items():
            told = [
                _type(document, one),
                "" if key in own.get("required", []) else "optional",
                _default(one),
            ]
            rows.append(f"| `{key}` | {_join(told)} | {_told(document, one)} |")
        yield f"#### {name.removesuffix('Fields')}"
        if "description" in schema:
            yield schema["description"]
        yield "\n".join(["| | | |", "|---|---|---|", *rows])


def _told(document, one):
    inner = referred(document, one.get("items", one))
    keys = ", ".join(f"`{key}`" for key in inner.get("properties", {}))
    said_elsewhere = "$ref" in one and "pattern" not in inner
    own = one.get("description", "" if said_elsewhere else inner.get("description", ""))
    if keys and "$ref" not in one:
        return f"{own} Keys: {keys}".strip()
    return own


def _type(document, schema):
    if "$ref" in schema:
        inner = referred(document, schema)
        return (
            _link(schema["$ref"])
            if "properties" in inner or "allOf" in inner
            else _type(document, inner)
        )
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type", "")
    names = " or ".join([kind] if isinstance(kind, str) else kind)
    names = names.replace("array", "list").replace("string", "text")
    if "pattern" in schema:
        pattern = schema["pattern"].replace("|", "\\|")
        return "text" if "description" in schema else f"`{pattern}`"
    if "maximum" in schema or schema.get("minimum", 0) > 0:
        top = f" to {schema['maximum']:,}" if "maximum" in schema else " or more"
        return f"{names}, {schema.get('minimum', ''):,}{top}"
    if "maxLength" in schema:
        return f"{names} of at most {schema['maxLength']}"
    if "maxItems" in schema:
        return f"{names} of {schema.get('minItems', 0)} to {schema['maxItems']:,}"
    return names


def _default(schema):
    if schema.get("default") in (None, "", []):
        return ""
    return f"default `{_plain(schema['default'])}`"


def _plain(value):
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _shape(document, schema):
    inner = schema.get("items", schema)
    found = [one["$ref"] for one in inner.get("anyOf", [inner]) if "$ref" in one]
    names = " or ".join(_link(one) for one in found)
    if names:
        return f": {'list of ' if 'items' in schema else ''}{names}"
    keys = ", ".join(f"`{key}`" for key in schema.get("properties", {}))
    return f": {keys}" if keys else ""


def _link(reference):
    name = reference.rpartition("/")[2].removesuffix("Fields")
    return f"[{name}](#{name.lower()})"


def _join(parts):
    return ", ".join(part for part in parts if part)
