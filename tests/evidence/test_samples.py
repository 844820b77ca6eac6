"""A platform's samples in a pack: both verifiers read every answer alike, and see what was changed in one."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random

import pytest

from streamcount.core import canonical, entries
from streamcount.core.entries import ClaimEntry
from streamcount.core.platform import PlatformEntry
from streamcount.evidence.bundle import export
from streamcount.notary.reading import ArchiveReader
from tests.evidence.forging import Forger, Made, make
from tests.evidence.logs import FIRST, Author, definition, sample, youtube
from tests.evidence.test_second import CASES, NODE, Cases

A = "aaaaaaaaaaa"
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "cases").mkdir()
    return Cases(tmp_path / "cases")


def event(**change):
    streams = [{"id": "main", "platform": {"name": "youtube", "video": A}}]
    return definition(streams=streams, claimed_count="platform", **change)


def pack(folder, samples, close=30):
    """A pack of an event in which a platform answered this, one answer a tick."""
    author = Author(folder / "lesson", event())
    author.open()
    for one in range(close):
        author.tick()
        if one < len(samples):
            author.append((samples[one], b""))
    for one in samples[close:]:
        author.append((one, b""))
    author.finish()
    author.done()
    reader = ArchiveReader(folder / "lesson")
    export(reader, folder / "pack.zip")
    return Made(folder / "pack.zip", reader.signer, reader.signed)


def asked(number, answer, **change):
    return sample(event(), answer, round=number + 1, asked_ms=FIRST * 1000 + 30 * number, took_ms=9, **change)  # fmt: skip


ODD = [
    '"650"', '"0"', "650", '"-1"', '"٦٥٠"', '"9999999999"', '"10000000000"', "null", "1e999", "-0", "01", '"1', "NaN",
    '"\\u0036\\u0035"', '"\\ud800"', '"\\u00"', '"\t"', '["650"]', '{"x":"650"}', "1" * 5_000, "[" * 700, "true",
]  # fmt: skip


def odd_answer(draw):
    """Something that is nearly what YouTube answers."""
    good = youtube({A: 650})
    match draw.randrange(6):
        case 0:
            value = draw.choice(ODD).encode()
            return good.replace(b'"650"', value)
        case 1:
            at = draw.randrange(len(good))
            return good[:at] + bytes([draw.randrange(256)]) + good[at + draw.randint(0, 1) :]
        case 2:
            at, to = sorted(draw.choices(range(len(good)), k=2))
            return good[:at] + good[to:]
        case 3:
            odd = draw.choice(
                ['"__proto__": {"items": []}', '"items": []', '"id": "x"', '"constructor": 1']
            )
            at = draw.choice([n for n in range(len(good)) if good[n : n + 1] == b"{"])
            return good[: at + 1] + odd.encode() + b"," + good[at + 1 :]
        case 4:
            plain = json.loads(good)
            item = plain["items"][0]
            plain["items"] = draw.choice(
                [[item, item], [[item]], [item, {"id": [A]}], item, [{**item, "liveStreamingDetails": []}]]
            )  # fmt: skip
            return json.dumps(plain).encode()
        case _:
            return draw.choice([b"\xef\xbb\xbf", b" \n", b"\x00", b"[]", b"\x0b", b""]) + good


def test_both_read_every_answer_alike(cases, tmp_path):
    draw = random.Random("odd answers")
    answers = [odd_answer(draw) for _ in range(max(CASES, 400))]
    made = pack(tmp_path, [asked(n, answer) for n, answer in enumerate(answers)])
    cases.add(made)
    assert cases.compare() == 1
    told = made.verify().as_dict()["platform"]
    assert told["rounds"] == len(answers)
    assert told["numbers"] > 50
    assert told["absent"] > 50


def test_both_see_a_count_that_its_answer_does_not_give(cases, tmp_path):
    """As above, one by one: what one of them reads otherwise, the other refuses."""
    draw = random.Random("other counts")
    good = pack(tmp_path, [asked(0, youtube({A: 650}))])
    for _ in range(CASES // 2):
        forger = Forger(good)
        answer = odd_answer(draw)
        right = asked(0, answer)
        wrong = draw.choice([None, 0, 1, 650, 651, 9_999_999_999])
        number = forger.number(PlatformEntry)
        forger.entries[number] = entries.encode(dataclasses.replace(right, counts=(wrong,)))
        del forger.entries[-1], forger.stored[-1]
        forger.stage = "interim"
        cases.add(good, forger.write(tmp_path))
        assert (cases.ours[-1].wrong is None) == (right.counts == (wrong,))
    assert 0 < cases.compare() < len(cases.ours)


def samples():
    return [asked(n, youtube({A: told})) for n, told in enumerate([650, 1, 650, 2_135, 649])]


def raised(entry, answer, **change):
    """The sample with another answer, and its hash put right."""
    plain = {"answer": base64.b64encode(answer).decode(), "answer_bytes": len(answer)}
    plain["answer_sha256"] = base64.b64encode(hashlib.sha256(answer).digest()).decode()
    return canonical.dump(canonical.load(entry) | plain | change)


def higher(forger, number):
    forger.change(number, counts=[9_000])


def higher_answer(forger, number):
    answer = youtube({A: 9_000})
    forger.entries[number] = raised(forger.entries[number], answer)


def another_answer(forger, number):
    answer = base64.b64encode(youtube({A: 9_000})).decode()
    forger.change(number, answer=answer, answer_bytes=len(youtube({A: 9_000})))


def higher_but_the_claim(forger, number):
    forger.entries[number] = raised(forger.entries[number], youtube({A: 9_000}), counts=[9_000])


def zero_for_absent(forger, number):
    forger.entries[number] = raised(forger.entries[number], youtube({A: None}), counts=[0])


def left_out(forger, number):
    del forger.entries[number], forger.stored[number]


def put_in(forger, number):
    extra = canonical.load(forger.entries[number]) | {"round": 9}
    extra["asked_ms"] = extra["answered_ms"] = FIRST * 1000 + 900
    forger.entries.insert(forger.number(ClaimEntry), canonical.dump(extra))
    forger.stored.insert(-1, b"")


def moved_in_time(forger, number):
    forger.change(number, asked_ms=FIRST * 1000 + 91)


def outside_the_event(forger, number):
    forger.change(number, asked_ms=1, answered_ms=2)


def failed_after_all(forger, number):
    forger.change(number, status=500)


def the_claims_outlier(forger, _number):
    claim = forger.number(ClaimEntry)
    told = canonical.load(forger.entries[claim])["platform"]
    forger.change(claim, platform=told | {"peak": 650}, value=650)


def the_claims_number(forger, _number):
    claim = forger.number(ClaimEntry)
    plain = canonical.load(forger.entries[claim])
    forger.change(claim, value=plain["net"]["qualified"])


def no_platform_in_the_claim(forger, _number):
    forger.change(forger.number(ClaimEntry), platform=None)


CHANGES = [
    higher, higher_answer, another_answer, higher_but_the_claim, zero_for_absent, left_out, put_in, moved_in_time,
    outside_the_event, failed_after_all, the_claims_outlier, the_claims_number, no_platform_in_the_claim,
]  # fmt: skip


def test_a_changed_sample_is_found_by_both(cases, tmp_path):
    made = pack(tmp_path, samples())
    cases.add(made)
    for change in CHANGES:
        forger = Forger(made)
        change(forger, forger.number(PlatformEntry, 3))
        cases.add(made, forger.write(tmp_path))
        assert cases.ours[-1].wrong is not None, change.__name__
    assert cases.compare() == 1


def test_what_the_keys_owner_makes_up_whole_holds_and_only_a_kept_checkpoint_shows_it(tmp_path):
    """What is not proven: that the answer is the platform's. That is why it is said every time."""
    made = pack(tmp_path, samples())
    forger = Forger(made)
    number = forger.number(PlatformEntry, 3)
    forger.entries[number] = raised(forger.entries[number], youtube({A: 9_000}), counts=[9_000])
    claim = forger.number(ClaimEntry)
    told = canonical.load(forger.entries[claim])["platform"]
    forger.change(claim, platform=told | {"peak": 9_000}, value=9_000)
    report = made.verify(forger.write(tmp_path))
    assert report.wrong is None
    assert any("only the integrity of its samples" in line for line in report.not_checked)
    kept = made.verify(forger.write(tmp_path), checkpoints=[made.checkpoint])
    assert "another history" in kept.wrong


@pytest.mark.parametrize("name", ["youtube", "answer_sha256", "asked_ms", "counts"])
def test_a_sample_without_one_of_its_keys_is_none(cases, tmp_path, name):
    made = make(tmp_path, ticks=4, asks=1.0)
    forger = Forger(made)
    number = forger.number(PlatformEntry)
    plain = canonical.load(forger.entries[number])
    plain.pop(name, None) or plain.update({name: 1})
    forger.entries[number] = canonical.dump(plain)
    cases.add(made, forger.write(tmp_path))
    assert cases.compare() == 0
