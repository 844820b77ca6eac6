"""The whole of it, in real processes: two laptops witness an event, and the pack says so."""

from __future__ import annotations

import json

import pytest

from streamcount.tlog.policy import parse_policy
from tests.follow.test_live import Following
from tests.service import run, serving

pytestmark = pytest.mark.slow


def test_two_laptops_witness_an_event_and_the_pack_has_the_second_level(tmp_path):
    names = ("one.example", "two.example")
    keys = [run("witness-key", name, str(tmp_path / name)).stdout.strip() for name in names]
    trust = {"witnesses": [{"key": key} for key in keys], "quorum": 2}
    with serving(tmp_path, STREAMCOUNT_WITNESS_LOOK_S="0.1") as service:
        key = service.create(trust=trust)
        policy = service.run("event", "policy", "lesson").stdout
        (tmp_path / "policy").write_text(policy)
        parsed = parse_policy(policy.encode())
        assert [one.vkey() for one in parsed.witnesses.values()] == keys
        assert [one.vkey() for one in parsed.logs] == [key]
        url = f"{service.public}/v1/events/lesson/log"
        followers = [
            Following(
                url,
                "--dir",
                str(tmp_path / f"copy-{name}"),
                "--key",
                key,
                "--cosign",
                str(tmp_path / name),
            )
            for name in names
        ]
        try:
            service.open()
            service.wait_for(lambda: service.counts("lesson")["witnessing"]["witnessed"] > 0)
            service.close()
            size = service.counts("lesson")["log_size"]
            service.wait_for(lambda: service.counts("lesson")["witnessing"]["witnessed"] == size)
            # They end by themselves once the log has taken what they signed of the claim.
            for one in followers:
                assert one.process.wait(180) == 0
                assert one.of("cosigned")[-1]["size"] == size
                assert one.of("alarm") == []
        finally:
            for one in followers:
                one.end()
        assert "witnessed up to entry" in service.run("event", "show", "lesson").stdout
        report = service.verified("lesson", tmp_path, key)
        assert report["levels"] == ["L1", "L2"]
        assert report["witnesses"] == list(names)
        pack, agreed = str(tmp_path / "lesson.zip"), str(tmp_path / "policy")
        plain = json.loads(run("verify", pack, "--policy", agreed, "--json").stdout)
        assert plain["levels"] == ["L1", "L2"]
        assert plain["rests_on"]["L2"] == ["key_given", "policy_given"]
