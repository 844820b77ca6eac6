"""The sheet and the roots go where the log goes: with followers, into adopted archives, into backups."""

from __future__ import annotations

import shutil

import pytest

from streamcount.adopt import adopt
from streamcount.config import PackLimits
from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.notary.backup import back_up
from streamcount.notary.reading import ArchiveError, ArchiveReader
from tests.evidence.certificates import trust
from tests.evidence.logs import some_event
from tests.follow.shown import showing
from tests.follow.test_following import following

NAMES = ("sheet.txt", "trust/tsa-1.pem")


@pytest.fixture
def lesson(tmp_path):
    some_event(tmp_path / "lesson", ticks=20, final=False, **trust("tsa-1"))
    return tmp_path / "lesson"


async def test_a_follower_keeps_them(lesson, tmp_path):
    async with showing(lesson) as shown, following(shown, tmp_path / "copy") as follower:
        assert await follower.sync()
        assert follower._tell.of("trouble") == []
        asked = [path for path in shown.asked if path in NAMES]
        assert asked == list(NAMES)
    for name in NAMES:
        assert (tmp_path / "copy" / name).read_bytes() == (lesson / name).read_bytes()


@pytest.mark.parametrize(
    "lie", [(404, b"no"), (200, b"streamcount.sheet/v1\n"), (200, b"x" * 70_000), (200, b"")]
)
async def test_another_sheet_is_told_once_and_not_kept(lesson, tmp_path, lie):
    async with showing(lesson) as shown, following(shown, tmp_path / "copy") as follower:
        shown.lies["sheet.txt"] = lie
        assert await follower.sync()
        event = follower.course.event
        await follower._papers.fetch(event)
        (told,) = follower._tell.of("trouble")
        assert "sheet.txt" in told["what"]
        assert not (tmp_path / "copy" / "sheet.txt").exists()
        shown.lies.clear()
        await follower._papers.fetch(event)
        assert (tmp_path / "copy" / "sheet.txt").exists()
        assert (tmp_path / "copy" / "trust" / "tsa-1.pem").exists()


async def test_an_adopted_archive_has_them_from_the_copy_or_from_the_keys(lesson, tmp_path):
    async with showing(lesson) as shown, following(shown, tmp_path / "copy") as follower:
        await follower.sync()
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("signing.key", "pseudonym.key"):
        shutil.copy(lesson / name, keys / name)
    published = (lesson / "checkpoint").read_bytes()

    def adopting(data):
        return adopt(tmp_path / "copy", published, keys, tmp_path / data, PackLimits())

    assert adopting("first").missing == ()
    (tmp_path / "copy" / "sheet.txt").write_bytes(b"another one")
    assert adopting("second").missing == ("sheet.txt",)
    with pytest.raises(ArchiveError, match="sheet.txt: No such file"):
        ArchiveReader(tmp_path / "second/events/lesson").papers()
    shutil.copy(lesson / "sheet.txt", keys / "sheet.txt")
    assert adopting("third").missing == ()
    for data in ("first", "third"):
        for name in NAMES:
            assert (tmp_path / data / "events/lesson" / name).read_bytes() == (
                lesson / name
            ).read_bytes()


def test_a_backup_has_them_and_can_be_exported(lesson, tmp_path):
    data = tmp_path / "data"
    (data / "events").mkdir(parents=True)
    shutil.move(lesson, data / "events" / "lesson")
    left = []
    back_up(data, tmp_path / "backup", lambda _: None, lambda name, _: left.append(name))
    assert left == []
    folder = tmp_path / "backup" / "events" / "lesson"
    reader = ArchiveReader(folder)
    assert list(reader.papers()) == list(NAMES)
    export(reader, tmp_path / "pack.zip")
    assert verify(tmp_path / "pack.zip", sheet=(folder / "sheet.txt").read_bytes()).exit_code == 0


def test_a_backup_is_made_of_an_archive_without_its_sheet_too(lesson, tmp_path):
    data = tmp_path / "data"
    (data / "events").mkdir(parents=True)
    shutil.move(lesson, data / "events" / "lesson")
    (data / "events" / "lesson" / "sheet.txt").unlink()
    (done,) = back_up(data, tmp_path / "backup", lambda _: None, lambda *_: None)
    assert done.event == "lesson"
    assert not (tmp_path / "backup/events/lesson/sheet.txt").exists()
