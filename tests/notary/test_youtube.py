"""notary/platform: YouTube's Data API as it is documented, and whatever else may come from there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging

import pytest

from streamcount.config import PlatformSettings, YouTubeSettings
from streamcount.core.platform import ANSWER_BYTES_MAX
from streamcount.notary import names
from streamcount.notary.platform import YouTube
from tests.stack import free_port
from tests.youtube import KEY, YouTubeServer, raw, refusal

A, B = "aaaaaaaaaaa", "b-b_bbbbbbb"


@contextlib.asynccontextmanager
async def asking(server, *, key=KEY, **change):
    youtube = YouTube(
        PlatformSettings(**({"deadline_s": 12} | change)),
        YouTubeSettings(url=server.url, key=key, units_per_day_max=100),
    )
    assert youtube.missing() == ""
    try:
        yield youtube
    finally:
        await youtube.close()


@contextlib.asynccontextmanager
async def speaking(*parts, pause_s=0.0, for_ever=False):
    """Something on a port that says this to whoever asks, HTTP or not."""
    done = asyncio.Event()
    done.set()

    async def say(reader, writer):
        done.clear()
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
            while for_ever and not writer.is_closing():
                writer.write(parts[-1])
                await writer.drain()
                await asyncio.sleep(pause_s)
            writer.close()
            await writer.wait_closed()
        done.set()

    server = YouTubeServer(port=free_port())
    async with await asyncio.start_server(say, "127.0.0.1", server.port):
        yield server
    await asyncio.wait_for(done.wait(), 60)


async def test_all_videos_are_asked_for_in_one_request_and_the_answer_is_kept_as_it_came():
    async with YouTubeServer({A: 650, B: None}) as server, asking(server) as youtube:
        answer = await youtube.ask([A, B])
        assert server.asked == [[A, B]]
        assert (answer.status, answer.failure, answer.trouble) == (200, "none", "")
        assert answer.received == len(answer.body)
        assert answer.sha256 == hashlib.sha256(answer.body).digest()
        assert b'"concurrentViewers": "650"' in answer.body
        assert youtube.read(answer.body, [A, B]) == (650, None)


@pytest.mark.parametrize(
    ("answers", "status", "pause_s", "said"),
    [
        (refusal(403, "quotaExceeded"), 403, 900, "YouTube answered 403 quotaExceeded"),
        (refusal(403, "rateLimitExceeded", "usageLimits"), 403, 30, "403 rateLimitExceeded"),
        (refusal(429, "rateLimitExceeded", "global", **{"Retry-After": "77"}), 429, 77, "429"),
        (raw(b"slow down", 429), 429, 30, "YouTube answered 429"),
        (raw(b"", 503, **{"Retry-After": "120"}), 503, 120, "YouTube answered 503"),
        (raw(b"", 503, **{"Retry-After": "99999999999"}), 503, 3600, "503"),
        (
            raw(b"", 503, **{
                "Retry-After": "Fri, 20 Nov 2026 12:01:00 GMT", "Date": "Fri, 20 Nov 2026 12:00:00 GMT"
            }), 503, 60, "503",
        ),
        (raw(b"", 503, **{"Retry-After": "soon"}), 503, 0, "503"),
        (raw(b"oops", 500), 500, 0, "YouTube answered 500"),
        (raw(b'{"error": {"errors": [{"reason": "<b>\xd9\x85</b>"}]}}', 400), 400, 0, "answered 400"),
        (raw(b'{"error": {"errors": []}}', 400), 400, 0, "YouTube answered 400"),
        (raw(b"", 302, Location="http://127.0.0.1:1/"), 302, 0, "YouTube answered 302"),
    ],
)  # fmt: skip
async def test_a_refusal_is_an_answer_with_its_status_its_reason_and_a_pause(
    answers, status, pause_s, said
):
    async with YouTubeServer() as server, asking(server) as youtube:
        server.next = [answers]
        answer = await youtube.ask([A])
        assert (answer.status, answer.failure, answer.pause_s) == (status, "none", pause_s)
        assert said in answer.trouble
        assert answer.trouble.isprintable()


async def test_requests_of_several_events_are_refused_at_once_each_with_its_reason():
    async with YouTubeServer({A: 650}) as server, asking(server) as youtube:
        server.next = [refusal(403, "quotaExceeded")]
        answers = await asyncio.gather(youtube.ask([A]), youtube.ask([B]))
        assert {one.trouble for one in answers} == {"YouTube answered 403 quotaExceeded"}
        assert {one.pause_s for one in answers} == {PlatformSettings().quota_pause_s}
        server.next = []
        assert (await youtube.ask([A])).status == 200
        assert server.wrong_keys == 0


async def test_a_wrong_key_is_told_without_being_told():
    async with YouTubeServer() as server, asking(server, key="wrong-key-1234567") as youtube:
        answer = await youtube.ask([A])
        assert answer.trouble == "YouTube answered 400 keyInvalid"


async def test_a_platform_that_hangs_is_given_up_by_the_deadline():
    async with YouTubeServer() as server, asking(server, deadline_s=0.3) as youtube:
        server.hangs = True
        answer = await asyncio.wait_for(youtube.ask([A]), 60)
        assert (answer.status, answer.failure, answer.body) == (None, "timeout", b"")


async def test_an_answer_that_dribbles_is_given_up_by_the_deadline():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    async with (
        speaking(head, b"{", pause_s=0.05, for_ever=True) as server,
        asking(server, deadline_s=0.3) as youtube,
    ):
        answer = await asyncio.wait_for(youtube.ask([A]), 60)
    assert (answer.status, answer.failure, answer.body) == (None, "timeout", b"")


@pytest.mark.parametrize(
    "said",
    [b"", b"no http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", b"HTTP/1.1 99999 ?\r\n\r\n", b"HTTP/1.1 099 ?\r\n\r\n"],
)  # fmt: skip
async def test_what_is_no_answer_is_told_as_unreachable(said):
    async with speaking(said) as server, asking(server) as youtube:
        answer = await youtube.ask([A])
    assert (answer.status, answer.failure, answer.received) == (None, "unreachable", 0)


async def test_a_refused_connection_is_unreachable_and_told_without_the_key(caplog):
    caplog.set_level(logging.DEBUG)
    async with asking(YouTubeServer(port=free_port())) as youtube:
        answer = await youtube.ask([A])
        assert (answer.status, answer.failure) == (None, "unreachable")
        assert answer.trouble == "YouTube cannot be reached (ClientConnectorError)"
        assert KEY not in caplog.text + repr(youtube.__dict__["_youtube"])


async def test_an_answer_beyond_the_bound_is_cut_and_its_whole_hashed():
    whole = b'{"items": []}'.ljust(ANSWER_BYTES_MAX + 5_000)
    async with YouTubeServer() as server, asking(server) as youtube:
        server.next = [raw(whole)]
        answer = await youtube.ask([A])
        assert (answer.failure, answer.received) == ("too_long", len(whole))
        assert answer.body == whole[:ANSWER_BYTES_MAX]
        assert answer.sha256 == hashlib.sha256(whole).digest()


async def test_an_endless_answer_is_not_read_to_its_end():
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with (
        speaking(head, b"x" * 65_536, for_ever=True) as server,
        asking(server, received_bytes_max=100_000) as youtube,
    ):
        answer = await youtube.ask([A])
    assert (answer.status, answer.failure) == (200, "too_long")
    assert 100_000 < answer.received < 600_000
    assert len(answer.body) == ANSWER_BYTES_MAX


async def test_an_answer_that_holds_the_key_is_withheld():
    async with YouTubeServer() as server, asking(server) as youtube:
        server.next = [raw(b'{"error": "no such key: ' + KEY.encode() + b'"}', 400)]
        answer = await youtube.ask([A])
        assert (answer.status, answer.failure, answer.body) == (400, "withheld", b"")
        assert answer.received > 0
        assert KEY not in answer.trouble


async def test_a_redirect_is_not_followed_as_the_key_would_go_along():
    async with YouTubeServer() as server, asking(server) as youtube:
        server.next = [raw(b"", 307, Location=f"{server.url}/elsewhere")]
        assert (await youtube.ask([A])).status == 307
        assert len(server.asked) == 1


async def test_a_resolver_that_hangs_keeps_no_thread_that_the_archive_needs(monkeypatch):
    """The archive is written in the loop's own threads; names are looked up in two others."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_):
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return []

    monkeypatch.setattr(names.socket, "getaddrinfo", hang)
    settings = PlatformSettings(deadline_s=0.2)
    youtube = YouTube(settings, YouTubeSettings(url="https://api.example", key=KEY))
    youtube.missing()
    try:
        answers = [await youtube.ask([A]) for _ in range(5)]
        assert {answer.failure for answer in answers} == {"timeout"}
        await asyncio.wait_for(asyncio.gather(*(asyncio.to_thread(int) for _ in range(4))), 60)
    finally:
        release.set()
        await youtube.close()


# --- The key ---


def test_the_key_comes_from_a_file_or_the_environment_and_is_asked_for_kindly(
    tmp_path, monkeypatch
):
    def made(**change):
        return YouTube(PlatformSettings(), YouTubeSettings(**change))

    assert "STREAMCOUNT_YOUTUBE_KEY_FILE" in made().missing()
    path = tmp_path / "key"
    youtube = made(key_file=path)
    assert f"{path}, cannot be read" in youtube.missing()
    path.write_text("not a key!\n")
    assert "holds no key" in youtube.missing()
    assert "not a key" not in youtube.missing()
    path.write_text(f"{KEY}\n")  # put there while the service runs
    assert youtube.missing() == ""
    assert youtube._key == KEY
    monkeypatch.setenv("STREAMCOUNT_YOUTUBE_KEY", KEY)
    assert made().missing() == ""
    assert KEY not in repr(YouTubeSettings())


def test_the_key_is_sent_over_tls_only_or_within_this_machine():
    for good in ["https://www.googleapis.com", "http://127.0.0.1:9", "http://localhost", "http://[::1]:80/x"]:  # fmt: skip
        YouTubeSettings(url=good)
    elsewhere = [
        "http://localhost.example",
        "http://127.0.0.1.example/",
        "http://localhost:1@api.example",
    ]
    for bad in ["http://www.googleapis.com", *elsewhere, "ftp://x"]:
        with pytest.raises(ValueError, match="https"):
            YouTubeSettings(url=bad)


@pytest.mark.parametrize("video", ["dQw4w9WgXcQ", "a-b_c-d_e-f"])
def test_an_id_of_a_video_is_eleven_characters(video):
    youtube = YouTube(PlatformSettings(), YouTubeSettings())
    assert youtube.check(video) == ""
    assert "11 characters" in youtube.check(video + "x")
    assert "11 characters" in youtube.check("https://youtu.be/" + video)
