"""ingest/connection: the frames written by hand, on the way of every answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from streamcount.ingest.connection import text_frame


@given(st.integers(0, 65_535))
def test_a_text_frame_is_what_websockets_would_write(length):
    payload = b"x" * length
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
