"""report/content: what a report says follows from the log and what verifying found."""

from __future__ import annotations

import pytest

from streamcount.core import canonical
from streamcount.evidence.fault import FaultError
from streamcount.report.content import NoReportError, content
from tests.report.logs_told import KEY, OPENED, claim_of, definition, entries, entry, findings


def test_the_claim_is_the_latest_and_its_bytes_are_those_of_the_log():
    log = [*entries(ticks=100)]
    found = content(findings(), log)
    assert found.claim_bytes == log[-1]
    assert canonical.dump(found.claim) == log[-1]
    assert found.figures == found.claim["net"]
    assert found.dated == OPENED + 100
    assert not found.rehearsal


def test_an_earlier_claim_is_superseded_for_the_reason_that_the_later_one_gives():
    event = definition()
    log = [*entries(event, ticks=100)]
    log.append(entry("exclude", pseudonyms=["0" * 32], reason="staff"))
    log.append(
        canonical.dump(
            claim_of(event, version=2, supersedes=len(log) - 2, reason="staff counted", value=7)
        )
    )
    found = content(findings(), log)
    assert found.claim["value"] == 7
    assert [(one.number, one.reason) for one in found.superseded] == [
        (len(log) - 3, "staff counted")
    ]


def test_figures_are_those_that_the_profile_asks_for():
    rules = definition()["rule_profile"] | {"count": "gross"}
    found = content(findings(), entries(definition(rule_profile=rules), ticks=50))
    assert found.figures == found.claim["gross"]


def test_the_curve_has_each_proven_count_at_its_own_tick():
    found = content(findings(), entries(ticks=100, high=1_000))
    assert found.curve.first == OPENED
    assert len(found.curve.live) == 130
    assert len(found.curve.proven) == 100
    assert max(found.curve.proven) == 990
    assert found.curve.proven.index(990) == found.curve.live.index(1_000)


def test_a_log_without_a_claim_has_none_and_is_dated_by_its_last_tick():
    found = content(findings(stage="interim"), entries(claim=False, ticks=10))
    assert found.claim is None
    assert found.dated == OPENED + 40
    with pytest.raises(NoReportError):
        _ = found.figures
    empty = content(findings(stage="interim"), [next(entries())])
    assert empty.curve is None
    assert empty.dated == 0


def test_what_does_not_hold_has_no_report():
    with pytest.raises(NoReportError):
        content(findings(fault=FaultError("x", "wrong")), entries())
    with pytest.raises(NoReportError):
        content(findings(), [])


def test_an_entry_between_ticks_stands_behind_the_tick_before_it():
    told = [(None, {"type": "note", "text": "a"}), (7, {"type": "note", "text": "b"})]
    found = content(findings(), entries(told=told, ticks=20))
    assert [(one.tick, one.entry["text"]) for one in found.of("note")] == [
        (None, "a"),
        (OPENED + 7, "b"),
    ]
    assert found.fingerprint.key == KEY
