"""What a browser with the embed says and hears is what docs/schemas/ says, no key more."""

from __future__ import annotations

import json

from tests.browser.frames import until
from tests.schemas.published import CLIENT, SERVER, only_listed_keys, validator
from tests.service import serving


def test_the_frames_of_a_page_are_valid_messages(tmp_path, page):
    said, heard = [], []

    def listen(socket):
        socket.on("framesent", lambda text: said.append(json.loads(text)))
        socket.on("framereceived", lambda text: heard.append(json.loads(text)))

    page.on("websocket", listen)
    with serving(tmp_path) as service:
        service.create()
        service.open()
        page.goto(f"{service.public}/examples/watch.html?event=lesson")
        page.wait_for_function("window.streamcount?.watching?.lastAck")
        page.click("#toggle")
        until(page, lambda: any(message.get("state") == "paused" for message in said))
        page.evaluate("window.streamcount.watching.stop()")
        until(page, lambda: any(message["type"] == "bye" for message in said))
        page.goto("about:blank")
    for messages, document in ((said, CLIENT), (heard, SERVER)):
        schema = validator(only_listed_keys(document))
        for message in messages:
            schema.validate(message)
    assert {message["type"] for message in said} == {"hello", "heartbeat", "bye"}
    assert {message["type"] for message in heard} >= {"welcome", "ack"}
