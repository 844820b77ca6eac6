"""The service as people run it, asking a loopback YouTube: made by the command line, its notary killed, verified by both."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.evidence.test_second import NODE
from tests.notary.test_polling import second_verifier
from tests.service import run, serving
from tests.youtube import KEY, YouTubeServer

pytestmark = pytest.mark.slow
A, B = "aaaaaaaaaaa", "b_b-bbbbbbb"


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
def test_an_event_that_claims_youtubes_count_from_the_command_line_to_both_verifiers(tmp_path):
    path = tmp_path / "youtube.key"
    path.write_text(f"{KEY}\n")
    with YouTubeServer({A: 2_135, B: 7}) as youtube:
        settings = {
            "STREAMCOUNT_YOUTUBE_URL": youtube.url,
            "STREAMCOUNT_YOUTUBE_KEY_FILE": str(path),
            "STREAMCOUNT_YOUTUBE_UNITS_PER_DAY_MAX": "1000000",
            "STREAMCOUNT_PLATFORM_POLL_S": "0.5",
        }
        with serving(tmp_path, **settings) as service:
            address = f"https://www.youtube.com/watch?v={A}&t=3"
            made = service.ask(
                *"event create lesson --window 7 --interval 1 --claim platform --stream hall".split(),
                *["--stream", "home", "--youtube", address, "--youtube", f"https://youtu.be/{B}"],
            )
            streams = made["definition"]["streams"]
            assert [one["platform"]["video"] for one in streams] == [A, B]
            service.open()

            def told():
                return service.counts("lesson")["platform"]["so_far"]

            service.wait_for(lambda: told()["peak"] == 2_142)
            os.kill(service.told["children"]["notary-0"], signal.SIGKILL)
            youtube.says[A] = 2_000
            before = len(youtube.asked)
            service.wait_for(lambda: len(youtube.asked) >= before + 2)
            rounds = "/api/events/lesson/platform"
            service.wait_for(lambda: 2_007 in service.api(rounds)["numbers"])
            shown = service.run("event", "show", "lesson").stdout
            assert "youtube: 2,0" in shown
            assert "not proven" in shown
            service.close()
            report = service.verified("lesson", tmp_path, made["key"])
            said = service.log.read_text() + shown
        assert report["platform"]["peak"] == 2_142
        assert report["platform"]["second"] in {2_142, 2_007}
        assert report["claimed_count"] == "platform"
        their = second_verifier(tmp_path / "lesson.zip", made["key"])
        assert (their["outcome"], their["platform"]) == ("holds", report["platform"])
        told = run("verify", str(tmp_path / "lesson.zip"), "--key", made["key"], "--lang", "ar")
        assert "الرقم المعلن" in told.stdout
        # The key is nowhere: no log line, no evidence, no file of the service.
        assert youtube.wrong_keys == 0
        assert KEY not in said + json.dumps(report)
        for file in (tmp_path / "data").rglob("*"):
            assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def environment(process):
    return Path(f"/proc/{process}/environ").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", ["STREAMCOUNT_YOUTUBE_KEY", "streamcount_youtube_key"])
def test_the_key_in_the_environment_reaches_the_notary_and_no_other_process(tmp_path, name):
    with serving(tmp_path, **{name: KEY}) as service:
        children = service.told["children"]
        holders = {name for name, pid in children.items() if KEY.encode() in environment(pid)}
        assert holders == {"notary-0"}
        assert len(children) >= 3


def test_a_wrong_setting_is_told_when_the_service_starts(tmp_path):
    wrong = {"STREAMCOUNT_YOUTUBE_URL": "http://www.googleapis.com"}
    done = run("serve", "--data", tmp_path, check=False, env={**os.environ, **wrong})
    assert done.returncode == 2
    assert "url: Value error, must begin with https://" in done.stderr
    assert "Traceback" not in done.stderr


def test_more_videos_than_streams_are_refused(tmp_path):
    done = run(*"event create x --youtube a --youtube b --data".split(), tmp_path, check=False)
    assert done.returncode == 2
    assert "2 videos for 1 streams; give each its --stream" in done.stderr
