"""follow/cosigning: a follower's key says one thing of one size, after it was remembered, and only what it keeps."""

from __future__ import annotations

import asyncio
import stat

import pytest
import typer

from streamcount.cli.follow import witness_key
from streamcount.config import FollowLimits
from streamcount.follow import cosigning
from streamcount.follow.alarm import AlarmError
from streamcount.follow.cosigning import Cosigner, KeyFileError, Memory, make_key, read_key
from streamcount.follow.source import RefusedError
from streamcount.notary import incoming
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note
from tests.evidence.trusted import SIGNERS, Witnessed
from tests.follow.shown import showing
from tests.follow.test_following import LIMITS, following

QUICK = FollowLimits(**(LIMITS.model_dump() | {"cosign_s": 0.01, "cosign_give_up_s": 0.5}))
SLOW = FollowLimits(**(LIMITS.model_dump() | {"cosign_s": 10_000}))


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "witness.key"
    path.write_text(SIGNERS[0].private_text())
    return path


def cosigner(follower, key, limits=QUICK):
    memory = Memory(key)
    return Cosigner(follower, read_key(key), memory, limits), memory


def laid(event):
    """Sizes that were cosigned and posted."""
    return sorted(
        int(p.name.split(".")[0]) for p, n in incoming.waiting(event.folder / "lesson") if n == 0
    )


async def test_a_followers_cosignatures_are_taken_by_the_log(tmp_path, key):
    event = Witnessed(tmp_path).finish()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key)
        follower.afterwards = made.look
        await follower.run(lambda: False)
        memory.close()
        size = event.reader.checkpoint.size
        assert laid(event) == [size]
        assert follower.tell.of("cosigned") == [{"size": size}]
        ((path, _),) = incoming.waiting(tmp_path / "lesson")
        verifier = event.reader.signer.verifier
        found = cosignature.open_cosigned(
            path.read_bytes(), verifier, [cosignature.witness_of(SIGNERS[0])]
        )
        assert found.point.size == size
        # Remembered beside the key.
        (kept,) = [p for p in (tmp_path / "witness.key.cosigned").iterdir() if p.name != "lock"]
        assert cp.open_checkpoint(kept.read_bytes(), verifier).size == size


async def test_what_the_log_asks_for_comes_first_and_each_size_once(tmp_path, key, monkeypatch):
    event = Witnessed(tmp_path)
    incoming.want(tmp_path / "lesson", event.point(9), event.author.archive.disk)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key, SLOW)
        await follower.sync()
        assert await made.look() is False
        assert laid(event) == [9]
        # Opened since it looked last: the latest is due; then nothing is, for long.
        assert await made.look() is False
        assert laid(event) == [9, 16]
        assert await made.look() is True
        # It asks for the same on: that is not read again.
        with monkeypatch.context() as patch:
            patch.delattr(type(follower.copy), "root_at")
            assert await made.look() is True
        event.finish()
        await follower.sync()
        assert await made.look() is False
        assert await made.look() is True
        assert laid(event) == [9, 16, event.reader.checkpoint.size]
        memory.close()


async def test_a_fork_is_never_cosigned(tmp_path, key):
    event = Witnessed(tmp_path)
    signer = event.reader.signer
    other = signer.sign(cp.Checkpoint(signer.name, 9, bytes(32)).text())
    incoming.want(tmp_path / "lesson", other, event.author.archive.disk)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key)
        await follower.sync()
        with pytest.raises(AlarmError) as alarm:
            await made.look()
        assert alarm.value.kind == "fork"
        assert (alarm.value.folder / "shown").read_bytes() == other
        assert "cosign" not in shown.asked
        memory.close()


async def test_one_key_never_says_two_things_of_one_size(tmp_path, key):
    """Another copy, another folder: what the key said is remembered beside the key."""
    event = Witnessed(tmp_path)
    signer = event.reader.signer
    memory = Memory(key)
    before = signer.sign(cp.Checkpoint(signer.name, 16, bytes(32)).text())
    memory.keep(signer.name, before)
    memory.close()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key)
        await follower.sync()
        with pytest.raises(AlarmError, match="cosigned with this key before") as alarm:
            await made.look()
        assert (alarm.value.folder / "shown").read_bytes() == before
        memory.close()


async def test_a_copy_that_is_behind_what_was_cosigned_waits(tmp_path, key):
    event = Witnessed(tmp_path)
    signer = event.reader.signer
    memory = Memory(key)
    memory.keep(signer.name, signer.sign(cp.Checkpoint(signer.name, 10**6, bytes(32)).text()))
    memory.close()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key)
        await follower.sync()
        assert await made.look() is False
        assert "this copy has 16" in follower.tell.of("trouble")[0]["what"]
        assert laid(event) == []
        memory.close()


@pytest.mark.parametrize("lost", [True, False])
async def test_it_is_remembered_before_it_is_sent(tmp_path, key, lost, monkeypatch):
    """Lost: it was never sent. Not lost: it was, and the reply was lost. Then the same is said again."""
    event = Witnessed(tmp_path).finish()
    size = event.reader.checkpoint.size
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key)
        await follower.sync()
        send = follower.source.post_cosigned

        async def fails(signed):
            if not lost:
                await send(signed)
            raise asyncio.CancelledError

        monkeypatch.setattr(follower.source, "post_cosigned", fails)
        with pytest.raises(asyncio.CancelledError):
            await made.look()
        assert memory.latest(event.reader.signer.name) is not None
        memory.close()
        monkeypatch.undo()
        again, memory = cosigner(follower, key)
        assert await again.look() is False
        assert laid(event) == [size]
        memory.close()


async def test_a_log_that_takes_nothing_is_tried_for_a_bounded_time(tmp_path, key):
    Witnessed(tmp_path).finish()
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        shown.lies["cosign"] = 503, b""
        made, memory = cosigner(follower, key)
        follower.afterwards = made.look
        await asyncio.wait_for(follower.run(lambda: False), 60)
        assert "status 503" in follower.tell.of("trouble")[0]["what"]
        memory.close()


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413])
async def test_a_log_that_refuses_is_told_once_and_watched_on(tmp_path, key, status):
    """Else whoever forks the log could first send its witnesses away."""
    event = Witnessed(tmp_path)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        shown.lies["cosign"] = status, b"no witness of ours"
        made, memory = cosigner(follower, key)
        follower.afterwards = made.look
        await follower.run(lambda: shown.asked.count("cosign") > 2)
        (trouble,) = follower.tell.of("trouble")
        assert f"refused with status {status}: no witness of ours" in trouble["what"]
        event.finish()
        shown.lies.clear()
        await asyncio.wait_for(follower.run(lambda: False), 60)
        assert follower.copy.size == event.reader.checkpoint.size
        assert laid(event)[-1] == follower.copy.size
        memory.close()


async def test_what_was_not_taken_is_still_due(tmp_path, key):
    event = Witnessed(tmp_path)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, key, SLOW)
        await follower.sync()
        assert await made.look() is False
        event.finish()
        await follower.sync()
        shown.lies["cosign"] = 503, b""
        assert await made.look() is False
        shown.lies.clear()
        await asyncio.sleep(2 * SLOW.retry_most_s)
        assert await made.look() is False
        assert laid(event) == [16, event.reader.checkpoint.size]
        memory.close()


async def test_who_is_no_witness_of_the_event_is_told(tmp_path):
    Witnessed(tmp_path)
    path = tmp_path / "stranger.key"
    make_key("stranger.example", path)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy", bodies=False) as follower,
    ):
        made, memory = cosigner(follower, path)
        await follower.sync()
        with pytest.raises(RefusedError, match="is no witness of this event"):
            await made.look()
        memory.close()


# --- Keys ---


def test_a_key_is_made_once_and_printed_again(tmp_path, capsys):
    path = tmp_path / "witness.key"
    witness_key("witness.example/me", path)
    vkey = capsys.readouterr().out.strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    witness_key("witness.example/me", path)
    assert capsys.readouterr().out.strip() == vkey
    assert note.parse_witness(vkey).name == "witness.example/me"
    # As Go's sumdb/note writes and reads any Ed25519 key.
    assert cosignature.witness_of(note.parse_private(path.read_text().strip())).vkey() == vkey
    for name, where in (("other", path), ("a b", tmp_path / "x"), ("me", tmp_path / "no" / "x")):
        with pytest.raises(typer.Exit):
            witness_key(name, where)


def test_two_followers_do_not_cosign_with_one_key(tmp_path, key):
    memory = Memory(key)
    with pytest.raises(KeyFileError, match="another follower cosigns"):
        Memory(key)
    link = tmp_path / "elsewhere" / "other.key"
    link.parent.mkdir()
    link.symlink_to(key)
    with pytest.raises(KeyFileError, match="another follower cosigns"):
        Memory(link)
    memory.close()
    Memory(link).close()


def test_what_is_no_key_file_is_said(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff")
    for path in (tmp_path / "x", tmp_path / "none", tmp_path):
        with pytest.raises(KeyFileError, match="holds no witness's key"):
            read_key(path)
    assert cosigning.read_key is read_key
