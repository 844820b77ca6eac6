"""The messages of protocol v1, as docs/protocol.md describes them: reading theirs, writing ours.

A client message is a JSON object of at most `MESSAGE_BYTES_MAX` bytes with a `type`. Every key that
is known is checked for type, range and length; unknown keys are ignored, so that a newer client can
talk to an older server. `read` never raises anything but `WireError`.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

from streamcount.core.event import STATES

SUBPROTOCOL: Final = "streamcount.v1"
PATH: Final = "/v1/viewers"

MESSAGE_BYTES_MAX: Final = 1024
SEQ_MAX: Final = 2**31 - 1
TEXT_CHARACTERS_MAX: Final = 300
POSITION_S_MAX: Final = 1e10
VIEWER_ID = re.compile(r"[A-Za-z0-9._~-]{8,128}")

# Close codes. 1009 and 1013 are those of RFC 6455 and its registry; 44xx mirror HTTP's 4xx.
GOING_AWAY: Final = 1001
TOO_BIG: Final = 1009
OVERLOADED: Final = 1013
MALFORMED: Final = 4400
UNAUTHORISED: Final = 4401
FORBIDDEN: Final = 4403
NOT_FOUND: Final = 4404
CLOSED: Final = 4409
TOO_FAST: Final = 4429


class WireError(Exception):
    """A message that cannot be accepted: the close code, and the one line that says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Hello(NamedTuple):
    """The first message: who watches what. `event`, `stream` and `viewer` are ids.

    `test`: the code an operator tests the page with (trace.py), else empty.
    """

    event: str
    stream: str
    viewer: str
    source: str
    player: str
    test: str = ""


class Heartbeat(NamedTuple):
    """What the player does now. `position` and `behind_live_s` in seconds, None when not known.

    `again`: it repeats what was sent over an earlier connection and not answered.
    """

    seq: int
    state: str
    visible: bool
    muted: bool
    position: float | None
    behind_live_s: float | None
    source: str
    again: bool = False


class Bye(NamedTuple):
    """The viewer leaves. With a `seq`, the break is acknowledged before the server closes."""

    seq: int | None


Message = Hello | Heartbeat | Bye


def read(data: bytes | bytearray | memoryview) -> Message:
    """Return the client message in a text frame.

    Raises:
        WireError: it is none; the message names the key that is wrong.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise WireError(TOO_BIG, f"a message has at most {MESSAGE_BYTES_MAX} bytes")
    given = read_object(data)
    kind = given.get("type")
    if kind == "heartbeat":
        return read_heartbeat(given)
    if kind == "hello":
        return read_hello(given)
    if kind == "bye":
        return read_bye(given)
    raise WireError(MALFORMED, "type: must be hello, heartbeat or bye")


def read_object(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Return the JSON object that these bytes are.

    Raises:
        WireError: they are none.
    """
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise WireError(MALFORMED, f"not JSON: {error}") from error
    if type(given) is not dict:
        raise WireError(MALFORMED, "a message is a JSON object")
    return given


def read_bye(given: dict[str, Any]) -> Bye:
    """Return a bye, whatever its type says.

    Raises:
        WireError: a key is wrong.
    """
    return Bye(None if given.get("seq") is None else _seq(given))


def read_hello(given: dict[str, Any]) -> Hello:
    """Return a hello, whatever its type says.

    Raises:
        WireError: a key is wrong, or there is a token.
    """
    if given.get("token") is not None:
        raise WireError(UNAUTHORISED, "token: this server does not take tokens")
    viewer = given.get("viewer")
    if type(viewer) is not str or not VIEWER_ID.fullmatch(viewer):
        raise WireError(MALFORMED, "viewer: must be 8 to 128 letters, digits or . _ ~ -")
    return Hello(
        event=_text(given, "event", required=True),
        stream=_text(given, "stream", required=True),
        viewer=viewer,
        source=_text(given, "source"),
        player=_text(given, "player"),
        test=_text(given, "test"),
    )


def read_heartbeat(given: dict[str, Any]) -> Heartbeat:
    """Return a heartbeat, whatever its type says.

    Raises:
        WireError: a key is wrong.
    """
    state = given.get("state")
    if state not in STATES:
        raise WireError(MALFORMED, f"state: must be {', '.join(STATES)}")
    visible = given.get("visible", True)
    muted = given.get("muted", False)
    again = given.get("again", False)
    if type(visible) is not bool or type(muted) is not bool or type(again) is not bool:
        raise WireError(MALFORMED, "visible, muted and again: must be true or false")
    return Heartbeat(
        _seq(given),
        state,
        visible,
        muted,
        _seconds(given, "position"),
        _seconds(given, "behind_live_s"),
        _text(given, "source") if "source" in given else "",
        again,
    )


def _seq(given: dict[str, Any]) -> int:
    seq = given.get("seq")
    if type(seq) is not int or not 0 <= seq <= SEQ_MAX:
        raise WireError(MALFORMED, f"seq: must be a whole number from 0 to {SEQ_MAX}")
    return seq


def _seconds(given: dict[str, Any], key: str) -> float | None:
    value = given.get(key)
    if value is None:
        return None
    if (type(value) is not float and type(value) is not int) or abs(value) > POSITION_S_MAX:
        raise WireError(MALFORMED, f"{key}: must be seconds, or null when not known")
    return value


def _text(given: dict[str, Any], key: str, *, required: bool = False) -> str:
    value = given.get(key, "")
    if value is None and not required:
        return ""
    if type(value) is not str or len(value) > TEXT_CHARACTERS_MAX or (required and not value):
        least = "1" if required else "0"
        raise WireError(
            MALFORMED, f"{key}: must be text of {least} to {TEXT_CHARACTERS_MAX} characters"
        )
    return value


# --- Ours -----------------------------------------------------------------------------------------


def welcome(*, interval: int, window: int, opens_at: int | None, server_time_ms: int) -> bytes:
    """Answer a hello. `interval` and `window` in seconds; `opens_at` in Unix seconds."""
    message: dict[str, Any] = {
        "type": "welcome",
        "interval": interval,
        "window": window,
        "server_time": server_time_ms,
    }
    if opens_at is not None:
        message["opens_at"] = opens_at
    return orjson.dumps(message)


def ack_tail(*, tick: int, live: int, peak: int, uncertain: bool) -> bytes:
    """Return what all acknowledgements of a tick have in common; `ack` puts it to use."""
    return b',"tick":%d,"live":%d,"peak":%d,"uncertain":%s' % (
        tick,
        live,
        peak,
        b"true" if uncertain else b"false",
    )


def ack(seq: int, tail: bytes, late: int) -> bytes:
    """Acknowledge one heartbeat: it is archived. `late`: how many of this connection came too late."""
    return b'{"type":"ack","seq":%d%b,"late":%d}' % (seq, tail, late)


def noted(seq: int, why: str) -> bytes:
    """Answer a heartbeat that sets no bit, so that nothing of it will be archived."""
    return b'{"type":"noted","seq":%d,"why":"%b"}' % (seq, why.encode("ascii"))


def reconnect(after_s: float) -> bytes:
    """Ask the client to come back over a new connection, this many seconds from now."""
    return orjson.dumps({"type": "reconnect", "after": round(after_s, 1)})


def error(code: int, message: str) -> bytes:
    """Say why the connection is about to be closed with `code`."""
    return orjson.dumps({"type": "error", "code": code, "message": message})
