"""evidence: a pack holds when it is true, and any change of it is named."""

from __future__ import annotations

import collections
import io
import random
import re
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest

from streamcount.cli.report import report
from streamcount.config import PackLimits
from streamcount.core import body as bodies
from streamcount.core import canonical, entries, segment, values
from streamcount.core.entries import ClaimEntry, TickEntry
from streamcount.evidence.bundle import export
from streamcount.evidence.pack import (
    MANIFEST,
    ContentError,
    PackError,
    PackReader,
    PackWriter,
    _central_header,
    decode_bodies,
)
from streamcount.evidence.verify import verify
from streamcount.notary import archive as archives
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import block_root, root
from streamcount.words import catalogue
from tests.evidence.forging import Forger, contents, make, rewrite
from tests.evidence.logs import FIRST, Author, definition, sample


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


# --- True packs hold ---


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"streams": 5, "seed": 2},
        {"streams": 70, "seed": 3},
        {"people": 0, "ticks": 2},
        {"ticks": 300, "people": 12},
        {"people": 700, "seed": 9, "window": 30, "interval": 10},
    ],
)
def test_a_true_pack_holds(tmp_path, options):
    made = make(tmp_path, **options)
    report = made.verify(checkpoints=[made.checkpoint])
    assert (report.exit_code, report.wrong, report.stage) == (0, None, "final")
    assert report.as_dict()["peak"] == report.course.claim.net.peak


def test_before_the_claim_a_pack_is_interim(tmp_path):
    made = make(tmp_path, final=False)
    report = made.verify()
    assert (report.exit_code, report.stage) == (0, "interim")


def test_an_event_that_was_never_opened_can_be_exported(tmp_path):

    archives.create(tmp_path / "lesson", definition(), "x")
    reader = ArchiveReader(tmp_path / "lesson")
    assert export(reader, tmp_path / "pack.zip") == "interim"
    assert verify(tmp_path / "pack.zip").exit_code == 0


def test_what_was_not_checked_is_said_and_less_with_key_and_checkpoint(made):
    without = verify(made.path)
    assert without.exit_code == 0
    assert "who made it, and when" in without.not_checked[0]
    assert "--checkpoint" in without.not_checked[1]
    with_both = made.verify(checkpoints=[made.checkpoint])
    assert len(with_both.not_checked) == len(without.not_checked) - 2
    assert any("people" in line for line in with_both.not_checked)


def test_any_zip_program_opens_a_pack(made):
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-1] == MANIFEST
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tq", made.path], capture_output=True, check=False)
        assert done.returncode == 0


def test_two_exports_of_one_log_are_the_same_bytes(tmp_path):
    made = make(tmp_path)
    export(ArchiveReader(tmp_path / "lesson"), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == made.path.read_bytes()


def test_who_was_excluded_last_is_told_before_another_tick_is_there(tmp_path):
    author = Author(tmp_path / "lesson", definition())
    author.open()
    author.tick({0, 1, 2}, new=[0, 0, 0])
    author.exclude(1)
    author.done()
    reader = ArchiveReader(tmp_path / "lesson")
    export(reader, tmp_path / "pack.zip")
    found = verify(tmp_path / "pack.zip").as_dict()
    assert (found["holds"], found["excluded"], found["uniques"]) == (True, 1, 2)


def test_of_a_platforms_count_it_is_said_what_is_not_proven(tmp_path, made):
    assert not [line for line in made.verify().not_checked if "platform" in line]
    beside = make(tmp_path / "beside", asks=0.5).verify()
    (line,) = [line for line in beside.not_checked if "platform" in line]
    assert "only that these samples were logged" in line
    claimed = make(tmp_path / "claimed", asks=0.5, claimed_count="platform").verify()
    first, second = (line for line in claimed.not_checked if "platform" in line)
    assert "the number claimed, which is the platform's own" in first
    assert second == line
    said = [str(line) for line in report(claimed, catalogue("en"))]
    assert any(line.startswith("platform ") and "the claimed number" in line for line in said)
    assert any("second highest: " in line for line in said)
    assert any("الوسيط: " in str(line) for line in report(claimed, catalogue("ar")))


def test_of_a_platform_that_nobody_here_can_read_it_is_said(tmp_path):
    other = [{"id": "main", "platform": {"name": "other", "video": "x"}}]
    author = Author(tmp_path / "lesson", definition(streams=other))
    author.open()
    entry = sample(author.event, b"650 watch", asked_ms=FIRST * 1000, counts=(650,))
    author.append((entry, b""))
    author.tick()
    author.finish()
    author.done()
    export(ArchiveReader(tmp_path / "lesson"), tmp_path / "pack.zip")
    findings = verify(tmp_path / "pack.zip")
    assert findings.as_dict()["platform"]["peak"] == 650
    assert findings.as_dict()["platforms_unread"] == ["other"]
    assert "platform_unread" in findings.unchecked


# --- Any change is caught ---


def test_a_pack_with_any_one_byte_changed_does_not_verify(made, tmp_path):
    """Every byte of headers and small files, and a sample of the rest; what caught it is counted."""
    good = made.path.read_bytes()
    draw = random.Random(2135)
    positions = (
        set(range(0, len(good), 7)) | set(range(400)) | set(range(len(good) - 900, len(good)))
    )
    changed, caught = tmp_path / "changed.zip", collections.Counter()
    for position in sorted(positions):
        bad = bytearray(good)
        bad[position] ^= draw.randint(1, 255)
        changed.write_bytes(bad)
        report = made.verify(changed)
        assert report.exit_code == 2, f"byte {position} of {len(good)}"
        caught[re.sub(r"(?<=file )\S+|\d+(?= of)|(?<=offset )\d+", "*", report.wrong)] += 1
    print(*(f"{count:6} {what}" for what, count in caught.most_common()), sep="\n")
    assert any("CRC-32" in what for what in caught)
    assert any("header" in what for what in caught)
    assert any("directory" in what for what in caught)


def test_a_file_of_a_pack_changed_and_its_crc_put_right_does_not_verify(made, tmp_path):
    """What anybody with a ZIP program would do: the manifest names what was changed."""
    files, draw, caught = contents(made.path), random.Random(9), collections.Counter()
    for name, data in files.items():
        edges = {0, len(data) // 2, len(data) - 1}
        others = [at for at in range(len(data)) if at not in edges]
        for at in edges | set(draw.sample(others, min(40, len(others)))):
            bad = bytearray(data)
            bad[at] ^= draw.randint(1, 255)
            report = made.verify(rewrite(made.path, tmp_path, {name: bytes(bad)}))
            assert report.exit_code == 1, (name, at)
            assert name in report.wrong, (name, report.wrong)
            caught[report.wrong.partition(": ")[2] if name != MANIFEST else "manifest"] += 1
    assert caught["not the file that was signed (SHA-256 differs)"] > 200
    assert caught["manifest"] > 40


@pytest.mark.parametrize(
    "name",
    [
        "README.txt",
        "log.vkey",
        "checkpoint",
        "tile/0/000.p/58",
        "tile/entries/000.p/58",
        "body/000.p/58",
        MANIFEST,
    ],
)
def test_a_missing_file_is_named(made, tmp_path, name):
    report = made.verify(rewrite(made.path, tmp_path, {name: None}))
    assert report.exit_code == (2 if name == MANIFEST else 1)
    assert name.split(".")[0] in report.wrong


def test_an_added_file_is_named(made, tmp_path):
    report = made.verify(rewrite(made.path, tmp_path, {"extra.txt": b"hello"}))
    assert (report.exit_code, "extra.txt" in report.wrong) == (1, True)


def test_files_in_another_order_do_not_hold(made, tmp_path):
    forger = Forger(made)
    forger.order = ("log.vkey", "README.txt", "sheet.txt")
    assert "order" in made.verify(forger.write(tmp_path)).wrong


def test_a_signature_line_by_a_stranger_has_no_place_in_the_manifest(made, tmp_path):
    """It would be ignored, so anything could be hidden in it by anybody."""
    stranger = note.Signer("stranger", bytes(32))
    manifest = contents(made.path)[MANIFEST]
    line = stranger.sign("x\n").removeprefix(b"x\n\n")
    report = made.verify(rewrite(made.path, tmp_path, {MANIFEST: manifest + line}))
    assert (report.exit_code, "more than 1 signatures" in report.wrong) == (1, True)


# --- What somebody with the log's key could do, and what another key comes to ---


def test_a_forged_pack_made_without_changes_holds(made, tmp_path):
    """The forger works: what the following tests see is their change, nothing else."""
    assert made.verify(Forger(made).write(tmp_path)).wrong is None


@pytest.mark.parametrize(
    "field",
    [
        "present",
        "breaks",
        "live",
        "proven",
        "viewers",
        "new",
        "body_bytes",
        "streams",
        "moves",
        "body_root",
        "tick",
        "epoch",
    ],
)
def test_a_tick_whose_figures_do_not_follow_from_its_body_does_not_hold(made, tmp_path, field):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    old = canonical.load(forger.entries[number])[field]
    change = {"streams": [1], "body_root": "A" * 43 + "="}.get(
        field, old + 1 if isinstance(old, int) else None
    )
    forger.change(number, **{field: change})
    report = made.verify(forger.write(tmp_path))
    assert report.exit_code == 1
    assert report.wrong.startswith(f"entry {number}:") or report.wrong.startswith("tick"), (
        report.wrong
    )


def test_a_higher_claim_does_not_hold(made, tmp_path):
    forger = Forger(made)
    number = forger.number(ClaimEntry)
    forger.change(number, value=2135)
    report = made.verify(forger.write(tmp_path))
    assert (report.exit_code, "the claim says value 2135" in report.wrong) == (1, True)


def test_an_added_presence_bit_does_not_hold(made, tmp_path):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    entry = entries.decode(forger.entries[number])
    body = bytearray(segment.inflate(forger.stored[number], entry.body_bytes))
    body[-1] ^= 0x80
    forger.stored[number] = segment.deflate(bytes(body))
    report = made.verify(forger.write(tmp_path))
    assert (report.exit_code, "not the one the entry commits to" in report.wrong) == (1, True)


def test_the_same_body_packed_another_way_is_the_same_evidence_under_another_manifest(
    made, tmp_path
):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    entry = entries.decode(forger.entries[number])
    body = segment.inflate(forger.stored[number], entry.body_bytes)
    packer = zlib.compressobj(level=0, wbits=-15)
    forger.stored[number] = packer.compress(body) + packer.flush()
    assert made.verify(forger.write(tmp_path)).wrong is None


def test_a_removed_tick_does_not_hold(made, tmp_path):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    del forger.entries[number], forger.stored[number]
    assert "is next" in made.verify(forger.write(tmp_path)).wrong


def test_a_removed_claim_makes_the_stage_untrue(made, tmp_path):
    forger = Forger(made)
    del forger.entries[-1], forger.stored[-1]
    assert "has no claim" in made.verify(forger.write(tmp_path)).wrong
    forger.stage = "interim"
    assert made.verify(forger.write(tmp_path)).wrong is None


def test_a_viewer_registered_twice_does_not_hold(tmp_path):
    """One person as two viewers: the pseudonym of the second is that of the first."""
    made = make(tmp_path, people=9, seed=4)
    forger = Forger(made)
    for number, data in enumerate(forger.entries):
        entry = entries.decode(data)
        if isinstance(entry, TickEntry) and entry.new >= 2:
            body = bytearray(segment.inflate(forger.stored[number], entry.body_bytes))
            body[18:34] = body[0:16]
            forger.stored[number] = segment.deflate(bytes(body))

            forger.change(number, body_root=values.plain(block_root(bytes(body), 64)))
            break
    assert made.verify(forger.write(tmp_path)).wrong == "a viewer is registered twice"


def test_a_move_to_the_stream_one_is_on_does_not_hold(tmp_path):
    made = make(tmp_path, streams=3, seed=2)
    forger = Forger(made)
    for number, data in enumerate(forger.entries):
        entry = entries.decode(data)
        if isinstance(entry, TickEntry) and entry.moves and not entry.new:
            body = bytearray(segment.inflate(forger.stored[number], entry.body_bytes))
            move = bytes(body[:6])
            later = next(n for n in range(number + 1, 60) if still_there(forger, n, move))
            after = entries.decode(forger.entries[later])
            body = bytearray(segment.inflate(forger.stored[later], after.body_bytes))
            body[18 * after.new : 18 * after.new] = move
            forger.stored[later] = segment.deflate(bytes(body))
            root_text = values.plain(block_root(bytes(body), 64))
            forger.change(later, body_root=root_text, body_bytes=len(body), moves=1)
            break
    assert "is on already" in made.verify(forger.write(tmp_path)).wrong


def still_there(forger, number, move):
    """Tell whether an entry is a tick without moves in which that viewer is present."""
    entry = entries.decode(forger.entries[number])
    if not isinstance(entry, TickEntry) or entry.moves:
        return False
    body = segment.inflate(forger.stored[number], entry.body_bytes)
    viewer = int.from_bytes(move[:4], "big")
    return bool(body[18 * entry.new + viewer // 8] & (0x80 >> viewer % 8))


def test_a_body_where_none_belongs_does_not_hold(made, tmp_path):
    forger = Forger(made)
    forger.stored[0] = segment.deflate(b"hidden")
    assert "a body behind an entry of type event" in made.verify(forger.write(tmp_path)).wrong


@pytest.mark.parametrize(
    ("size", "said"), [(40_000, "does not inflate to exactly"), (200_000_000, "a stored body of")]
)
def test_a_body_that_would_explode_is_not_inflated(made, tmp_path, size, said):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    forger.stored[number] = segment.deflate(bytes(size))
    report = made.verify(forger.write(tmp_path))
    assert (report.exit_code, said in report.wrong) == (1, True)


def test_figures_that_ask_for_too_much_memory_are_refused_before_any_is_taken(made, tmp_path):
    forger = Forger(made)
    number = forger.number(TickEntry, 20)
    before = entries.decode(forger.entries[number])
    viewers = before.viewers - before.new + 2**40
    length = bodies.body_bytes(new=2**40, moves=0, viewers=viewers, breaks=before.breaks)
    forger.change(number, new=2**40, viewers=viewers, body_bytes=length)
    report = made.verify(forger.write(tmp_path))
    assert (report.exit_code, "more viewers" in report.wrong) == (2, True)


def test_another_key_with_the_same_name_does_not_verify_under_the_agreed_one(made, tmp_path):
    other = note.Signer(made.signer.name, bytes(range(32)))
    forger = Forger(made, signer=other)
    forger.change(0, key=other.verifier.vkey())
    path = forger.write(tmp_path)
    assert (
        made.verify(path).wrong
        == "log.vkey: the pack was made under another key than the one given"
    )
    # Without a key from outside it is consistent with itself, and the report says what that means.
    alone = verify(path)
    assert alone.exit_code == 0
    assert "only that the pack is consistent with itself" in alone.not_checked[0]


def test_an_event_entry_that_names_another_key_does_not_hold(made, tmp_path):
    forger = Forger(made)
    forger.change(0, origin="somewhere/else")
    assert "names another origin or key" in made.verify(forger.write(tmp_path)).wrong


# --- Checkpoints from outside ---


def test_a_checkpoint_kept_earlier_is_a_prefix(tmp_path):

    made = make(tmp_path)
    reader = ArchiveReader(tmp_path / "lesson")
    leaves = reader.leaves(reader.refresh().size)
    for size in (0, 1, 2, 17, len(leaves)):
        kept = made.signer.sign(cp.Checkpoint(made.signer.name, size, root(leaves[:size])).text())
        assert made.verify(checkpoints=[kept]).wrong is None


def test_a_checkpoint_of_another_history_proves_a_fork(made):
    other = made.signer.sign(cp.Checkpoint(made.signer.name, 5, bytes(32)).text())
    report = made.verify(checkpoints=[made.checkpoint, other])
    assert report.exit_code == 1
    assert "checkpoint 2 given: another history" in report.wrong


def test_a_pack_that_ends_before_a_checkpoint_kept_does_not_hold(made):
    later = made.signer.sign(cp.Checkpoint(made.signer.name, 500, bytes(32)).text())
    assert "covers 500 entries" in made.verify(checkpoints=[later]).wrong


def test_key_and_checkpoint_may_have_been_copied_with_space_around_them(made):
    report = made.verify(key=f"\r\n {made.key}\t\n", checkpoints=[b" \n" + made.checkpoint.strip()])
    assert report.wrong is None


def test_a_checkpoint_that_is_none_is_said(made):
    assert "checkpoint 1 given" in made.verify(checkpoints=[b"nonsense"]).wrong


# --- What is no pack ---


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "does not begin like one"),
        (b"hello", "does not begin like one"),
        (b"PK\x03\x04", "cut off"),
        (b"PK\x03\x04" + b"\0" * 40, "name is malformed"),
        (bytes(5000), "does not begin like one"),
    ],
)
def test_what_is_no_pack_cannot_be_read(tmp_path, data, said):
    (tmp_path / "x.zip").write_bytes(data)
    report = verify(tmp_path / "x.zip")
    assert (report.exit_code, said in report.wrong) == (2, True), report.wrong


def test_a_pack_cut_off_anywhere_cannot_be_read(made, tmp_path):
    good = made.path.read_bytes()
    for end in range(1, len(good), 97):
        (tmp_path / "cut.zip").write_bytes(good[:end])
        assert made.verify(tmp_path / "cut.zip").exit_code == 2


def test_a_file_that_is_not_there_cannot_be_read(tmp_path):
    assert verify(tmp_path / "none.zip").exit_code == 2


@pytest.mark.parametrize(
    "change", [{"extra": b"x" * 8}, {"comment": b"hi"}, {"compress": True}, {"date": True}]
)
def test_a_zip_file_made_by_another_program_is_no_pack(made, tmp_path, change):
    """Room to hide something in: extra fields, comments, dates, compression."""
    out = tmp_path / "other.zip"
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in contents(made.path).items():
            info = zipfile.ZipInfo(
                name, (2026, 1, 1, 0, 0, 0) if "date" in change else (1980, 1, 1, 0, 0, 0)
            )
            info.extra = change.get("extra", b"")
            info.compress_type = (
                zipfile.ZIP_DEFLATED if "compress" in change else zipfile.ZIP_STORED
            )
            archive.writestr(info, data)
        archive.comment = change.get("comment", b"")
    assert made.verify(out).exit_code == 2


def test_limits_are_kept(made):
    for limits in (
        PackLimits(bytes_max=1000),
        PackLimits(files_max=3),
        PackLimits(ticks_max=5),
        PackLimits(viewers_max=5),
    ):
        assert made.verify(limits=limits).exit_code == 2


def test_far_offsets_and_many_files_are_written_as_zip64():
    """Beyond 65,535 files; a real ZIP program reads it, and so does the strict reader."""
    out = io.BytesIO()
    pack = PackWriter(out)
    for number in range(70_000):
        pack.add(f"f/{number}", b"")
    pack.finish()
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == 70_000
    assert len(PackReader(out, PackLimits()).members) == 70_000
    damaged = bytearray(out.getvalue())
    damaged[-30] ^= 1
    with pytest.raises(PackError):
        PackReader(io.BytesIO(bytes(damaged)), PackLimits())


def test_an_offset_beyond_four_gibibytes_is_described_as_the_format_asks():

    header = _central_header("name", 1, 2, 5_000_000_000)
    assert struct.unpack("<HHQ", header[-12:]) == (1, 8, 5_000_000_000)


# --- Files of bodies ---


@pytest.mark.parametrize(
    ("data", "count"), [(b"", 1), (b"\0\0\0\2a", 1), (b"\0\0\0\1ab", 1), (b"\0\0\0", 1)]
)
def test_a_file_of_bodies_of_another_length_is_refused(data, count):
    with pytest.raises(ContentError):
        list(decode_bodies(data, count))


def test_instants_are_in_the_report(made):
    plain = made.verify().as_dict()
    assert plain["timezone"] == "Asia/Riyadh"
    assert plain["first_tick"] == FIRST
    assert plain["peak_tick"] > FIRST
