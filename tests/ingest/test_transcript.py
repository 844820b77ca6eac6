"""docs/protocol.md shows a real conversation: this one. `STREAMCOUNT_WRITE_DOCS=1` writes it anew."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path

import aiohttp

from streamcount.core import beacon as beacons
from tests.stack import Stack

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
MARK = "<!-- transcript -->"
BEACONS = "<!-- beacons -->"


class Recorder:
    def __init__(self, talk):
        self.talk = talk
        self.start = time.monotonic()
        self.lines = []

    def note(self, who, text):
        self.lines.append(f"{who} {time.monotonic() - self.start:5.2f}  {text}")

    async def say(self, **message):
        text = json.dumps(message)
        self.note(">", text)
        await self.talk.connection.send(text)

    async def hear(self):
        text = await self.talk.connection.recv()
        self.note("<", text)
        return json.loads(text)


async def converse(stack):
    await stack.open_event(streams=[{"id": "main"}])
    async with stack.socket() as talk:
        record = Recorder(talk)
        await record.say(
            type="hello",
            event="lesson",
            stream="main",
            viewer="5f0c1f5e9a7b4c3d",
            source="https://example.org/lesson.m3u8",
            player="html5",
        )
        await record.hear()
        beat = {"type": "heartbeat", "visible": True, "muted": False}
        await record.say(**beat, seq=1, state="playing", position=12.4, behind_live_s=3.1)
        await record.hear()
        await record.say(**beat, seq=2, state="buffering", position=12.9, behind_live_s=4.0)
        await record.hear()
        await record.say(**beat, seq=3, state="playing", position=14.2, behind_live_s=4.0)
        await record.hear()
        await record.say(**beat, seq=4, state="paused", position=15.8, behind_live_s=4.0)
        await record.hear()
        await record.say(type="bye", seq=5)
        await record.hear()
        code, _ = await talk.ended()
        record.note("<", f"close {code}")
    async with stack.socket() as talk:
        other = Recorder(talk)
        await other.say(type="hello", event="lessons", stream="main", viewer="5f0c1f5e9a7b4c3d")
        await other.hear()
        code, _ = await talk.ended()
        other.note("<", f"close {code}")
    return [
        *record.lines,
        "",
        "Another connection, to an event that is not there:",
        "",
        *other.lines,
    ]


async def post(stack, record, query="", **change):
    """Send a beacon as a client would, and record both sides."""
    plain = {"event": "lesson", "stream": "main", "viewer": "5f0c1f5e9a7b4c3d"} | change
    url = f"http://127.0.0.1:{stack.settings.public_port}{beacons.PATH}{query}"
    record.note(">", f"POST {beacons.PATH}{query}  {json.dumps(plain)}")
    async with aiohttp.ClientSession() as session, session.post(url, json=plain) as answer:
        text = await answer.text()
        record.note("<", f"{answer.status}  {text}")
    return json.loads(text)


async def send_beacons(stack):
    await stack.open_event(streams=[{"id": "main"}])
    record = Recorder(None)
    told = await post(stack, record, player="app 1.0")
    begin, time_ms = time.monotonic(), told["server_time"]

    def made_at():
        return time_ms + int((time.monotonic() - begin) * 1000)

    beat = {"state": "playing", "visible": True}
    one = beat | {"seq": 1, "position": 12.4}
    await post(stack, record, made_at=made_at(), heartbeats=[one])
    two = beat | {"seq": 2, "position": 14.0}
    await post(stack, record, "?wait=0", made_at=made_at(), heartbeats=[two])
    old = beat | {"seq": 3, "position": 15.0}
    await post(stack, record, made_at=made_at() - 9_000, heartbeats=[old])
    await asyncio.sleep(1.1)  # a second that has nothing else in it
    pause = {"seq": 4, "state": "paused"}
    await post(stack, record, made_at=made_at(), heartbeats=[pause])
    wrong = {"seq": 5, "state": "dancing"}
    await post(stack, record, made_at=made_at(), heartbeats=[wrong])
    await post(stack, record, made_at=made_at(), bye={"seq": 6})
    return record.lines


def without_numbers(lines):
    """What has to be the same next time: everything but times and ticks."""
    text = "\n".join(lines)
    text = re.sub(r"([<>]) +\d+\.\d\d", r"\1", text)
    return re.sub(r'("(?:tick|server_time|made_at|peak)": ?)\d+', r"\1N", text)


def block_of(lines):
    """Lines of a record as the page has them."""
    return "\n".join(f"    {line}" if line[:1] in "<>" and line else line for line in lines)


async def test_the_conversation_in_the_protocol_page_is_a_real_one(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        lines = await converse(stack)
    head, _, rest = PAGE.read_text("utf-8").partition(MARK)
    if os.environ.get("STREAMCOUNT_WRITE_DOCS"):
        PAGE.write_text(f"{head}{MARK}\n\n{block_of(lines)}\n", "utf-8")
        return
    shown = [line.removeprefix("    ") for line in rest.strip("\n").split("\n")]
    assert without_numbers(shown) == without_numbers(lines)


async def test_the_beacons_in_the_protocol_page_are_real_ones(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        lines = await send_beacons(stack)
    head, _, rest = PAGE.read_text("utf-8").partition(BEACONS)
    shown, heading, rest = rest.partition("\n## ")
    if os.environ.get("STREAMCOUNT_WRITE_DOCS"):
        PAGE.write_text(f"{head}{BEACONS}\n\n{block_of(lines)}\n{heading}{rest}", "utf-8")
        return
    shown = [line.removeprefix("    ") for line in shown.strip("\n").split("\n")]
    assert without_numbers(shown) == without_numbers(lines)
