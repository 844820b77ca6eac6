"""follow/: what is kept is what was signed and counted, and what breaks its word is told, with proof."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import shutil

import pytest

from streamcount.config import FollowLimits
from streamcount.core.entries import GapEntry
from streamcount.core.figures import Found
from streamcount.core.segment import frame, frames_in
from streamcount.follow.alarm import AlarmError
from streamcount.follow.copy import Copy, CopyError
from streamcount.follow.following import Follower
from streamcount.follow.source import AwayError, RefusedError, Source
from streamcount.notary import reading
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import EMPTY_ROOT, leaf_hash, root
from tests.evidence import logs
from tests.evidence.logs import FIRST, Author, definition, some_event
from tests.follow.shown import TOKEN, showing

LIMITS = FollowLimits(poll_s=0.02, retry_first_s=0.02, retry_most_s=0.05, deadline_s=60)


class Told(list):
    def __call__(self, kind, /, **facts):
        self.append((kind, facts))

    def of(self, kind):
        return [facts for name, facts in self if name == kind]


@contextlib.asynccontextmanager
async def following(shown, folder, *, bodies=True, key=None, limits=LIMITS, token=TOKEN):
    operator = shown.operator if bodies else None
    async with Source(shown.url, limits, operator=operator, token=token) as source:
        copy = Copy(folder)
        try:
            follower = Follower(source, copy, limits, Told())
            follower.begin(key)
            yield follower
        finally:
            copy.close()


@pytest.fixture
def author(tmp_path):
    made = Author(tmp_path / "lesson", definition())
    made.open()
    return made


def grow(author, ticks, people=3):
    for _ in range(ticks):
        new = [0] * people if author.viewers == 0 else []
        author.tick(new=new, present=range(people))


def replayed(author, folder, keep):
    """Another history by the same key: the first `keep` entries are the same."""
    shutil.copytree(author.archive.folder, folder)
    (folder / "lock").unlink()
    reader = reading.ArchiveReader(author.archive.folder)
    reader.refresh()
    kept = list(reader.frames(0, keep))
    (folder / "segment").write_bytes(b"".join(frame(f.entry, f.stored) for f in kept))
    tree = cp.Checkpoint(reader.signer.name, keep, root(leaf_hash(f.entry) for f in kept))
    (folder / "checkpoint").write_bytes(reader.signer.sign(tree.text()))
    return Author.again(folder)


# --- What is kept ---


@pytest.mark.parametrize("bodies", [True, False])
async def test_a_whole_event_is_followed_to_its_claim(tmp_path, bodies):
    some_event(tmp_path / "lesson", ticks=300, people=50, streams=2, excludes=0.1)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=bodies) as follower,
    ):
        await follower.run(lambda: False)
        claim = follower.course.claim
        told = follower._tell.of("checkpoint")[-1]
        assert (told["stage"], told["peak"], told["peak_tick"]) == (
            "final",
            claim.net.peak,
            claim.net.peak_first,
        )
        assert told["recounted"] == bodies
        assert follower._tell.of("trust")[0]["why"].startswith("the log's own word")
        assert {g["gap"] for g in follower._tell.of("gap")} == {"loss", "clock"}
        assert len(follower._tell.of("exclude")) == len(follower.course.exclusions) > 0
        assert ("frames" in shown.asked) == bodies
    segment = (tmp_path / "lesson" / "segment").read_bytes()
    assert ((tmp_path / "copy" / "segment").read_bytes() == segment) == bodies
    assert (tmp_path / "copy" / "checkpoint").read_bytes() == shown.reader.signed


async def test_every_checkpoint_is_kept_and_a_copy_is_taken_up_where_it_was_left(tmp_path, author):
    sizes = []
    for life in range(3):
        async with (
            showing(tmp_path / "lesson") as shown,
            following(shown, tmp_path / "copy") as follower,
        ):
            assert bool(follower._tell.of("resumed")) == (life > 0)
            for _ in range(2):
                grow(author, 2)
                assert await follower.sync()
                assert not await follower.sync()
                sizes.append(author.archive.size)
            assert follower.course.live == 3
    kept = sorted(int(path.name) for path in (tmp_path / "copy" / "checkpoints").iterdir())
    assert kept == sizes
    for size in kept:
        signed = (tmp_path / "copy" / "checkpoints" / str(size)).read_bytes()
        assert cp.open_checkpoint(signed, author.archive.signer.verifier).size == size
    assert (tmp_path / "copy" / "segment").read_bytes() == (
        tmp_path / "lesson" / "segment"
    ).read_bytes()


@pytest.mark.parametrize("cut", [0, 1, 15, 17, 500, 10**6])
async def test_whatever_is_behind_the_kept_checkpoint_is_fetched_again(tmp_path, author, cut):
    """Ended between appending and keeping: the segment is longer, the checkpoint is the old one."""
    grow(author, 3)
    async with showing(tmp_path / "lesson") as shown:
        async with following(shown, tmp_path / "copy") as follower:
            await follower.sync()
        before = (tmp_path / "copy" / "segment").read_bytes()
        grow(author, 3)
        rest = (tmp_path / "lesson" / "segment").read_bytes()[len(before) :]
        (tmp_path / "copy" / "segment").write_bytes(before + rest[:cut])
        (tmp_path / "copy" / ".checkpoint.new").write_bytes(b"half")
        (tmp_path / "copy" / "checkpoints" / f"{author.archive.size}").write_bytes(b"")
        async with following(shown, tmp_path / "copy") as follower:
            assert (tmp_path / "copy" / "segment").read_bytes() == before
            assert await follower.sync()
    assert (tmp_path / "copy" / "segment").read_bytes() == before + rest


async def test_damage_under_the_kept_checkpoint_is_said(tmp_path, author):
    grow(author, 3)
    async with showing(tmp_path / "lesson") as shown:
        async with following(shown, tmp_path / "copy") as follower:
            await follower.sync()
        path = tmp_path / "copy" / "segment"
        path.write_bytes(path.read_bytes().replace(b'"live":3', b'"live":4'))
        with pytest.raises(CopyError, match=r"segment: damaged at offset \d+"):
            async with following(shown, tmp_path / "copy"):
                pass


async def test_one_copy_is_of_one_key_one_kind_and_one_follower(tmp_path, author):
    grow(author, 2)
    some_event(tmp_path / "other", ticks=2)
    stranger = reading.read_signer(tmp_path / "other").verifier.vkey()
    async with showing(tmp_path / "lesson") as shown:
        async with following(shown, tmp_path / "copy") as follower:
            await follower.sync()
            with pytest.raises(CopyError, match="another follower"):
                Copy(tmp_path / "copy")
        async with following(shown, tmp_path / "bare", bodies=False) as follower:
            await follower.sync()
        for folder, bodies, key, said in [
            ("copy", True, stranger, "not of this one"),
            ("copy", False, None, "begun with bodies"),
            ("bare", True, None, "begun without bodies"),
        ]:
            with pytest.raises(CopyError, match=said):
                async with following(shown, tmp_path / folder, bodies=bodies, key=key):
                    pass


# --- What is an alarm ---


async def alarm(tmp_path, author, lie, kind, *, troubles=0):
    """Follow, then be lied to; return the alarm and the folder of its proof."""
    grow(author, 5)
    key = author.archive.signer.verifier.vkey()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", key=key) as follower,
    ):
        await follower.sync()
        kept = shown.reader.signed
        segment = (tmp_path / "copy" / "segment").read_bytes()
        lie(shown)
        for _ in range(troubles):
            with pytest.raises(AwayError):
                await follower.sync()
        with pytest.raises(AlarmError) as caught:
            await follower.sync()
        assert caught.value.kind == kind
        proof = caught.value.folder
        assert (proof / "kept").read_bytes() == kept
        assert kind in (proof / "why.txt").read_text()
        assert (tmp_path / "copy" / "checkpoint").read_bytes() == kept
        assert (tmp_path / "copy" / "segment").read_bytes() == segment
        return str(caught.value), proof


@pytest.mark.parametrize("longer", [0, 1, 4, 300])
async def test_another_history_of_the_same_key_is_a_fork(tmp_path, author, longer):
    grow(author, 2)
    keep = author.archive.size

    def lie(shown):
        shown.lies[f"tile/entries/000.p/{author.archive.size}"] = 404, b""
        grow(replayed(author, tmp_path / "fork", keep), 5 + longer, people=2)
        shown.reader = reading.ArchiveReader(tmp_path / "fork")
        shown.reader.refresh()

    said, proof = await alarm(tmp_path, author, lie, "fork")
    verifier = author.archive.signer.verifier
    points = [cp.open_checkpoint((proof / n).read_bytes(), verifier) for n in ("kept", "shown")]
    assert points[0].size == points[1].size - longer
    assert points[0].root != points[1].root
    assert "another root" in said
    if longer:
        entries = [entry for entry, _ in frames_in((proof / "segment").read_bytes())]
        assert root(map(leaf_hash, entries)) == points[1].root


async def test_a_smaller_checkpoint_with_another_root_is_a_fork_and_an_old_one_is_none(
    tmp_path, author
):
    signer = author.archive.signer
    old = (author.archive.folder / "checkpoint").read_bytes()

    def lie(shown):
        shown.checkpoint = signer.sign(cp.Checkpoint(signer.name, 3, EMPTY_ROOT).text())

    await alarm(tmp_path, author, lie, "fork")
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        shown.checkpoint = old
        assert not await follower.sync()


async def test_a_checkpoint_of_another_log_by_the_same_key_is_an_alarm(tmp_path, author):
    seed = author.archive.signer.seed
    name = author.archive.signer.name

    def lie(shown):
        text = cp.Checkpoint("streamcount.invalid/other/00", 9, EMPTY_ROOT).text()
        shown.checkpoint = note.Signer(name, seed).sign(text)

    said, _ = await alarm(tmp_path, author, lie, "origin")
    assert "streamcount.invalid/other/00" in said


async def test_a_disk_that_cannot_take_the_proof_silences_no_alarm(tmp_path, author):
    signer = author.archive.signer
    grow(author, 2)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        await follower.sync()
        shown.checkpoint = signer.sign(cp.Checkpoint(signer.name, 4, EMPTY_ROOT).text())
        digest = hashlib.sha256(shown.checkpoint).hexdigest()[:12]
        (tmp_path / "copy" / f"fork-4-{digest}").write_text("in the way")
        with pytest.raises(AlarmError, match="could not be written"):
            await follower.sync()


async def test_a_body_that_is_twice_not_the_one_committed_to(tmp_path, author):
    odd = []

    def lie(shown):
        grow(author, 1)
        data = shown.reader.raw(author.archive.size - 2, author.archive.size, 10**6)
        (_, one), (entry, _) = list(frames_in(data))
        odd.append(frame(entry, one[:-1] or b"\x00"))
        shown.lies["frames"] = 200, odd[0]

    said, proof = await alarm(tmp_path, author, lie, "body", troubles=1)
    assert "entry 7" in said
    assert (proof / "segment").read_bytes() == odd[0]


async def test_counts_that_do_not_follow_from_the_bodies(tmp_path, author):
    grow(author, 2)
    right = author.recount.tick

    def wrong(*arguments):
        return dataclasses.replace(right(*arguments), live=4)

    author.recount.tick = wrong
    grow(author, 1)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        with pytest.raises(AlarmError, match="says live 4, counting the bodies gives 3"):
            await follower.sync()
    # It is signed: it stays, and stays wrong.
    async with showing(tmp_path / "lesson") as shown:
        with pytest.raises(AlarmError, match="live 4"):
            async with following(shown, tmp_path / "copy"):
                pass


@pytest.mark.parametrize("bodies", [True, False])
async def test_a_claim_that_is_superseded_is_followed_into_the_same_copy(tmp_path, bodies):
    some_event(tmp_path / "lesson", ticks=60, people=20, excludes=0.05)
    for version in (2, 3):
        async with (
            showing(tmp_path / "lesson") as shown,
            following(shown, tmp_path / "copy", bodies=bodies) as follower,
        ):
            await follower.run(lambda: False)
            assert follower.course.claim.version == version - 1
        author = Author.again(tmp_path / "lesson")
        author.note("somebody noticed")
        author.correct(1_000 + version, 0 if version == 3 else 2_000, reason="a program")
        author.done()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=bodies) as follower,
    ):
        await follower.run(lambda: False)
        told = follower._tell.of("superseded")
        assert [one["version"] for one in told] == [2, 3]
        assert len(follower._tell.of("note")) == 2
        assert follower._tell.of("checkpoint")[-1]["stage"] == "final"


async def test_a_superseding_claim_with_another_figure_is_an_alarm(tmp_path):
    some_event(tmp_path / "lesson", ticks=60, people=20)
    author = Author.again(tmp_path / "lesson")
    author.exclude(0, reason="a program")
    counts = author.counts()
    figures = dataclasses.replace(counts.net.figures, watch_s=counts.net.figures.watch_s + 1)
    author.claim("a program", dataclasses.replace(counts, net=Found(figures, counts.net.streams)))
    author.done()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        with pytest.raises(AlarmError, match="the claim says net.watch_s"):
            await follower.run(lambda: False)
    # Without bodies nobody can tell.
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "other", bodies=False) as follower,
    ):
        await follower.run(lambda: False)
        assert follower.course.claim.version == 2


async def test_a_viewer_who_is_registered_twice_is_found_with_the_claim(
    tmp_path, author, monkeypatch
):
    monkeypatch.setattr(logs, "name_of", lambda _viewer: bytes(16))
    author.tick(new=[0, 0], present=[0, 1])
    author.finish()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        with pytest.raises(AlarmError, match="a viewer is registered twice"):
            await follower.run(lambda: False)


async def test_an_entry_out_of_place_is_an_alarm_without_bodies_too(tmp_path, author):
    grow(author, 1)
    author.course = author.course.after([])
    author.archive.append([(GapEntry("loss", "", FIRST - 9, FIRST), b"")])
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        with pytest.raises(AlarmError, match="entry 3: a gap before the first tick"):
            await follower.sync()


@pytest.mark.parametrize("bodies", [True, False])
@pytest.mark.parametrize(
    ("entry", "said"), [(b"{", "not canonical JSON"), (b'{"type":"vote"}', "unknown type 'vote'")]
)
async def test_a_signed_entry_that_cannot_be_read_is_an_alarm_each_time(
    tmp_path, author, bodies, entry, said
):
    folder = author.archive.folder
    with (folder / "segment").open("ab") as file:
        file.write(frame(entry, b""))
    leaves = [leaf_hash(e) for e, _ in frames_in((folder / "segment").read_bytes())]
    signer = author.archive.signer
    point = cp.Checkpoint(signer.name, len(leaves), root(leaves))
    (folder / "checkpoint").write_bytes(signer.sign(point.text()))
    async with showing(folder) as shown:
        async with following(shown, tmp_path / "copy", bodies=bodies) as follower:
            with pytest.raises(AlarmError, match=f"entry 2 is signed.*{said}") as caught:
                await follower.sync()
            assert caught.value.kind == "entry"
        with pytest.raises(AlarmError, match=said):
            async with following(shown, tmp_path / "copy", bodies=bodies):
                pass


# --- What is none ---

HUGE = b"x" * (note.NOTE_BYTES_MAX + 1)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("checkpoint", (500, b""), "status 500"),
        ("checkpoint", (404, b""), "status 404"),
        ("checkpoint", (302, b""), "status 302"),
        ("checkpoint", (200, b"<html>please log in</html>"), "shows no checkpoint that"),
        ("checkpoint", (200, HUGE), "more than"),
        ("frames", (200, b""), "no entries"),
        ("frames", (200, b"SCF1\xff\xff\xff\xff\xff\xff\xff\xff"), "head"),
        ("frames", (200, frame(b"x", b"") * 9 + b"unread"), "more entries than the 4"),
        ("frames", (503, b""), "status 503"),
        ("tile/entries/000.p/4", (200, b"\x00"), "ends after 0 of 4"),
        ("tile/entries/000.p/4", (500, b""), "status 500"),
    ],
)
async def test_nonsense_on_the_way_is_no_alarm_and_is_tried_again(
    tmp_path, author, path, answer, said
):
    grow(author, 2)
    bodies = path == "frames"
    key = author.archive.signer.verifier.vkey()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=bodies, key=key) as follower,
    ):
        shown.lies[path] = answer
        for _ in range(2):
            with pytest.raises(AwayError, match=said):
                await follower.sync()
        shown.lies.clear()
        assert await follower.sync()
        assert follower.course.live == 3


def flipped(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize("bodies", [True, False])
async def test_what_is_changed_on_the_way_is_no_alarm(tmp_path, author, bodies):
    """By whoever is in between, checksums and all: nothing of it was signed."""
    grow(author, 2)
    other = note.Signer("streamcount.invalid/other/00", author.archive.signer.seed)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=bodies) as follower,
    ):
        await follower.sync()
        grow(author, 2)
        reader = shown.reader
        reader.refresh()
        name = other.name
        bundle = reader.file("tile/entries/000.p/6")
        (one, body), (two, more) = frames_in(reader.raw(4, 6, 10**6))
        lies = [
            ("checkpoint", flipped(reader.signed), "that the log's key signed"),
            ("checkpoint", other.sign(cp.Checkpoint(name, 9, EMPTY_ROOT).text()), "key signed"),
            ("tile/entries/000.p/6", flipped(bundle), "other entries"),
        ]
        if bodies:
            odd = frame(one, body) + frame(flipped(two), more)
            lies[2] = ("frames", odd, "other entries")
            lies += [("frames", frame(flipped(one), body) + frame(two, more), "other entries")]
            lies += [("frames", frame(one, body) + frame(two, more[:-1]), "fetching it again")]
        for path, answer, said in lies:
            shown.lies = {path: (200, answer)}
            with pytest.raises(AwayError, match=said):
                await follower.sync()
            assert follower.copy.pending.size == 4
        shown.lies = {}
        assert await follower.sync()
        assert follower.copy.size == 6
    assert list((tmp_path / "copy").glob("fork-*")) == []


async def test_a_key_changed_on_the_way_is_not_taken(tmp_path, author):
    some_event(tmp_path / "other", ticks=2)
    stranger = reading.read_signer(tmp_path / "other").verifier.vkey().encode()
    ours = author.archive.signer.verifier.vkey().encode()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        bundle = shown.reader.file("tile/entries/000.p/2")
        assert len(stranger) == len(ours)
        shown.lies["tile/entries/000.p/2"] = 200, bundle.replace(ours, stranger)
        with pytest.raises(AwayError, match="no log of ours: no signature by"):
            await follower.sync()
        shown.lies.clear()
        assert await follower.sync()


async def test_a_partial_bundle_that_is_gone_is_read_from_the_full_one(tmp_path, author):
    grow(author, 300)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        shown.lies["tile/entries/000.p/4"] = 404, b""
        signer, leaves = author.archive.signer, shown.reader.leaves
        shown.reader.refresh()
        shown.checkpoint = signer.sign(cp.Checkpoint(signer.name, 4, root(leaves(4))).text())
        assert await follower.sync()
        shown.checkpoint = None
        assert await follower.sync()
        assert follower.copy.size == author.archive.size


async def test_a_wrong_token_is_refused_not_retried(tmp_path, author):
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", token="other") as follower,
    ):
        with pytest.raises(RefusedError, match="the token is wrong"):
            await follower.run(lambda: True)


async def test_trouble_is_said_once_and_silence_while_open_is_a_stall(tmp_path, author):
    grow(author, 2)
    limits = LIMITS.model_copy(update={"stall_s": 0.3})
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", limits=limits) as follower,
    ):
        running = asyncio.create_task(follower.run(lambda: False))
        told = follower._tell

        async def heard(kind, times=1):
            async with asyncio.timeout(60):
                while len(told.of(kind)) < times:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        await heard("stall")
        grow(author, 1)
        await heard("moving")
        shown.lies["checkpoint"] = 500, b""
        await heard("trouble")
        asked = len(shown.asked)
        await heard("stall", 2)
        async with asyncio.timeout(60):
            while len(shown.asked) < asked + 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(told.of("trouble")) == 1
        shown.lies.clear()
        await heard("back")
        author.finish()
        await asyncio.wait_for(running, 60)
        assert told.of("checkpoint")[-1]["stage"] == "final"


async def test_a_log_larger_than_allowed_is_refused(tmp_path, author):
    grow(author, 5)
    limits = LIMITS.model_copy(update={"entries_max": 3})
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", limits=limits) as follower,
    ):
        with pytest.raises(
            RefusedError, match="a log of 7 entries; STREAMCOUNT_FOLLOW_ENTRIES_MAX"
        ):
            await follower.sync()


async def test_an_unopened_event_is_no_stall(tmp_path):
    waits = Author(tmp_path / "lesson", definition())
    limits = LIMITS.model_copy(update={"stall_s": 0.05})
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", limits=limits) as follower,
    ):
        rounds = iter(range(10))
        await follower.run(lambda: next(rounds) == 9)
        assert follower._tell.of("stall") == []
        assert follower._tell.of("checkpoint")[0]["stage"] == "waiting"
    assert waits.archive.size == 1
