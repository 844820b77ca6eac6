"""notary/archive and notary/reading: durable, in one order, one writer, and read back exactly."""

from __future__ import annotations

import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamcount.core import body as bodies
from streamcount.core.body import BLOCK_BYTES
from streamcount.core.entries import ClaimEntry, EndEntry, ExcludeEntry, GapEntry, TickEntry, decode
from streamcount.core.recount import Tallies
from streamcount.core.segment import frames_in, inflate
from streamcount.notary import archive as archives
from streamcount.notary.kept import check_reached
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import tiles
from streamcount.tlog.merkle import EMPTY_ROOT, block_root
from tests.evidence.logs import FIRST, SETTINGS, Author, definition, reopen, some_event


def test_a_new_archive_holds_the_event_under_a_signed_checkpoint(tmp_path):
    archives.create(tmp_path / "lesson", definition(), "example.org/log")
    opened = reopen(tmp_path / "lesson")
    entry = opened.restored.course.event
    assert entry.event == definition()
    assert entry.origin.startswith("example.org/log/lesson/")
    assert entry.key == opened.signer.verifier.vkey()
    assert opened.size == 1
    opened.close()


def test_two_archives_of_the_same_event_have_different_origins_and_keys(tmp_path):
    for name in ("a", "b"):
        archives.create(tmp_path / name, definition(), "x")
    a, b = ArchiveReader(tmp_path / "a"), ArchiveReader(tmp_path / "b")
    assert a.signer.name != b.signer.name
    assert a.signer.seed != b.signer.seed


def test_an_archive_is_never_made_over_another(tmp_path):
    archives.create(tmp_path / "lesson", definition(), "x")
    before = (tmp_path / "lesson" / "signing.key").read_bytes()
    with pytest.raises(ArchiveError, match="cannot make"):
        archives.create(tmp_path / "lesson", definition(), "x")
    assert (tmp_path / "lesson" / "signing.key").read_bytes() == before


def test_keys_are_for_their_owner_only(tmp_path):
    archives.create(tmp_path / "lesson", definition(), "x")
    for name in ("signing.key", "pseudonym.key"):
        assert stat.S_IMODE(os.stat(tmp_path / "lesson" / name).st_mode) == 0o600


def test_a_second_notary_is_refused(tmp_path):
    archives.create(tmp_path / "lesson", definition(), "x")
    first = reopen(tmp_path / "lesson")
    with pytest.raises(ArchiveError, match="another notary"):
        reopen(tmp_path / "lesson")
    first.close()
    reopen(tmp_path / "lesson").close()


def test_a_checkpoint_written_by_somebody_else_stops_the_notary(tmp_path):
    author = Author(tmp_path / "lesson", definition())
    author.open()
    point = tmp_path / "lesson" / "checkpoint"
    point.write_bytes(author.archive.signer.sign(cp.Checkpoint("x", 0, EMPTY_ROOT).text()))
    with pytest.raises(ArchiveError, match="somebody else"):
        author.tick(new=[0])


def test_every_append_is_readable_and_under_the_checkpoint(tmp_path):
    folder = tmp_path / "lesson"
    author = Author(folder, definition())
    reader = ArchiveReader(folder)
    assert reader.refresh().size == 1
    author.open()
    for number in range(5):
        author.tick(new=[0], present=range(number + 1))
        point = reader.refresh()
        assert (point.size, point.root) == (author.archive.size, author.archive.root)
    entries = [decode(frame.entry) for frame in reader.frames(0, reader.refresh().size)]
    assert [e.present for e in entries if isinstance(e, TickEntry)] == [1, 2, 3, 4, 5]


# --- What is behind the checkpoint does not exist ---


@pytest.mark.parametrize("keep", [1, 10, 16, 40, 200])
def test_a_torn_tail_is_cut_off(tmp_path, keep):
    """The process ended between writing the segment and renaming the checkpoint."""
    folder = tmp_path / "lesson"
    author = Author(folder, definition())
    author.open()
    author.tick(new=[0, 0], present=[0, 1])
    segment, point = (folder / "segment").read_bytes(), (folder / "checkpoint").read_bytes()
    size, root = author.archive.size, author.archive.root
    author.tick(present=[0])
    longer = (folder / "segment").read_bytes()
    author.archive.close()
    (folder / "checkpoint").write_bytes(point)
    (folder / "segment").write_bytes(longer[: len(segment) + keep])
    again = reopen(folder)
    assert (again.size, again.root) == (size, root)
    assert (folder / "segment").read_bytes() == segment
    again.close()


def test_a_whole_tail_behind_the_checkpoint_is_cut_off_too(tmp_path):
    """Nobody was told of it; keeping it would sign what nobody counted on."""
    test_a_torn_tail_is_cut_off(tmp_path, 10_000)


def test_a_checkpoint_left_half_written_beside_the_good_one_does_no_harm(tmp_path):
    folder = tmp_path / "lesson"
    author = Author(folder, definition())
    author.open()
    (folder / "checkpoint.new").write_bytes(b"streamc")
    author.archive.close()
    again = reopen(folder)
    assert again.size == 2
    again.close()


# --- What is under the checkpoint is guarded ---


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_damage_under_the_checkpoint_refuses_to_start_and_says_where(tmp_path, at, bit):
    folder = tmp_path / "lesson"
    if not folder.exists():
        some_event(folder, ticks=12, people=20)
    path = folder / "segment"
    good = path.read_bytes()
    bad = bytearray(good)
    bad[int(at * len(good))] ^= 1 << bit
    path.write_bytes(bad)
    try:
        with pytest.raises(ArchiveError, match=r"segment: .*(offset|checkpoint)"):
            reopen(folder)
        with pytest.raises(ArchiveError):
            ArchiveReader(folder).refresh()
    finally:
        path.write_bytes(good)
    reopen(folder).close()


def test_a_segment_shorter_than_its_checkpoint_is_refused(tmp_path):
    folder = tmp_path / "lesson"
    some_event(folder, ticks=12, people=20)
    path = folder / "segment"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="damaged at offset"):
        reopen(folder)


@pytest.mark.parametrize("name", ["signing.key", "checkpoint"])
def test_a_missing_or_spoilt_file_is_named(tmp_path, name):
    folder = tmp_path / "lesson"
    some_event(folder, ticks=3)
    (folder / name).write_bytes(b"spoilt\n")
    with pytest.raises(ArchiveError, match=name):
        reopen(folder)
    (folder / name).unlink()
    with pytest.raises(ArchiveError, match=name):
        reopen(folder)


def test_the_pseudonym_key_of_another_event_refuses_to_start(tmp_path):
    """Every viewer would be registered again, as somebody else."""
    some_event(tmp_path / "lesson", ticks=3)
    some_event(tmp_path / "other", ticks=3)
    other = (tmp_path / "other" / "pseudonym.key").read_bytes()
    (tmp_path / "lesson" / "pseudonym.key").write_bytes(other)
    with pytest.raises(
        ArchiveError, match=r"pseudonym\.key: not the key that this event began with"
    ):
        reopen(tmp_path / "lesson")


def test_frames_are_handed_out_as_many_as_fit_and_one_at_least(tmp_path):
    some_event(tmp_path / "lesson", ticks=30)
    reader = ArchiveReader(tmp_path / "lesson")
    size, whole = reader.refresh().size, (tmp_path / "lesson" / "segment").read_bytes()
    assert reader.raw(0, 10**9, len(whole)) == whole
    one = reader.raw(3, size, 1)
    assert [entry for entry, _ in frames_in(one)] == [f.entry for f in reader.frames(3, 4)]
    some = list(frames_in(reader.raw(3, size, 3000)))
    assert 1 < len(some) < size - 3
    assert [entry for entry, _ in some] == [f.entry for f in reader.frames(3, 3 + len(some))]
    for start, end in [(size, size + 1), (5, 5), (6, 5), (size + 5, size + 9)]:
        assert reader.raw(start, end, 10**6) == b""


# --- Going on after a restart ---


@pytest.mark.parametrize("streams", [1, 4])
@pytest.mark.parametrize("ticks", [0, 1, 9, 22, 23, 60])
@pytest.mark.parametrize("excludes", [0, 0.2])
def test_counting_goes_on_after_a_restart_as_if_there_had_been_none(
    tmp_path, ticks, streams, excludes
):
    """Same bodies, once in one life and once with a restart before the last ten ticks."""
    folder = tmp_path / "lesson"
    same = {"streams": streams, "people": 40, "final": False, "gaps": False, "seed": ticks}
    some_event(folder, ticks=ticks, excludes=excludes, **same)
    some_event(tmp_path / "whole", ticks=ticks + 10, excludes=excludes, **same)
    whole = ArchiveReader(tmp_path / "whole")
    opened = reopen(folder)
    frames = list(whole.frames(opened.size, whole.refresh().size))
    assert len(frames) >= 10
    restored = opened.restored
    assert len(restored.recent) == min(ticks, SETTINGS.recent_ticks(11))
    assert len(restored.recount.pseudonyms) == 16 * restored.course.viewers
    for frame in frames:
        entry = decode(frame.entry)
        if isinstance(entry, ExcludeEntry):
            restored.recount.exclude(entry.pseudonyms)
            continue
        data = inflate(frame.stored, entry.body_bytes) if entry.body_bytes else b""
        body = bodies.decode(
            data,
            new=entry.new,
            moves=entry.moves,
            viewers=entry.viewers,
            breaks=entry.breaks,
            streams=streams,
        )
        told = Tallies(entry.heartbeats, entry.muted, entry.hidden, entry.late)
        again = restored.recount.tick(
            entry.epoch, body, entry.body_bytes, block_root(data, BLOCK_BYTES), told
        )
        assert again == entry
    opened.close()


def test_a_final_event_reads_back_with_its_claim(tmp_path):
    some_event(tmp_path / "lesson")
    opened = reopen(tmp_path / "lesson")
    course = opened.restored.course
    assert isinstance(course.claim, ClaimEntry)
    assert (course.claim.net.peak, course.claim.value) == (course.peak.count, course.peak.count)
    opened.close()


def test_an_entry_that_has_no_place_is_never_written(tmp_path):
    author = Author(tmp_path / "lesson", definition())
    author.open()
    size = author.archive.size
    with pytest.raises(Exception, match="end at tick"):
        author.append((EndEntry(FIRST - 5), b""))
    assert author.archive.size == size


# --- The log as tiles ---


def test_the_log_serves_the_files_of_c2sp_tiles(tmp_path):
    some_event(tmp_path / "lesson", ticks=290)
    reader = ArchiveReader(tmp_path / "lesson")
    size = reader.refresh().size
    assert size > 256
    for path, content in tiles.tree_tiles(reader.leaves(size)):
        assert reader.file(path) == content
    bundle = reader.file("tile/entries/000")
    assert decode(tiles.decode_bundle(bundle, 256)[0]).type == "event"
    assert reader.file(f"tile/entries/001.p/{size - 256}") is not None
    assert reader.file("checkpoint").startswith(reader.signer.name.encode())


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/001",
        "tile/entries/001",
        "tile/0/000.p/255",
        "tile/1/000",
        "tile/9/000",
        "../signing.key",
        "segment",
        "",
    ],
)
def test_a_file_the_log_does_not_have_is_none(tmp_path, path):
    some_event(tmp_path / "lesson", ticks=5)
    assert ArchiveReader(tmp_path / "lesson").file(path) is None


def test_a_narrower_partial_tile_is_served_as_well(tmp_path):
    """A checkpoint that somebody kept is of a smaller tree; its tiles can still be had."""
    some_event(tmp_path / "lesson", ticks=20)
    reader = ArchiveReader(tmp_path / "lesson")
    reader.refresh()
    assert reader.file("tile/0/000.p/7") == b"".join(reader.leaves(7))


def test_an_archive_must_have_reached_every_checkpoint_that_was_kept(tmp_path):
    folder, kept = tmp_path / "lesson", tmp_path / "kept"
    (kept / "of-lesson").mkdir(parents=True)
    author = Author(folder, definition())
    author.open()
    old = (folder / "segment").read_bytes(), (folder / "checkpoint").read_bytes()
    check_reached(folder, kept, 10)
    author.tick(new=[0])
    (kept / "of-lesson" / "3").write_bytes((folder / "checkpoint").read_bytes())
    (kept / "of-lesson" / "3.again").write_bytes((folder / "checkpoint").read_bytes())
    (kept / "something else").write_bytes(b"else")
    check_reached(folder, kept, 10)
    author.tick(present=[0])
    check_reached(folder, kept, 10)
    with pytest.raises(ArchiveError, match="3 files, 2 kept"):
        check_reached(folder, kept, 2)
    (folder / "segment").write_bytes(old[0])
    (folder / "checkpoint").write_bytes(old[1])
    with pytest.raises(ArchiveError, match="2 entries, but .*/3 is a checkpoint .* an older copy"):
        check_reached(folder, kept, 10)
    author.archive.close()
    forked = reopen(folder)
    forked.append([(GapEntry("loss", "another history", FIRST, FIRST), b"")])
    with pytest.raises(ArchiveError, match="another history than the checkpoint"):
        check_reached(folder, kept, 10)
    with pytest.raises(ArchiveError, match="cannot be read"):
        check_reached(folder, tmp_path / "nothing", 10)


def test_a_frame_that_claims_to_be_longer_than_the_file_is_refused_before_it_is_read(tmp_path):
    folder = tmp_path / "lesson"
    archives.create(folder, definition(), "x")
    with (folder / "segment").open("r+b") as file:
        file.seek(8)
        file.write((2**32 - 1).to_bytes(4, "big"))
    with pytest.raises(ArchiveError, match="damaged at offset 0.*cut off"):
        reopen(folder)
    with (folder / "segment").open("r+b") as file:
        file.seek(4)
        file.write((2**31).to_bytes(4, "big"))
    with pytest.raises(ArchiveError, match="damaged at offset 0.*an entry of 2147483648 bytes"):
        reopen(folder)
