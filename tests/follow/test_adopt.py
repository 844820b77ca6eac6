"""adopt: an archive out of a followed copy, only when nothing is missing, behind, or of somebody else."""

from __future__ import annotations

import shutil
import stat

import pytest

from streamcount.adopt import AdoptError, adopt
from streamcount.config import PackLimits
from streamcount.core.segment import frame
from streamcount.follow.copy import Copy
from streamcount.notary import reading
from streamcount.tlog import checkpoint as cp
from streamcount.tlog.merkle import EMPTY_ROOT
from tests.evidence.logs import Author, reopen, some_event
from tests.service import run


def copied(archive, folder, *, bodies=True):
    """A copy as a follower keeps it."""
    reader = reading.ArchiveReader(archive)
    point = reader.refresh()
    copy = Copy(folder)
    for _ in copy.restore():
        pass
    copy.append((f.entry, f.stored if bodies else b"") for f in reader.frames(0, point.size))
    copy.pin(reader.signer.verifier.vkey())
    copy.keep(reader.signed, point)
    copy.close()
    return reader.signed


@pytest.fixture
def event(tmp_path):
    """An archive of an open event, a copy that has reached it, and its keys in a backup."""
    some_event(tmp_path / "lesson", ticks=30, final=False, excludes=0.1)
    (tmp_path / "keys").mkdir()
    for name in ("signing.key", "pseudonym.key"):
        shutil.copy(tmp_path / "lesson" / name, tmp_path / "keys" / name)
    copied(tmp_path / "lesson", tmp_path / "copy")
    return tmp_path


def adopting(folder, published=None, limits=None):
    published = published or (folder / "lesson" / "checkpoint").read_bytes()
    return adopt(
        folder / "copy", published, folder / "keys", folder / "data", limits or PackLimits()
    )


def test_an_adopted_archive_is_the_one_that_was_lost_and_counts_on(event):
    taken = adopting(event)
    folder = event / "data" / "events" / "lesson"
    for name in ("segment", "checkpoint", "signing.key", "pseudonym.key"):
        assert (folder / name).read_bytes() == (event / "lesson" / name).read_bytes()
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    opened = reopen(folder)
    assert (opened.size, opened.restored.course.peak.count) == (taken.size, taken.peak)
    opened.close()
    author = Author.again(folder)
    author.tick(present=[0, 1])
    author.finish()
    author.done()
    with pytest.raises(AdoptError, match="is there already, and is never written over"):
        adopting(event)
    assert [path.name for path in (event / "data" / "events").iterdir()] == ["lesson"]


def test_an_older_published_checkpoint_is_extended_and_a_newer_one_refuses(event):
    old = (event / "lesson" / "checkpoint").read_bytes()
    author = Author.again(event / "lesson")
    author.tick()
    author.done()
    with pytest.raises(AdoptError, match="find a copy that has reached it"):
        adopting(event)
    assert adopting(event, published=b"\n" + old.strip()).event_id == "lesson"


def refused(event, said, **given):
    with pytest.raises(AdoptError, match=said):
        adopting(event, **given)
    assert not (event / "data" / "events").exists() or not list(
        (event / "data" / "events").iterdir()
    )


def test_another_history_than_the_one_published_refuses(event):
    signer = reading.read_signer(event / "keys")
    refused(
        event,
        "together they prove a fork",
        published=signer.sign(cp.Checkpoint(signer.name, 3, EMPTY_ROOT).text()),
    )


@pytest.mark.parametrize("published", [b"", b"nonsense", b"x\n1\nAAAA\n\n"])
def test_a_published_checkpoint_that_is_none_refuses(event, published):
    refused(event, "--published: ", published=published or b"\n")


def test_keys_of_another_event_refuse(event):
    some_event(event / "other", ticks=2)
    for name, said in [
        ("pseudonym.key", "not the key this event began"),
        ("signing.key", "another log"),
    ]:
        shutil.copy(event / "other" / name, event / "keys" / name)
        refused(event, said)
    (event / "keys" / "signing.key").unlink()
    refused(event, "--keys: .*signing.key")


def test_a_copy_without_bodies_refuses(event):
    shutil.rmtree(event / "copy")
    copied(event / "lesson", event / "copy", bodies=False)
    refused(event, "has no body: this copy was followed without --operator")


def test_a_copy_that_does_not_hold_refuses(event):
    path = event / "copy" / "segment"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    refused(event, "a frame that is cut off")
    path.write_bytes(good[:500] + bytes([good[500] ^ 1]) + good[501:])
    refused(event, "checksum")
    reader = reading.ArchiveReader(event / "lesson")
    frames = list(reader.frames(0, reader.refresh().size))
    # Whole frames, of another event's software: an entry that was not signed.
    first = frames[0].entry.replace(b'"software":"streamcount', b'"software":"somethingelse')
    rest = b"".join(frame(f.entry, f.stored) for f in frames[1:])
    path.write_bytes(frame(first, b"") + rest)
    refused(event, "not the entries that its checkpoint was signed over")


def test_a_copy_larger_than_allowed_refuses(event):
    refused(event, "set to read", limits=PackLimits(ticks_max=5))


def test_the_command_says_what_was_done_and_what_was_refused(event):
    command = ["adopt", str(event / "copy"), "--keys", str(event / "keys")]
    command += ["--data", str(event / "data"), "--published"]
    done = run(*command, str(event / "nowhere"), check=False)
    assert (done.returncode, "nowhere" in done.stderr) == (1, True)
    done = run(*command, str(event / "lesson" / "checkpoint"))
    assert "entries taken over, peak so far" in done.stdout
    assert "never starts again" in done.stdout
    done = run(*command, str(event / "lesson" / "checkpoint"), check=False)
    assert (done.returncode, "never written over" in done.stderr) == (1, True)
