"""Claims of an event that is final: counted from the disk, superseded, and never lost by whatever ends between."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from streamcount.cli.report import report
from streamcount.core.claim import Excluded
from streamcount.core.entries import EndEntry, ExcludeEntry
from streamcount.core.event import ActRefusedError
from streamcount.core.fields import EventError
from streamcount.core.pseudonym import pseudonym
from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.notary.claims import Claims, StoppedError
from streamcount.notary.disk import DiskFullError
from streamcount.notary.log import Log
from streamcount.notary.reading import ArchiveReader
from streamcount.notary.software import files_hash, software
from streamcount.words import catalogue
from tests.evidence import logs
from tests.evidence.logs import SETTINGS, Author, definition, reopen
from tests.stack import Stack


def viewer(number):
    return f"viewer-{number:04}"


@pytest.fixture
def author(tmp_path, monkeypatch):
    """Writes an event of five viewers who all watch for twelve seconds, and one of them is there late."""
    made = Author(tmp_path / "events" / "lesson", definition())
    key = made.archive.pseudonym_key()
    monkeypatch.setattr(logs, "name_of", lambda number: pseudonym(key, viewer(number)))
    made.open()
    made.tick(new=[0] * 5, present=range(4))
    for number in range(12):
        made.tick(present=range(4) if number < 6 else range(5))
    return made


def final(author, *, claim):
    """Close, and let the last window pass; claim, or leave that to who finds it so."""
    author.append((EndEntry(author.course.next_tick - 1), b""))
    while not author.course.final:
        author.tick()
    if claim:
        author.claim()
    author.done()


def verified(folder, tmp_path):
    reader = ArchiveReader(folder)
    export(reader, tmp_path / "pack.zip")
    return verify(tmp_path / "pack.zip", key=reader.signer.verifier.vkey())


async def test_an_event_that_was_left_final_without_a_claim_gets_it(valkey, tmp_path, author):
    author.exclude(3, reason="a program")
    final(author, claim=False)
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.course.claim is not None)
        counts = stack.desk.counts("lesson")
        assert (counts["stage"], counts["peak"], counts["claim"]["value"]) == ("final", 4, 4)
        assert counts["counting"] is None
    found = verified(author.archive.folder, tmp_path)
    claim = found.course.claim
    assert (found.wrong, found.stage, claim.version) == (None, "final", 1)
    assert (claim.gross.peak, claim.net.peak) == (5, 4)
    assert claim.exclusions == (Excluded("a program", 1),)
    assert claim.instant.local.endswith("+03:00")
    assert claim.software == software()
    assert max(len(claim.words.ar), len(claim.words.en)) <= 700


async def test_counting_that_is_ended_claims_nothing_and_the_next_one_claims_the_same(
    tmp_path, author
):
    final(author, claim=False)
    log = Log(reopen(author.archive.folder), SETTINGS)
    claims = Claims(log)
    claims.stop()
    with pytest.raises(StoppedError):
        await claims.count(log.course)
    assert (log.course.claim, claims.progress) == (None, None)
    first, second = [await again(log) for _ in range(2)]
    assert first == second


async def again(log):
    claims = Claims(log)
    return await claims.make(log.course, await claims.count(log.course))


@pytest.mark.parametrize("waits", [True, False])
async def test_who_is_excluded_while_it_is_counted_is_out_of_the_claim(
    valkey, tmp_path, author, monkeypatch, waits
):
    """Whether the exclusion is in the log when counting returns, or is being written then."""
    final(author, claim=False)
    counted, excluded, count = [], [], Claims.count

    async def slow(self, course, exclude=()):
        found = await count(self, course, exclude)
        counted.append(found)
        if len(counted) == 1:
            excluding = asyncio.create_task(stack.desk.exclude("lesson", [viewer(0)], "a program"))
            await (excluding if waits else asyncio.sleep(0))
            excluded.append(excluding)
        return found

    monkeypatch.setattr(Claims, "count", slow)
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.course.claim is not None)
        await excluded[0]
        assert [one.net.figures.peak for one in counted] == [5, 4]
    assert verified(author.archive.folder, tmp_path).course.claim.net.peak == 4


async def test_a_claim_is_superseded_and_the_one_before_stays(valkey, tmp_path, author):
    final(author, claim=True)
    size = author.archive.size
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        claim = await stack.desk.correct("lesson", "One was a program.", [viewer(0)], "a program")
        assert (claim["version"], claim["supersedes"], claim["value"]) == (2, size - 1, 4)
        assert (notary.course.shown_peak.count, notary.excluded) == (4, 1)
        assert (notary.listed().state, notary.listed().peak) == ("final", 4)
        assert await stack.desk.note("lesson", "seen by the jury") == size + 3
        claim = await stack.desk.correct("lesson", "Counted again, as the jury asked.", None, None)
        assert (claim["version"], claim["value"]) == (3, 4)
        assert stack.desk.counts("lesson")["notes"] == ["seen by the jury"]
        with pytest.raises(ActRefusedError, match="excluded already"):
            await stack.desk.correct("lesson", "again", [viewer(0)], None)
        with pytest.raises(ActRefusedError, match="is final"):
            await stack.desk.exclude("lesson", [viewer(1)], "late")
        with pytest.raises(EventError, match="exclude_reason: must be a text of 1 to 80"):
            await stack.desk.correct("lesson", "x" * 81, [viewer(1)], None)
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        assert (len(notary.course.claims), notary.course.shown_peak.count) == (3, 4)
        # Without a note before it, the reason is written down as one.
        claim = await stack.desk.correct("lesson", "And once more.", [], None)
        assert claim["version"] == 4
    found = verified(author.archive.folder, tmp_path)
    assert (found.wrong, found.stage) == (None, "final")
    assert [one["value"] for one in found.as_dict()["superseded"]] == [5, 4, 4]
    assert found.as_dict()["notes"] == ["seen by the jury", "And once more."]
    for language in ("en", "ar"):
        said = "\n".join(str(line) for line in report(found, catalogue(language)))
        assert "One was a program." in said


async def test_what_led_to_a_claim_is_durable_only_with_it(valkey, tmp_path, author, monkeypatch):
    final(author, claim=True)
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        size, appended = notary.archive.size, []
        append = notary.archive.append

        def full(items):
            appended.append([entry.type for entry, _ in items])
            if len(appended) == 1:
                raise DiskFullError("full")
            append(items)

        monkeypatch.setattr(notary.archive, "append", full)
        with pytest.raises(ActRefusedError, match="nothing was changed"):
            await stack.desk.correct("lesson", "a program", [viewer(0)], None)
        assert (notary.archive.size, notary.course.excluded) == (size, set())
        await stack.desk.correct("lesson", "a program", [viewer(0)], None)
        assert appended == [["exclude", "claim"], ["exclude", "claim"]]


async def test_a_claim_that_an_exclusion_followed_is_superseded_at_the_next_start(
    valkey, tmp_path, author
):
    """As another program may leave a log: ours never does."""
    final(author, claim=True)
    author = Author.again(author.archive.folder)
    author.append((ExcludeEntry((logs.name_of(1).hex(),), "a program"), b""))
    author.done()
    assert verified(author.archive.folder, tmp_path).stage == "interim"
    async with Stack(valkey, tmp_path, workers=0) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: len(notary.course.claims) == 2)
    found = verified(author.archive.folder, tmp_path)
    assert (found.wrong, found.stage, found.course.claim.reason) == (None, "final", "a program")


async def test_what_cannot_be_corrected_says_why(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=0) as stack:
        await stack.desk.create({"id": "other", "title": {"en": "A lesson"}})
        with pytest.raises(ActRefusedError, match="not final"):
            await stack.desk.correct("other", "why", [], None)
        assert await stack.desk.note("other", "before it is opened") == 2
        for text in ("", " ", "x" * 1_001, "two\nlines", 7, None):
            with pytest.raises(EventError, match="text: must be"):
                await stack.desk.note("other", text)
        for viewers in ("viewer-0001", ["x"], [7]):
            with pytest.raises(EventError, match="viewers: "):
                await stack.desk.correct("other", "why", viewers, None)


async def test_other_acts_wait_for_no_counting(valkey, tmp_path, author, monkeypatch):
    final(author, claim=True)
    go_on = asyncio.Event()
    count = Claims.count

    async def waits(self, course, exclude=()):
        await go_on.wait()
        return await count(self, course, exclude)

    monkeypatch.setattr(Claims, "count", waits)
    async with Stack(valkey, tmp_path, workers=0) as stack:
        correcting = asyncio.create_task(stack.desk.correct("lesson", "why", [viewer(0)], None))
        await stack.desk.note("lesson", "meanwhile")
        await stack.desk.create({"id": "other", "title": {"en": "Another"}})
        go_on.set()
        assert (await correcting)["version"] == 2
    assert verified(author.archive.folder, tmp_path).wrong is None


def test_the_hash_of_the_program_is_what_its_docstring_says(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "__pycache__").mkdir()
    (tmp_path / "b" / "__pycache__" / "c.pyc").write_bytes(b"compiled")
    empty = files_hash(tmp_path)
    (tmp_path / "b" / "a.py").write_bytes(b"1")
    (tmp_path / "a.py").write_bytes(b"2")
    assert files_hash(tmp_path) != empty
    done = run_in(tmp_path, "find -L * -type f -not -path '*__pycache__*' | LC_ALL=C sort | xargs sha256sum | sha256sum")  # fmt: skip
    assert done.split()[0] == files_hash(tmp_path).hex()


def run_in(folder, command):
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


async def test_nothing_is_claimed_before_the_store_says_that_this_is_no_older_copy(
    tmp_path, author
):
    final(author, claim=False)
    nobody = f"unix://{tmp_path}/no.sock"
    async with Stack(nobody, tmp_path, workers=0, flush=False) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.health.trouble)
        assert notary.claims.progress is None
    assert notary.course.claim is None
