"""evidence/witnessed: what was kept makes levels, what does not hold is named, what is missing is no failure."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from streamcount.cli import app
from streamcount.evidence.witnessed import Outside
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note
from streamcount.tlog.policy import write_policy
from tests.evidence.authority import OPENSSL, Authority, faketime_library
from tests.evidence.forging import contents
from tests.evidence.logs import FIRST
from tests.evidence.resigning import resigned
from tests.evidence.trusted import KEYS, SIGNERS, Witnessed

stamping = pytest.mark.skipif(
    OPENSSL is None or faketime_library() is None, reason="needs openssl and libfaketime"
)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    return {name: Authority(folder / name, name) for name in ("first", "second")}


def levels(findings):
    assert findings.wrong is None
    return findings.as_dict()["levels"]


# --- Levels ---


def test_without_anything_kept_a_pack_has_the_first_level(tmp_path):
    findings = Witnessed(tmp_path).finish().verify()
    assert levels(findings) == ["L1"]
    assert {"witnessed", "timed"} <= set(findings.unchecked)
    assert findings.as_dict()["rests_on"] == {"L1": ["key_given"]}


def test_a_claim_that_enough_witnesses_saw_has_the_second(tmp_path):
    findings = Witnessed(tmp_path).finish().keep(0, 2).verify()
    plain = findings.as_dict()
    assert levels(findings) == ["L1", "L2"]
    assert plain["witnesses"] == ["witness.example/0", "witness.example/2"]
    assert plain["rests_on"]["L2"] == ["key_given", "witnesses_own"]
    assert "witnessed" not in findings.unchecked
    assert "history" not in findings.unchecked
    assert "others" in findings.unchecked


def test_too_few_witnesses_are_no_failure(tmp_path):
    event = Witnessed(tmp_path).finish()
    assert levels(event.keep(1).verify()) == ["L1"]
    assert levels(event.keep(0).verify()) == ["L1", "L2"]


def test_dropped_cosignatures_cost_the_level_and_nothing_else(tmp_path):
    event = Witnessed(tmp_path).finish().keep(0, 1)
    size = event.reader.checkpoint.size
    event.made()
    lines = (tmp_path / f"lesson/checkpoints/{size}").read_bytes().splitlines(keepends=True)
    (tmp_path / f"lesson/checkpoints/{size}").write_bytes(b"".join(lines[:-1]))
    assert levels(event.verify()) == ["L1"]


def test_of_two_cosignatures_by_one_witness_the_earlier_is_kept(tmp_path):
    event = Witnessed(tmp_path).finish().keep(0, 1).keep(0, 1, when=FIRST + 4_000)
    assert event.verify().as_dict()["witness_lag_s"]["claim"] == FIRST + 41 - (FIRST + 25)


def test_what_was_seen_before_the_result_is_kept_and_does_not_cover_it(tmp_path):
    event = Witnessed(tmp_path)
    event.keep(0, 1, 2, size=3).keep(0, 1, size=16)
    findings = event.finish().verify()
    assert levels(findings) == ["L1"]
    assert findings.as_dict()["kept_checkpoints"] == 2


def test_before_the_claim_the_peak_is_the_result(tmp_path):
    """W is 11, the peak is at the second tick: it is final with entry 14 (an event, an epoch, 12 ticks)."""
    event = Witnessed(tmp_path).keep(0, 1, size=13)
    assert levels(event.verify()) == ["L1"]
    findings = event.keep(0, 2, size=14, when=FIRST + 20).verify()
    assert levels(findings) == ["L1", "L2"]
    assert findings.as_dict()["witness_lag_s"] == {"peak": 22 - 12, "claim": None}
    event.author.archive.close()


@stamping
def test_a_token_makes_the_third_level_with_or_without_witnesses(tmp_path, authorities):
    event = Witnessed(tmp_path, authorities).finish().stamp("second")
    findings = event.verify()
    assert levels(findings) == ["L1", "L3"]
    assert findings.as_dict()["authorities"] == ["second"]
    assert findings.as_dict()["rests_on"]["L3"] == ["key_given", "roots_own"]
    findings = event.stamp("first").keep(0, 1).verify()
    assert levels(findings) == ["L1", "L2", "L3"]
    end = FIRST + 14 + 11
    lags = findings.as_dict()["time_lag_s"], findings.as_dict()["witness_lag_s"]
    assert lags[0]["claim"] == FIRST + 45 - end
    assert lags[1]["claim"] == FIRST + 41 - end
    assert lags[0]["peak"] == FIRST + 45 - (FIRST + 12)


@stamping
def test_a_token_whose_certificates_have_ended_holds(tmp_path):
    valid = FIRST - 1_000, FIRST + 1_000
    event = Witnessed(tmp_path, {"old": Authority(tmp_path / "old", valid=valid)}).finish()
    assert levels(event.stamp("old").verify()) == ["L1", "L3"]


# --- Words from outside ---


@stamping
def test_roots_from_outside_are_said_and_compared(tmp_path, authorities):
    event = Witnessed(tmp_path, authorities).finish().stamp("first")
    findings = event.verify(outside=Outside(roots=[authorities["first"].pem]))
    assert findings.as_dict()["rests_on"]["L3"] == ["key_given", "roots_given"]
    findings = event.verify(outside=Outside(roots=[authorities["second"].pem]))
    assert findings.as_dict()["rests_on"]["L3"] == ["key_given", "roots_own"]
    other = Authority(tmp_path / "other").pem
    assert "of no authority" in event.verify(outside=Outside(roots=[other])).wrong
    assert "root 1 given" in event.verify(outside=Outside(roots=[b"x"])).wrong


def policy(*lines, log=None):
    names = [f"witness w{n} {key.vkey()}" for n, key in enumerate(KEYS)]
    first = [] if log is None else [f"log {log}"]
    return Outside("\n".join([*first, *names, *lines, ""]).encode())


def test_a_policy_from_outside_takes_the_place_of_the_quorum(tmp_path):
    event = Witnessed(tmp_path, quorum=1).finish().keep(0, 1)
    all_of_them = policy("group all all w0 w1 w2", "quorum all")
    two = policy("group g 2 w0 w1 w2", "quorum g")
    assert levels(event.verify()) == ["L1", "L2"]
    assert levels(event.verify(outside=all_of_them)) == ["L1"]
    findings = event.verify(outside=two)
    assert levels(findings) == ["L1", "L2"]
    assert findings.as_dict()["rests_on"]["L2"] == ["key_given", "policy_given"]
    assert findings.as_dict()["witness_lag_s"]["claim"] == FIRST + 41 - (FIRST + 25)


def test_a_policy_that_asks_for_nothing_makes_no_level(tmp_path):
    event = Witnessed(tmp_path).finish().keep(0, 1)
    assert levels(event.verify(outside=policy("quorum none"))) == ["L1"]


def test_a_policy_gives_the_key(tmp_path):
    made = Witnessed(tmp_path).finish().keep(0, 1).made()
    findings = made.verify(key=None, outside=policy("quorum w0", log=made.key))
    assert levels(findings) == ["L1", "L2"]
    assert findings.key_from_outside
    other = note.Signer("other", bytes(32)).verifier.vkey()
    assert made.verify(key=None, outside=policy("quorum w0", log=other)).fault.code == "other_key"
    assert made.verify(outside=policy("quorum w0", log=other)).fault.code == "policy_key"
    assert "the policy given: line 1" in made.verify(outside=Outside(b"quorum w0\n")).wrong


# --- What does not hold ---


def attacked(event, change):
    """The verdict on a pack whose files were changed by somebody who holds the log's key."""
    made = event.made()
    return made.verify(resigned(made, event.folder, change))


def cosigned(event, *signers, size=None, text=None):
    lines = [cosignature.cosign(one, text or event.text(size), FIRST + 40) for one in signers]
    return event.point(size) + b"".join(lines)


@pytest.fixture
def final(tmp_path):
    event = Witnessed(tmp_path).finish().keep(0, 1)
    event.size = event.reader.checkpoint.size
    event.name = f"checkpoints/{event.size}"
    return event


def test_an_unknown_witness_is_named(final):
    stranger = note.Signer("stranger.example", bytes(32))
    findings = attacked(final, {final.name: cosigned(final, SIGNERS[0], stranger)})
    assert findings.fault.code == "kept_point"
    assert "stranger.example" in findings.wrong


def test_a_witness_under_anothers_name_is_found(final):
    odd = note.Signer(SIGNERS[0].name, SIGNERS[1].seed)
    assert attacked(final, {final.name: cosigned(final, odd)}).fault.code == "kept_point"


def test_witnesses_in_another_order_or_twice_are_refused(final):
    for who in ((1, 0), (0, 0)):
        data = cosigned(final, *(SIGNERS[n] for n in who))
        assert "order of the witnesses" in attacked(final, {final.name: data}).wrong


def test_a_cosignature_of_another_text_is_refused(final):
    data = cosigned(final, SIGNERS[0], text=final.text(3))
    assert attacked(final, {final.name: data}).fault.code == "kept_point"


def test_a_kept_checkpoint_with_another_root_proves_a_fork(final):
    """By the log's own key, and cosigned: two histories under one key."""
    signer = final.reader.signer
    text = cp.Checkpoint(signer.name, 5, bytes(32)).text()
    data = signer.sign(text) + cosignature.cosign(SIGNERS[0], text, FIRST)
    findings = attacked(final, {"checkpoints/5": data})
    assert findings.fault.code == "kept_fork"
    assert "proves a fork" in findings.wrong


def test_a_kept_checkpoint_under_another_size_is_refused(final):
    findings = attacked(final, {"checkpoints/5": cosigned(final, SIGNERS[0], size=6)})
    assert findings.fault.code == "kept_size"


def test_a_checkpoint_to_which_nothing_belongs_is_refused(final):
    findings = attacked(final, {"checkpoints/5": final.point(5)})
    assert findings.fault.code == "kept_alone"


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints/0", "checkpoints/05", "checkpoints/1000", "checkpoints/x", "time/5.first.tsr",
        "checkpoints/5/5", "time/5.tsr", "trust/first.pem",
    ],
)  # fmt: skip
def test_no_other_files_have_a_place(final, name):
    assert attacked(final, {name: b"x"}).fault.code == "odd_file"


@stamping
def test_tokens_that_do_not_hold_are_named(tmp_path, authorities):
    event = Witnessed(tmp_path, authorities).finish().stamp("first").stamp("second")
    size = event.reader.checkpoint.size
    first, second = f"time/{size}.first.tsr", f"time/{size}.second.tsr"
    good = contents(event.made().path)
    bad = {
        "another root": {first: good[second]},
        "another text": {first: authorities["first"].token(event.text(3), now=FIRST + 45)},
        "no DER": {first: b"\x30\x00"},
        "cut off": {first: good[first][:-1]},
    }
    for what, change in bad.items():
        findings = attacked(event, change)
        assert (findings.fault.code, first in findings.wrong) == ("token", True), what
    assert attacked(event, {first: bytes(65_537)}).fault.code == "file_long"
    assert levels(attacked(event, {first: None})) == ["L1", "L3"]
    swapped = {"trust/first.pem": authorities["second"].pem}
    assert attacked(event, swapped).fault.code == "paper"
    assert attacked(event, {"trust/first.pem": b"x"}).fault.code == "paper"
    assert attacked(event, {"trust/first.pem": None}).fault.code == "odd_file"


@stamping
@pytest.mark.parametrize("before_s", [60, 61])
def test_a_log_that_is_timed_before_it_happened_was_written_in_advance(
    tmp_path, authorities, before_s
):
    event = Witnessed(tmp_path, authorities).finish().stamp("first")
    size, end = event.reader.checkpoint.size, FIRST + 14 + 11
    token = authorities["first"].token(event.text(), now=end - before_s)
    findings = attacked(event, {f"time/{size}.first.tsr": token})
    if before_s == 60:
        assert levels(findings) == ["L1", "L3"]
    else:
        assert findings.fault.code == "token_early"
        assert "61 s before its latest second was over" in findings.wrong


# --- Exporting ---


@stamping
def test_damaged_files_stay_behind_when_exporting(tmp_path, authorities):
    event = Witnessed(tmp_path, authorities).finish().keep(0, 1).stamp("first").keep(2, size=9)
    size = event.reader.checkpoint.size
    folder = tmp_path / "lesson"
    (folder / f"time/{size}.second.tsr").write_bytes(b"\x30\x00")
    (folder / f"time/{size}.stranger.tsr").write_bytes(b"\x30\x00")
    (folder / "time/9.first.tsr").write_bytes(b"")
    (folder / "checkpoints/10").write_bytes(event.point(10))
    (folder / "checkpoints/11").write_bytes(b"x")
    (folder / "checkpoints/12.new").write_bytes(b"half")
    (folder / f"checkpoints/{size + 5}").write_bytes(b"beyond")
    findings = event.verify()
    assert levels(findings) == ["L1", "L2", "L3"]
    names = [name for name in contents(tmp_path / "pack.zip") if name.startswith(("check", "time"))]
    assert names == ["checkpoint", "checkpoints/9", f"checkpoints/{size}", f"time/{size}.first.tsr"]


# --- On the command line ---


@stamping
def test_the_command_says_levels_and_whose_word_they_rest_on(tmp_path, authorities):
    event = Witnessed(tmp_path, authorities).finish().keep(0, 1).stamp("first")
    made = event.made()
    (tmp_path / "policy").write_text(write_policy(made.signer.verifier, [(k, "") for k in KEYS], 2))
    (tmp_path / "root.pem").write_bytes(authorities["first"].pem)
    options = ["--policy", str(tmp_path / "policy"), "--root", str(tmp_path / "root.pem")]
    done = CliRunner().invoke(app, ["verify", str(made.path), *options, "--json"])
    plain = json.loads(done.stdout)
    assert (done.exit_code, plain["levels"]) == (0, ["L1", "L2", "L3"])
    assert plain["rests_on"] == {
        "L1": ["key_given"],
        "L2": ["key_given", "policy_given"],
        "L3": ["key_given", "roots_given"],
    }
    said = CliRunner().invoke(app, ["verify", str(made.path), *options, "--lang", "en"]).stdout
    assert "L2: witnessed by witness.example/0, witness.example/1; rests on: the key given" in said
    assert "the claim was witnessed 16 s after the last second" in said
    said = CliRunner().invoke(app, ["verify", str(made.path), "--lang", "ar"]).stdout
    assert "ختمت وقتها" in said
    for odd in (["--policy", str(made.path)], ["--root", str(tmp_path / "policy")]):
        assert CliRunner().invoke(app, ["verify", str(made.path), *odd]).exit_code == 1
    gone = ["--policy", str(tmp_path / "gone")]
    assert CliRunner().invoke(app, ["verify", str(made.path), *gone]).exit_code == 2
