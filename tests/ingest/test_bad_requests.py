"""Requests by hand that break HTTP, on both ports of the running service.

Each gets a clear status, or a closed connection where nothing can be said; none counts anybody, none is a fault
of the service, and afterwards a viewer is counted as ever. What schemathesis can make stands in tests/schemas;
frames and handshakes in test_gateway.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from streamcount.core.wire import PATH
from streamcount.embed.client import Viewer
from tests.service import serving

pytestmark = pytest.mark.slow

OK, GONE = 200, 0


def head(line=b"GET /healthz HTTP/1.1", *fields):
    return b"\r\n".join([line, b"Host: x", b"Connection: close", *fields, b"", b""])


def upgrade(line, *fields):
    return b"\r\n".join([line, b"Host: x", *fields, b"", b""])


def get(path):
    return head(b"GET " + path + b" HTTP/1.1")


UPGRADE = (
    b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Protocol: streamcount.v1",
)  # fmt: skip
V13 = b"Sec-WebSocket-Version: 13"
VIEWERS = b"GET " + PATH.encode() + b" HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked"
POST = b"POST /healthz HTTP/1.1"

# What is sent -> the statuses that are right, on either port.
EITHER = {
    "nothing but zeros": (b"\0" * 64 + b"\r\n\r\n", {400, GONE}),
    "no request line": (b"\r\n\r\n\r\n\r\n", {400, GONE}),
    "a word": (b"GET\r\n\r\n", {400}),
    "HTTP 0.9": (b"GET /healthz\r\n\r\n", {OK, 400}),
    "the preface of HTTP 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, {400, 405, 505}),
    "a hello of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 300 + b"\r\n\r\n", {400, GONE}),
    "a version of its own": (head(b"GET /healthz HTTP/9.9"), {400, 505}),
    "no version": (head(b"GET /healthz HTTP/"), {400}),
    "a method in lower case": (head(b"get /healthz HTTP/1.1"), {400, 405}),
    "a method of its own": (head(b"BREW /healthz HTTP/1.1"), {400, 405}),
    "a method that is long": (head(b"A" * 5000 + b" /healthz HTTP/1.1"), {400, 405, 414, 431}),
    "a method with a zero in it": (head(b"G\0T /healthz HTTP/1.1"), {400}),
    "CONNECT": (head(b"CONNECT example.org:443 HTTP/1.1"), {400, 401, 404, 405}),
    "OPTIONS of everything": (head(b"OPTIONS * HTTP/1.1"), {400, 401, 404, 405}),
    "two spaces": (head(b"GET  /healthz  HTTP/1.1"), {OK, 400}),
    "a path without a slash": (head(b"GET healthz HTTP/1.1"), {400, 401, 404}),
    "a zero in the path": (get(b"/\0"), {400}),
    "a zero in the path, quoted": (get(b"/%00"), {401, 404}),
    "a zero after a path that is": (get(b"/healthz%00"), {401, 404}),
    "half a quotation": (get(b"/%"), {400, 401, 404}),
    "no quotation": (get(b"/%zz"), {400, 401, 404}),
    "a path that is not UTF-8": (get(b"/\xff\xfe"), {400, 401, 404}),
    "the same, quoted": (get(b"/%ff%fe"), {400, 401, 404}),
    "a path upwards": (get(b"/../../../etc/passwd"), {400, 401, 404}),
    "upwards, quoted": (get(b"/%2e%2e/%2e%2e/etc/passwd"), {400, 401, 404}),
    "upwards from a folder": (get(b"/static/..%2f..%2fapp.py"), {400, 404}),
    "upwards by backslashes": (get(b"/static/..\\..\\app.py"), {400, 404}),
    "two slashes": (get(b"//healthz"), {400, 401, 404}),
    "a long path": (get(b"/" + b"x" * 7000), {400, 401, 404, 414}),
    "a longer path": (get(b"/" + b"x" * 100_000), {400, 414}),
    "a long query": (get(b"/healthz?" + b"a=b&" * 900), {OK, 400, 414}),
    "a longer query": (get(b"/healthz?" + b"a=b&" * 25_000), {400, 414}),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", {OK, 400}),
    "two hosts": (head(b"GET /healthz HTTP/1.1", b"Host: y"), {OK, 400}),
    "a host that is none": (b"GET /healthz HTTP/1.1\r\nHost: a b/@[\r\n\r\n", {OK, 400}),
    "HTTP 1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", {OK}),
    "a field without a colon": (head(b"GET /healthz HTTP/1.1", b"nonsense"), {400}),
    "a field with a space before its colon": (head(b"GET /healthz HTTP/1.1", b"X : y"), {400}),
    "a field with a zero": (head(b"GET /healthz HTTP/1.1", b"X: \0"), {400}),
    "a field on two lines": (head(b"GET /healthz HTTP/1.1", b"X: y", b" z"), {OK, 400}),
    "a long field": (head(b"GET /healthz HTTP/1.1", b"X: " + b"y" * 20_000), {400, 431}),
    "many fields": (head(b"GET /healthz HTTP/1.1", *[b"X%d: y" % n for n in range(2000)]), {400, 431}),
    "two lengths": (head(POST, b"Content-Length: 3", b"Content-Length: 4") + b"abcd", {400}),
    "a length below nothing": (head(POST, b"Content-Length: -1"), {400}),
    "a length with a sign": (head(POST, b"Content-Length: +3") + b"abc", {400}),
    "a length in letters": (head(POST, b"Content-Length: three") + b"abc", {400}),
    "a length of twenty digits": (head(POST, b"Content-Length: " + b"9" * 20), {400, 405, 413}),
    "length and chunks": (head(POST, b"Content-Length: 3", CHUNKED) + b"0\r\n\r\n", {400}),
    "chunks of no length": (head(POST, CHUNKED) + b"zz\r\nabc\r\n0\r\n\r\n", {400, 405}),
    "a chunk of all there is": (head(POST, CHUNKED) + b"F" * 17 + b"\r\nabc", {400, 405}),
    "chunks inside chunks": (head(POST, b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", {400, 405}),
    "a coding of its own": (head(POST, b"Transfer-Encoding: gnirps") + b"abc", {400, 405, 501}),
    "an expectation of its own": (head(POST, b"Expect: miracles", b"Content-Length: 0"), {405, 417}),
    "a range of its own": (head(b"GET /healthz HTTP/1.1", b"Range: bytes=x-y"), {OK, 416}),
    "a token of bytes": (head(b"GET /metrics HTTP/1.1", b"Authorization: Bearer \xff\xfe"), {400, 401, 404}),
}  # fmt: skip

# Mostly upgrades on the viewers' path; the operators' port has no such path.
ONLY_PUBLIC = {
    "an upgrade behind a request": (upgrade(b"GET /healthz HTTP/1.1") + upgrade(VIEWERS, *UPGRADE, V13), {OK}),
    "another version": (upgrade(VIEWERS, *UPGRADE, b"Sec-WebSocket-Version: 8"), {426}),
    "a version that is no number": (upgrade(VIEWERS, *UPGRADE, b"Sec-WebSocket-Version: x" * 9), {426}),
    "no version of websocket": (upgrade(VIEWERS, *UPGRADE), {400}),
    "to something else": (upgrade(VIEWERS, b"Upgrade: h2c", b"Connection: Upgrade", V13), {426}),
    "without Connection": (upgrade(VIEWERS, b"Upgrade: websocket", V13), {426}),
    "by HTTP 1.0": (upgrade(VIEWERS.replace(b"1.1", b"1.0"), *UPGRADE, V13), {400, 505}),
    "by POST": (upgrade(VIEWERS.replace(b"GET", b"POST"), *UPGRADE, V13), {400, 405}),
    "with a body": (upgrade(VIEWERS, *UPGRADE, V13, b"Content-Length: 4") + b"abcd", {400}),
    "with chunks": (upgrade(VIEWERS, *UPGRADE, V13, CHUNKED) + b"0\r\n\r\n", {400}),
    "with a field that is none": (upgrade(VIEWERS, *UPGRADE, V13, b"nonsense"), {400}),
    "with a line that is none": (upgrade(VIEWERS + b" x", *UPGRADE, V13), {400}),
    "with a key that is none": (upgrade(VIEWERS, *UPGRADE[:2], b"Sec-WebSocket-Key: \xff", UPGRADE[3], V13), {400}),
}  # fmt: skip


BEACON = b"POST /v1/heartbeats HTTP/1.1"
SAID = b'{"event":"lesson","stream":"main","viewer":"viewer-0002","heartbeats":[{"seq":1,"state":"playing"}]}'
ONLY_PUBLIC |= {
    "a beacon of nothing": (head(BEACON, b"Content-Length: 0"), {400}),
    "a beacon cut short": (head(BEACON, b"Content-Length: 50") + SAID, {400}),
    "a beacon of two lengths": (head(BEACON, b"Content-Length: 5", b"Content-Length: 101") + SAID, {400}),
    "a beacon in chunks of no length": (head(BEACON, CHUNKED) + b"zz\r\n" + SAID, {400}),
    "a beacon that is too long": (head(BEACON, b"Content-Length: 99999") + SAID * 1000, {413, GONE}),
    "a beacon that grows too long": (head(BEACON, CHUNKED) + b"3000\r\n" + b" " * 0x3000 + b"\r\n0\r\n\r\n", {413, GONE}),
    "a beacon deep in itself": (head(BEACON, b"Content-Length: 8000") + b"[" * 8000, {400}),
    "a beacon that is not UTF-8": (head(BEACON, b"Content-Length: 3") + b"\xff\xfe{", {400}),
    "a beacon said to be compressed": (head(BEACON, b"Content-Encoding: gzip", b"Content-Length: 4") + b"\x1f\x8b\x08\0", {400, 415}),
    "a beacon by PUT": (head(BEACON.replace(b"POST", b"PUT"), b"Content-Length: 101") + SAID, {405}),
}  # fmt: skip


def by_operators(token):
    """What breaks on the operators' port only for who has the token."""
    post = b"POST /api/events HTTP/1.1"
    known = b"Authorization: Bearer " + token
    return {
        "a definition of nothing": (head(post, known, b"Content-Length: 0"), {400}),
        "a definition in chunks of no length": (head(post, known, CHUNKED) + b"zz\r\n{}", {400}),
        "a definition that is too long": (head(post, known, b"Content-Length: 300000") + b" " * 300_000, {413, GONE}),
        "a definition that grows too long": (head(post, known, CHUNKED) + b"50000\r\n" + b" " * 0x50000 + b"\r\n0\r\n\r\n", {413, GONE}),
        "a definition deep in itself": (head(post, known, b"Content-Length: 9000") + b"[" * 9000, {400}),
        "a definition that is not UTF-8": (head(post, known, b"Content-Length: 3") + b"\xff\xfe{", {400}),
        "an event upwards": (head(b"GET /api/events/..%2f..%2foperator.token HTTP/1.1", known), {404}),
        "an event with a zero": (head(b"GET /api/events/%00/counts HTTP/1.1", known), {404}),
        "evidence of a folder": (head(b"GET /api/events/%2e%2e/evidence HTTP/1.1", known), {404, 409}),
        "evidence under a name of its own": (head(b"GET /api/events/x%0d%0aSet-Cookie:%20y/evidence HTTP/1.1", known), {409}),
        "two tokens": (head(b"GET /api/events HTTP/1.1", b"Authorization: Bearer x", known), {400, 401}),
    }  # fmt: skip


def send(address, data):
    """Send it all, read what is said; the statuses of the answers, and the whole of it.

    Half closed it would be closed, so the end is a silence after an answer, or the other side's.
    """
    at = urlsplit(address)
    said = b""
    with socket.create_connection((at.hostname, at.port), 60) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(
                data
            )  # it may be refused before all of it was read, and the answer be there
        try:
            while piece := connection.recv(65_536):
                said += piece
                connection.settimeout(0.5)
        except ConnectionResetError:
            pass
        except TimeoutError:
            assert said, "neither an answer nor an end"
    return [
        int(status) for status in re.findall(rb"^HTTP/[01]\.[019] (\d{3})", said, re.MULTILINE)
    ], said


def wrongly_answered(address, cases):
    """The cases with another status than is right, or with more than one answer, and what was said."""
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda case: send(address, case[0]), cases.values())
    wrong = {}
    for (name, (_, right)), (statuses, said) in zip(cases.items(), answers, strict=True):
        if len(statuses) > 1 or (statuses or [GONE])[0] not in right:
            wrong[name] = said[:300]
        if statuses == [426] and b"\r\nSec-WebSocket-Version: 13\r\n" not in said:
            wrong[name] = said[:300]
    return wrong


def test_what_breaks_http_gets_a_clear_status_and_counts_nobody(tmp_path):
    with serving(tmp_path) as service:
        service.create()
        service.open()
        assert wrongly_answered(service.public, EITHER | ONLY_PUBLIC) == {}
        token = (service.data / "operator.token").read_bytes().strip()
        assert wrongly_answered(service.told["operator"], EITHER | by_operators(token)) == {}
        asyncio.run(watch_a_little(service))
        assert service.counts("lesson")["uniques"] == 1
        said = service.log.read_text()
        assert "Traceback" not in said
        assert "a request to" not in said, "the service failed at one"


async def watch_a_little(service):
    heard = asyncio.Event()
    viewer = Viewer(
        service.public.replace("http", "ws") + PATH,
        event="lesson",
        viewer="viewer-0001",
        on_ack=lambda *_: heard.set(),
    )
    watching = asyncio.create_task(viewer.run())
    viewer.play()
    await asyncio.wait_for(heard.wait(), 120)
    await viewer.leave()
    await watching
