"""Exporting: from an event's log to a pack that can be checked without us."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from streamcount.core.claim import ClaimEntry
from streamcount.core.entries import EventEntry, NoteEntry, decode
from streamcount.core.values import EntryError
from streamcount.evidence.pack import MANIFEST, Manifest, PackWriter, body_path, encode_bodies
from streamcount.evidence.witnessed import Keeping, holding
from streamcount.tlog import note, tiles, timestamp
from streamcount.tlog.checkpoint import Checkpoint

# What only a tick's entry holds: in a text, quotation marks have a backslash before them.
_TICK: Final = b'"type":"tick"'

README: Final = """streamcount evidence pack / حزمة أدلة

What this is: the log of one event, signed by its key, with everything that was counted. Anybody can
recount it. The number, the instant of the peak and how to check them without our program are in
docs/evidence-format.md of the streamcount project.

To check it with our program:

    streamcount verify THIS-FILE.zip --key KEY

where KEY is the log's key as it was agreed before the event. The file log.vkey in this pack is only a
copy: whoever could make another pack could put another key into it.

ما هذا: سجل فعالية واحدة موقّع بمفتاحها، وفيه كل ما جرى عدّه، ويستطيع أي شخص إعادة العدّ. والرقم، ولحظة الذروة،
وكيف يُتحقق منهما بغير برنامجنا، كل ذلك في الملف docs/evidence-format.md من مشروع streamcount (بالإنجليزية).

للتحقق ببرنامجنا:

    streamcount verify THIS-FILE.zip --key KEY --lang ar

حيث KEY مفتاح السجل كما اتُّفق عليه قبل الفعالية. والملف log.vkey في هذه الحزمة نسخة فقط: من استطاع أن يصنع
حزمة أخرى استطاع أن يضع فيها مفتاحًا آخر.
"""


class LogFrame(Protocol):
    """An entry and its stored body."""

    @property
    def entry(self) -> bytes: ...  # noqa: D102

    @property
    def stored(self) -> bytes: ...  # noqa: D102


class Log(Protocol):
    """An event's log, as far as exporting needs it."""

    signer: note.Signer
    signed: bytes

    def refresh(self) -> Checkpoint:
        """Return the latest checkpoint, up to which the rest may be read."""
        ...

    def frames(self, start: int, end: int) -> Iterable[LogFrame]:
        """Yield entries `start` to `end - 1` with their stored bodies."""
        ...

    def papers(self) -> Mapping[str, bytes]:
        """Return the sheet and the authorities' roots, by their names, in a pack's order."""
        ...

    def leaves(self, size: int) -> Sequence[bytes]:
        """Return the leaf hashes of the first `size` entries."""
        ...

    def event(self) -> EventEntry:
        """Return the first entry."""
        ...

    def tick_at(self, size: int) -> int | None:
        """Return the latest tick in the first `size` entries; None when there is none."""
        ...

    def kept(self) -> Mapping[str, bytes]:
        """Return kept checkpoints and tokens by the names that a pack has them under; some may be bad."""
        ...


def export(log: Log, out: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """Write a pack of the log as it is now; return its stage, interim or final.

    The file appears whole or not at all. `progress` is told entries done and entries in all.

    Raises:
        OSError: `out` cannot be written.
    """
    new = out.with_name(f".{out.name}.new")
    try:
        with new.open("wb") as file:
            pack = PackWriter(file)
            stage = _write(log, pack, progress or (lambda _done, _all: None))
            pack.finish()
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)
    return stage


def _write(log: Log, pack: PackWriter, progress: Callable[[int, int], None]) -> str:
    point = log.refresh()
    signed, verifier = log.signed, log.signer.verifier
    pack.add("README.txt", README.encode())
    pack.add("log.vkey", f"{verifier.vkey()}\n".encode())
    papers = log.papers()
    for name, paper in papers.items():
        pack.add(name, paper)
    pack.add("checkpoint", signed)
    for path, tile in tiles.tree_tiles(log.leaves(point.size)):
        pack.add(path, tile)
    stage = "interim"
    for path, start, end in bundles(point.size):
        found = list(log.frames(start, end))
        pack.add(path, tiles.encode_bundle(frame.entry for frame in found))
        pack.add(body_path(path), encode_bodies(frame.stored for frame in found))
        for frame in found:
            stage = _stage(stage, frame.entry)
        progress(end, point.size)
    for name, data in _kept(log, verifier, papers, point.size).items():
        pack.add(name, data)
    manifest = Manifest(point.origin, stage, dict(pack.digests))
    pack.add(MANIFEST, log.signer.sign(manifest.text()))
    return stage


def _kept(
    log: Log, verifier: note.Verifier, papers: Mapping[str, bytes], size: int
) -> dict[str, bytes]:
    """Return the kept checkpoints and tokens that hold, in a pack's order."""
    files = log.kept()
    if not files:
        return {}
    trust = log.event().event.trust
    certificates = {
        one.name: timestamp.parse_root(papers[f"trust/{one.name}.pem"]) for one in trust.authorities
    }
    keeping = Keeping(trust, verifier, certificates)
    return holding(keeping, files, log.leaves(size), log.tick_at)


def bundles(size: int) -> Iterator[tuple[str, int, int]]:
    """Yield path, first entry and end of every bundle of a log of `size` entries."""
    for number, start in enumerate(range(0, size, tiles.WIDTH)):
        end = min(start + tiles.WIDTH, size)
        yield tiles.tile_path("entries", number, end - start), start, end


def _stage(stage: str, entry: bytes) -> str:
    """Return the stage of a log with one more entry: a claim makes it final, and notes change nothing."""
    if _TICK in entry:
        return "interim"
    try:
        found = decode(entry)
    except EntryError:
        return "interim"
    if isinstance(found, NoteEntry):
        return stage
    return "final" if isinstance(found, ClaimEntry) else "interim"
