"""The head of a request, as far as it must be understood before anybody answers it; how upgrades are."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from streamcount.core import wire

END: Final = b"\r\n\r\n"
# For an upgrade that websockets cannot even read; it would close without a word.
UNREADABLE: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_VERSION: Final = "13"


def asks_for_websocket(head: bytes) -> bool:
    """Tell whether a whole head (RFC 9112 section 2.1) asks for an upgrade on the viewers' path.

    Everything about it that could be wrong is then found by websockets; everything else is HTTP.
    """
    line, _, fields = head.partition(END)[0].partition(b"\r\n")
    path = line.split(b" ")[1:2]
    on_ours = bool(path) and path[0].split(b"?")[0] == wire.PATH.encode()
    return on_ours and END in head and b"\r\nupgrade:" in b"\r\n" + fields.lower()


def answer(websocket: ServerProtocol, request: Request) -> Response:
    """Accept an upgrade, or say why not, and which version there is (RFC 6455 section 4.4)."""
    response = websocket.accept(request)
    asked = request.headers.get_all("Sec-WebSocket-Version")
    if response.status_code == HTTPStatus.BAD_REQUEST and len(asked) == 1 and asked != [_VERSION]:
        told = f"version {asked[0][:20]!r} of the websocket protocol is not spoken here\n"
        response = websocket.reject(HTTPStatus.UPGRADE_REQUIRED, told)
        response.headers["Upgrade"] = "websocket"
    if response.status_code == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Sec-WebSocket-Version"] = _VERSION
    return response
