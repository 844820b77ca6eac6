"""Requests of operators taken apart, and answers to them: JSON, errors too, each saying what was wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from streamcount.core.event import ActRefusedError
from streamcount.core.fields import EventError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what went wrong into an answer that says so."""
    try:
        return await handler(request)
    except EventError as error:
        return refusal(400, str(error))
    except ActRefusedError as error:
        return refusal(409, str(error))
    except web.HTTPException as error:
        response = refusal(error.status, error.text or error.reason)
        if "Allow" in error.headers:  # RFC 9110 section 15.5.6
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except ConnectionResetError:
        raise  # whoever asked has gone
    except Exception:  # noqa: BLE001 (the last place where it can be told)
        _log.exception("a request to %s failed", request.path)
        return refusal(500, "the service failed at this; its log says more")


async def body_of(request: web.Request, *names: str, none: bytes = b"") -> dict[str, Any]:
    """Return what was sent with an act: an object, no other keys; `none` when nothing was.

    Raises:
        EventError: it is none, or has another key.
    """
    given = json_in(await request.read() or none)
    if not isinstance(given, dict):
        raise EventError("the request's body must be an object")
    for name in given:
        if name not in names:
            raise EventError(f"{name[:80]}: is not a field that exists here")
    return given


def json_in(data: bytes) -> Any:
    """Return what a body holds.

    Raises:
        EventError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise EventError(f"the request's body is not JSON: {error}") from error


def number_in(request: web.Request, name: str, default: int) -> int:
    """Return a whole number of the query.

    Raises:
        EventError: it is none.
    """
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise EventError(f"{name}: must be a whole number")
    return int(text)


def as_json(value: object, status: int = 200) -> web.Response:
    """Answer with a value."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def found_or_404(value: object | None) -> web.Response:
    """Answer with what was found of an event, or that there is none."""
    return refusal(404, "there is no event of this id") if value is None else as_json(value)


def refusal(status: int, message: str) -> web.Response:
    """Answer with what was wrong, and what to do."""
    return as_json({"error": message}, status)
