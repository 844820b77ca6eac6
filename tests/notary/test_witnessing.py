"""notary/witnessing: others see the log while an event runs, counting does not wait, a fork stops the event."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil

import aiohttp
import pytest

from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.notary.publish import Desk
from streamcount.notary.reading import ArchiveReader
from streamcount.operator.metrics import EventCollector
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note
from tests.evidence.authority import OPENSSL, Authority, Serving
from tests.evidence.logs import Author
from tests.evidence.trusted import KEYS, SIGNERS, trust
from tests.evidence.witness_server import WitnessServer
from tests.notary.test_polling import crash
from tests.stack import Stack


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if OPENSSL is None:
        pytest.skip("needs openssl (Debian: openssl)")
    return Authority(tmp_path_factory.mktemp("authority") / "a")


@contextlib.asynccontextmanager
async def running(valkey, folder, *, witnesses=(), quorum=1, authorities=(), **options):
    """A service whose event names these witness servers (None: comes by itself) and served authorities."""
    urls = ["" if one is None else one.url for one in witnesses]
    agreed = trust(len(witnesses), quorum, {n: one.authority for n, one in authorities}, urls)
    for plain, (_, one) in zip(agreed["authorities"], authorities, strict=True):
        plain |= {"url": one.url, "root_pem": one.authority.pem.decode()}
        del plain["root_sha256"]
    async with Stack(valkey, folder, **options) as stack:
        definition = {"id": "lesson", "title": {"en": "A lesson"}, "window": 7, "interval": 1}
        await stack.desk.create(definition | {"trust": agreed})
        notary = stack.events.notaries["lesson"]
        for one in filter(None, witnesses):
            one.log = notary.archive.signer.verifier
        yield stack, notary


async def opened(stack):
    await stack.until(lambda: all("lesson" in w.gateway.holdings for w, _ in stack.workers))
    first = await stack.desk.open("lesson", None)
    await stack.until(
        lambda: all(w.gateway.holdings["lesson"].tick >= first for w, _ in stack.workers)
    )


def standing(stack):
    return stack.events.witnessings["lesson"].as_dict()


def findings(stack, folder):
    reader = ArchiveReader(stack.events.folder("lesson"))
    export(reader, folder / "pack.zip")
    found = verify(folder / "pack.zip", key=reader.signer.verifier.vkey())
    assert found.wrong is None
    return found.as_dict()


async def killed(stack, notary):
    """As crash() has it; connections, which the system would close, are closed here."""
    asking = stack.events.asking
    found = await crash(stack, notary)
    await asking.close()
    return found


async def covered(stack, notary, folder):
    """Wait until the claim was seen by all who are asked."""
    await stack.until(lambda: notary.course.claim is not None)
    size = notary.archive.size
    parties = standing(stack)["parties"]
    await stack.until(lambda: all(p["seen"] >= size for p in standing(stack)["parties"]))
    assert len(parties) == len(standing(stack)["parties"])
    return findings(stack, folder)


async def test_a_whole_event_is_witnessed_and_timed(valkey, tmp_path, authority):
    with (
        WitnessServer(SIGNERS[0]) as first,
        WitnessServer(SIGNERS[1]) as second,
        Serving(authority) as serving,
    ):
        first.fails, second.fails, serving.fails = [500, 429], [503], [500]
        trusted = {"witnesses": (first, second), "quorum": 2, "authorities": [("a", serving)]}
        async with running(valkey, tmp_path / "data", **trusted) as (stack, notary):
            await opened(stack)
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            async with stack.viewer() as talk:
                for seq in range(1, 5):
                    await talk.beat(seq)
                    await asyncio.sleep(1)
            await stack.until(lambda: notary.course.peak.count == 1)
            await stack.desk.close("lesson")
            plain = await covered(stack, notary, tmp_path)
            assert plain["levels"] == ["L1", "L2", "L3"]
            assert plain["witnesses"] == ["witness.example/0", "witness.example/1"]
            assert -60 < plain["witness_lag_s"]["claim"] < 120
            assert plain["kept_checkpoints"] >= 3
            counts = stack.desk.counts("lesson")["witnessing"]
            assert counts["witnessed"] == counts["timed"] == notary.archive.size
            assert not any(one["trouble"] for one in counts["parties"])
            gauges = {
                (sample.name, sample.value)
                for family in EventCollector(lambda: [stack.desk.counts("lesson")]).collect()
                for sample in family.samples
            }
            assert ("streamcount_witnessed_entries", notary.archive.size) in gauges
            assert ("streamcount_timed_entries", notary.archive.size) in gauges


async def test_who_hangs_or_lies_delays_no_count(valkey, tmp_path, authority):
    with (
        WitnessServer(SIGNERS[0]) as hanging,
        WitnessServer(SIGNERS[1]) as lying,
        WitnessServer(SIGNERS[2]) as honest,
        Serving(authority) as serving,
    ):
        hanging.pause.clear()
        lying.instead = (
            200,
            cosignature.cosign(SIGNERS[2], cp.Checkpoint("x", 1, bytes(32)).text(), 1),
        )
        serving.instead = lambda _: b"\x30\x00"
        trusted = {"witnesses": (hanging, lying, honest), "authorities": [("a", serving)]}
        async with running(valkey, tmp_path / "data", **trusted, witness={"deadline_s": 2.0}) as (
            stack,
            notary,
        ):
            await opened(stack)
            await stack.close_event()
            await stack.until(lambda: standing(stack)["witnessed"] == notary.archive.size)
            troubles = {one["name"]: one["trouble"] for one in standing(stack)["parties"]}
            await stack.until(
                lambda: all(
                    one["trouble"] for one in standing(stack)["parties"] if one["seen"] == 0
                )
            )
            troubles = {one["name"]: one["trouble"] for one in standing(stack)["parties"]}
            assert troubles["witness.example/0"] == "no answer in time"
            assert "without a cosignature by the key" in troubles["witness.example/1"]
            assert "a token that is none" in troubles["a"]
            assert not troubles["witness.example/2"]
            assert not [gap for gap in notary.course.gaps if gap.kind != "lag"]
            assert findings(stack, tmp_path)["levels"] == ["L1", "L2"]


async def test_a_witness_that_does_not_know_the_log_is_told_to_the_operator(valkey, tmp_path):
    with WitnessServer(SIGNERS[0]) as witness:
        async with running(valkey, tmp_path / "data", witnesses=(witness,)) as (stack, notary):
            witness.log = None
            await opened(stack)
            await stack.until(
                lambda: "does not know this log" in standing(stack)["parties"][0]["trouble"]
            )
            witness.log = note.Verifier(notary.archive.signer.name, KEYS[1].public)
            await stack.until(lambda: "does not trust" in standing(stack)["parties"][0]["trouble"])
            witness.log = notary.archive.signer.verifier
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            assert not standing(stack)["parties"][0]["trouble"]


async def test_a_root_that_is_damaged_is_that_authoritys_trouble(valkey, tmp_path, authority):
    with WitnessServer(SIGNERS[0]) as witness, Serving(authority) as serving:
        trusted = {"witnesses": (witness,), "authorities": [("a", serving)]}
        async with running(valkey, tmp_path / "data", **trusted) as (stack, _):
            (stack.events.folder("lesson") / "trust/a.pem").write_bytes(b"")
            await opened(stack)
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            await stack.until(
                lambda: "trust/a.pem cannot be used" in standing(stack)["parties"][1]["trouble"]
            )


async def test_a_notary_that_starts_again_goes_on_and_finishes_what_is_final(
    valkey, tmp_path, authority
):
    with WitnessServer(SIGNERS[0]) as witness, Serving(authority) as serving:
        trusted = {"witnesses": (witness,), "authorities": [("a", serving)]}
        async with running(valkey, tmp_path / "data", **trusted) as (stack, notary):
            await opened(stack)
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            seen = witness.size
            notary = await killed(stack, notary)
            known = standing(stack)["parties"][0]["seen"]
            assert known == 0 or seen <= known <= witness.size
            witness.fails, serving.fails = [500] * 10**6, [500] * 10**6
            await stack.until(lambda: notary.clock.ready)
            await stack.desk.close("lesson")
            await stack.until(lambda: notary.course.claim is not None)
            notary = await killed(stack, notary)
            witness.fails, serving.fails = [], []
            plain = await covered(stack, notary, tmp_path)
            assert plain["levels"] == ["L1", "L2", "L3"]
            # Asked from where it was, by what is kept: no proof from nothing.
            assert not any(body.startswith(b"old 0\n") for body in witness.asked[1:])
            assert witness.size > seen
            replies, asked = serving.replies, len(witness.asked)
            notary = await killed(stack, notary)
            await stack.until(lambda: standing(stack)["wanted"] == notary.archive.size)
            await asyncio.sleep(0.5)
            assert (serving.replies, len(witness.asked)) == (replies, asked)


async def test_nothing_is_begun_before_what_is_kept_was_read(valkey, tmp_path):
    """It could be written over by less."""
    with WitnessServer(SIGNERS[0]) as witness:
        async with running(valkey, tmp_path / "data", witnesses=(witness,)) as (stack, notary):
            await opened(stack)
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            unreadable = stack.events.folder("lesson") / "checkpoints" / "999999999"
            unreadable.mkdir()
            await killed(stack, notary)
            await stack.until(lambda: "999999999" in standing(stack)["trouble"])
            asked = len(witness.asked)
            await asyncio.sleep(1)
            assert (standing(stack)["wanted"], len(witness.asked)) == (None, asked)
            unreadable.rmdir()
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            await stack.until(lambda: standing(stack)["wanted"] and not standing(stack)["trouble"])


async def test_what_is_final_is_asked_about_for_a_bounded_time(valkey, tmp_path):
    with WitnessServer(SIGNERS[0]) as witness:
        witness.fails = [500] * 10**6
        async with running(
            valkey, tmp_path / "data", witnesses=(witness,), witness={"give_up_s": 1.0}
        ) as (stack, _):
            await opened(stack)
            await stack.close_event()
            part = stack.events.witnessings["lesson"]
            await stack.until(part._gave_up)
            await stack.until(lambda: len(witness.asked) > 0)
            await asyncio.sleep(1)
            asked = len(witness.asked)
            await asyncio.sleep(1)
            assert len(witness.asked) == asked
            assert findings(stack, tmp_path)["levels"] == ["L1"]


async def test_a_witness_that_forgot_is_asked_from_where_it_is(valkey, tmp_path):
    with WitnessServer(SIGNERS[0]) as witness:
        async with running(valkey, tmp_path / "data", witnesses=(witness,)) as (stack, notary):
            await opened(stack)
            await stack.until(lambda: standing(stack)["witnessed"] > 0)
            witness.size, witness.root = 0, b""
            await stack.close_event()
            plain = await covered(stack, notary, tmp_path)
            assert plain["levels"] == ["L1", "L2"]


async def test_no_error_of_witnessing_ends_the_notary(valkey, tmp_path, monkeypatch):
    """A library's panic is no Exception, and leaves the tasks as a group of such."""

    class PanicError(BaseException):
        pass

    panics = []

    async def panic():
        panics.append(1)
        raise PanicError

    with WitnessServer(SIGNERS[0]) as witness:
        async with running(
            valkey, tmp_path / "data", witnesses=(witness,), witness={"retry_most_s": 0.2}
        ) as (stack, notary):
            part = stack.events.witnessings["lesson"]
            monkeypatch.setattr(part, "_look", panic)
            await opened(stack)
            await stack.until(lambda: len(panics) > 1)
            monkeypatch.undo()
            await stack.close_event()
            await stack.until(lambda: standing(stack)["witnessed"] == notary.archive.size)


# --- By themselves ---


async def post(stack, body):
    url = f"http://127.0.0.1:{stack.settings.public_port}/v1/events/lesson/log/cosignatures"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        return answer.status, await answer.text()


async def wanted(stack):
    url = f"http://127.0.0.1:{stack.settings.public_port}/v1/events/lesson/log/cosignatures"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read() if answer.status == 200 else None


def cosigned(signed, signer, when=1_795_000_000):
    return signed + cosignature.cosign(signer, note.peek(signed), when)


async def test_cosignatures_come_by_themselves_beside_those_that_are_asked_for(valkey, tmp_path):
    with WitnessServer(SIGNERS[0]) as witness:
        trusted = {"witnesses": (witness, None, None), "quorum": 2}
        async with running(valkey, tmp_path / "data", **trusted) as (stack, notary):
            assert await wanted(stack) is None
            await opened(stack)
            await stack.close_event()
            await stack.until(lambda: standing(stack)["wanted"] == notary.archive.size)
            signed = await wanted(stack)
            assert findings(stack, tmp_path)["levels"] in (["L1"], ["L1"])
            assert await post(stack, cosigned(signed, SIGNERS[2])) == (200, "taken\n")
            await stack.until(lambda: standing(stack)["witnessed"] == notary.archive.size)
            plain = findings(stack, tmp_path)
            assert plain["levels"] == ["L1", "L2"]
            assert plain["witnesses"] == ["witness.example/0", "witness.example/2"]
            assert list((stack.events.folder("lesson") / "incoming").iterdir()) == []


async def test_what_nobody_may_send_is_refused_and_leaves_nothing(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", witnesses=(None,)) as (stack, notary):
        await opened(stack)
        await stack.until(lambda: standing(stack)["wanted"])
        signed = await wanted(stack)
        stranger = note.Signer("stranger.example", bytes(32))
        fake = note.Signer(SIGNERS[0].name, bytes(32))
        other = note.Signer(notary.archive.signer.name, bytes(32)).sign(note.peek(signed))
        line = signed.splitlines(keepends=True)[-1]
        many = signed + 9 * (cosigned(signed, SIGNERS[0]).removeprefix(signed))
        bad = {
            400: [b"", b"x", signed[:-9], cosigned(other, SIGNERS[0]), signed + line, many],
            403: [signed, cosigned(signed, stranger), cosigned(signed, SIGNERS[1])],
        }
        for status, bodies in bad.items():
            for body in bodies:
                assert (await post(stack, body))[0] == status, body[:80]
        half = cosigned(signed, SIGNERS[0]).replace(b"\xe2\x80\x94 witness", b"\xe2\x80\x94 other")
        assert (await post(stack, half))[0] == 403
        assert (await post(stack, cosigned(signed, fake)))[0] == 403
        for much in (b"x\n" * 9_000, bytes(10**6)):
            assert (await post(stack, much))[0] == 413
        assert not (stack.events.folder("lesson") / "incoming").exists()
        assert notary.stage == "open"


async def test_more_than_a_worker_checks_in_a_second_is_sent_away(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", witnesses=(None,), cosignatures_per_s_max=3) as (
        stack,
        _,
    ):
        assert (await post(stack, b"x"))[0] == 400
        # At once, so that they are within a second on a machine that is busy, too.
        answers = await asyncio.gather(*(post(stack, b"x") for _ in range(30)))
        assert 429 in {status for status, _ in answers}


# --- Another history ---


async def other_history(stack, notary, folder, ticks=9):
    """A real second log under the same key: the archive as it was, grown differently."""
    copy = folder / "lesson"
    async with notary.acts.turn:  # not while it is written
        shutil.copytree(stack.events.folder("lesson"), copy)
    (copy / "lock").unlink(missing_ok=True)
    author = Author.again(copy)
    # Somebody who was never there: an empty tick would be the same in both.
    author.tick({0}, new=[0])
    for _ in range(ticks - 1):
        author.tick({0})
    author.archive.close()
    return ArchiveReader(copy)


async def broken(stack, notary):
    await stack.until(lambda: notary.stage == "broken")
    # What was being written when that was found may still be.
    await stack.until(stack.events._tasks["lesson"].done)
    size, published = notary.archive.size, stack.desk.counts("lesson")["archived"]
    (summary,) = stack.desk.summaries()
    assert "another history" in summary["trouble"]
    assert summary["uncertain"]
    await asyncio.sleep(2.5)
    assert (notary.archive.size, stack.desk.counts("lesson")["archived"]) == (size, published)
    (proof,) = stack.events.folder("lesson").glob("fork-*")
    verifier = notary.archive.signer.verifier
    shown, kept = (
        cp.open_checkpoint((proof / n).read_bytes(), verifier) for n in ("shown", "kept")
    )
    assert shown.origin == kept.origin
    return proof


@pytest.mark.parametrize("conflict", [409, 422])
async def test_a_witness_that_saw_another_history_stops_the_event(valkey, tmp_path, conflict):
    with WitnessServer(SIGNERS[0], conflict=conflict) as witness:
        async with running(valkey, tmp_path / "data", witnesses=(witness,)) as (stack, notary):
            witness.fails = [500] * 10**6
            await opened(stack)
            await stack.until(
                lambda: notary.course.next_tick is not None and notary.archive.size > 4
            )
            other = await other_history(stack, notary, tmp_path / "copy")
            witness.fails = []
            point = other.refresh()
            witness.size, witness.root, witness.signed = point.size, point.root, other.signed
            proof = await broken(stack, notary)
            assert (proof / "shown").read_bytes() == other.signed
            # Operators can do nothing more with it, and the next notary does not begin again.
            with pytest.raises(Exception, match="stopped"):
                await stack.desk.exclude("lesson", ["viewer-0001"], "a probe")


async def test_a_checkpoint_of_another_history_that_anybody_posts_stops_the_event(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", witnesses=(None,)) as (stack, notary):
        await opened(stack)
        await stack.until(lambda: notary.archive.size > 3)
        # What cannot be read, and would be read before, is in nobody's way.
        (stack.events.folder("lesson") / "incoming" / "1.0").mkdir(parents=True)
        other = await other_history(stack, notary, tmp_path / "copy", ticks=1)
        size = other.refresh().size
        await stack.until(lambda: notary.archive.size > size)
        status, said = await post(stack, other.signed)
        assert (status, "of another history" in said) == (409, True)
        await broken(stack, notary)
        stack.tasks[0].cancel()
        await stack.events.close()
        stack.events = stack.new_events()
        stack.events.load()
        stack.desk = Desk(stack.events)
        assert "another history" in stack.events.broken["lesson"]
        assert stack.desk.summaries()[0]["stage"] == "broken"


async def test_a_contradiction_without_proof_stops_nothing(valkey, tmp_path):
    """Anybody who runs a witness can say that; only what the log's key signed is proof."""
    with WitnessServer(SIGNERS[0]) as witness:
        witness.instead = 422, b"no extension\n"
        async with running(valkey, tmp_path / "data", witnesses=(witness,)) as (stack, notary):
            await opened(stack)
            await stack.until(lambda: "another history" in standing(stack)["parties"][0]["trouble"])
            await stack.close_event()
            assert notary.stage == "final"
            assert json.dumps(standing(stack))
