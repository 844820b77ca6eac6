"""What follow and adopt are given wrongly is one clear error at once, never tried for ever."""

from __future__ import annotations

import socket
import threading

import pytest
import typer

from streamcount.cli.follow import _published, adopt_command, follow
from tests.evidence.logs import some_event
from tests.follow.shown import showing_in_a_thread

LOG = "http://127.0.0.1:1/v1/events/x/log"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "count.example.org/v1/events/x/log"}, "URL count.example.org"),
        ({"url": "http://127.0.0.1:99999/log"}, "URL http://127.0.0.1:99999"),
        ({"url": "http:///log"}, "URL http:///log"),
        ({"operator": "127.0.0.1:8081"}, "--operator 127.0.0.1:8081"),
        ({"token": "one\ntwo"}, "one word in one line"),
        ({"token": ""}, "one word in one line"),
        ({"token": None}, "No such file"),
        ({"key": "nope"}, "neither a key"),
    ],
)
def test_what_can_never_work_is_said_at_once(tmp_path, capsys, given, said):
    path = tmp_path / "token"
    if (token := given.get("token", "good")) is not None:
        path.write_text(token)
    with pytest.raises(typer.Exit) as ended:
        follow(
            given.get("url", LOG),
            folder=tmp_path / "copy",
            key=given.get("key"),
            operator=given.get("operator", "http://127.0.0.1:1"),
            token_file=path,
        )
    assert ended.value.exit_code == 2
    assert said in capsys.readouterr().err


def test_adopting_nothing_says_what_to_give(tmp_path, capsys):
    with pytest.raises(typer.Exit):
        adopt_command(tmp_path / "nowhere", "x", tmp_path)
    assert "holds no checkpoint; give the folder" in capsys.readouterr().err
    with pytest.raises(typer.Exit):
        _published(str(tmp_path / "none"))
    assert "give a file with a checkpoint" in capsys.readouterr().err


def test_what_was_published_may_be_named_by_the_address_of_the_log(tmp_path):
    some_event(tmp_path / "lesson", ticks=2)
    signed = (tmp_path / "lesson" / "checkpoint").read_bytes()
    with showing_in_a_thread(tmp_path / "lesson") as shown:
        shown.reader.refresh()
        for end in ("", "/", "/checkpoint"):
            assert _published(shown.url + end) == signed


def test_an_answer_that_is_no_http_is_said(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"what?\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(typer.Exit):
            _published(f"http://127.0.0.1:{server.getsockname()[1]}/log")
        thread.join(60)
    assert "A checkpoint kept in a file will do as well" in capsys.readouterr().err
