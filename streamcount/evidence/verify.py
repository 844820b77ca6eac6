"""Checking a pack, offline: that it is what its key signed, and that the count follows from it.

In this order, and the first thing that is wrong is what is named:

    1 structure    the file is a pack, each byte of which has one possible value      pack.py
    2 manifest     signed by the key; every file is the one that was signed
    3 checkpoint   signed by the key; the tree over the entries has its root; tiles agree
    4 history      checkpoints kept from outside are of a prefix of this log
    5 entries      each is canonical and stands where it may                          core/course.py
    6 recount      each body has the root its entry states, and counting the bodies   core/audit.py
                   gives each tick's live and proven count; no viewer registered twice
    7 claim        each is what the entries and bodies come to, with and without who is excluded,
                   for which the bodies are gone through again; or the pack says that it is interim
    8 papers       sheet and roots are those that the first entry was written with       papers.py
    9 witnesses    kept checkpoints and tokens hold, and which levels they make        witnessed.py

What was not checked is part of the answer, always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from cryptography import x509

from streamcount.config import PackLimits
from streamcount.core.entries import EventEntry
from streamcount.core.papers import PAPER_BYTES_MAX, names
from streamcount.core.trust import Authority
from streamcount.evidence.bundle import bundles
from streamcount.evidence.counting import Counting
from streamcount.evidence.fault import FaultError
from streamcount.evidence.findings import DoesNotHoldError, Findings, unchecked
from streamcount.evidence.pack import (
    MANIFEST,
    MANIFEST_BYTES_MAX,
    PackError,
    PackReader,
    body_path,
    decode_bodies,
    parse_manifest,
)
from streamcount.evidence.papers import check_papers, first_entry, key_of_sheet
from streamcount.evidence.witnessed import (
    POINTS,
    Keeping,
    Outside,
    Watch,
    check_kept,
    judge,
    kept_names,
    kept_sizes,
)
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note, tiles, timestamp
from streamcount.tlog.merkle import Frontier, leaf_hash

# What may stand around a key or a checkpoint that was copied from a mail or a screen; a report in Arabic
# isolates what runs from left to right.
_AROUND: Final = " \t\r\n\u2066\u2069"


def verify(  # noqa: PLR0913 (what somebody may have kept, each by its name)
    path: Path,
    *,
    key: str | None = None,
    sheet: bytes | None = None,
    checkpoints: Sequence[bytes] = (),
    outside: Outside | None = None,
    limits: PackLimits | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Findings:
    """Check a pack.

    `key`: the log's verifier key as it was agreed beforehand. `sheet`: the sheet that was signed then,
    which names the key. The pack's own copy of the key when both are None.
    `checkpoints`: signed checkpoints that were kept during the event. `outside`: a policy and roots of
    authorities that were agreed. `progress` is told what is being
    done, how much of it is done, and how much there is. Never raises for what is in the pack.
    """
    findings = Findings(
        key_from_outside=key is not None or sheet is not None,
        sheet_from_outside=sheet is not None,
        checkpoints_from_outside=len(checkpoints),
    )
    try:
        with path.open("rb") as file:
            check = _Check(file, findings, limits or PackLimits(), progress or _no_progress)
            check.run(key, sheet, checkpoints, outside or Outside())
    except FaultError as error:
        findings.fault, findings.unreadable = error, isinstance(error, PackError)
    except OSError as error:
        detail = error.strerror or str(error)
        findings.fault = PackError("file", "{name}: {detail}", name=path, detail=detail)
        findings.unreadable = True
    findings.unchecked = unchecked(findings)
    return findings


def _no_progress(_what: str, _done: int, _all: int) -> None:
    pass


class _Check:
    """One verification under way."""

    def __init__(
        self,
        file: BinaryIO,
        findings: Findings,
        limits: PackLimits,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._findings = findings
        self._limits = limits
        self._progress = progress
        self._pack = PackReader(file, limits)
        self._point = cp.Checkpoint("", 0, b"")
        # Names of kept checkpoints and tokens.
        self._kept: list[str] = []

    def run(
        self,
        key: str | None,
        sheet: bytes | None,
        checkpoints: Sequence[bytes],
        outside: Outside,
    ) -> None:
        key = None if key is None else key.strip(_AROUND)
        if sheet is not None:
            key = key_of_sheet(sheet, key)
        digests = self._pack.digests(partial(self._progress, "hashing files"))
        outside.read()
        verifier = self._verifier(self._key_given(key, outside))
        self._check_manifest(verifier, digests)
        leaves = self._check_tree(verifier)
        entry = self._first_entry()
        self._check_files(entry, leaves)
        self._check_history(verifier, checkpoints, leaves)
        watch = self._recount(verifier)
        read = partial(self._file, bytes_max=PAPER_BYTES_MAX)
        check_papers(entry, read, sheet, self._findings)
        self._check_witnesses(verifier, outside, leaves, watch)

    def _key_given(self, key: str | None, outside: Outside) -> str | None:
        """Return the key that was agreed: the one given, or that of a policy's log."""
        logs = [] if outside.policy is None else [one.vkey() for one in outside.policy.logs]
        if not logs:
            return key
        self._findings.key_from_outside = True
        own = self._file("log.vkey", note.NOTE_BYTES_MAX).decode("utf-8", "replace").strip()
        found = own if own in logs else logs[0]
        if key is not None and key != found:
            raise DoesNotHoldError(
                "policy_key", "the policy given: names another log than the key given"
            )
        return found

    def _verifier(self, key: str | None) -> note.Verifier:
        names = list(self._pack.members)
        if names[-1] != MANIFEST:
            raise PackError(
                "no_manifest", "the last file of a pack is its manifest, and this one's is not"
            )
        own = self._file("log.vkey", note.NOTE_BYTES_MAX).decode("utf-8", "replace")
        given = key if key is not None else own.removesuffix("\n")
        try:
            verifier = note.parse_vkey(given)
        except note.NoteError as error:
            if key is not None:
                raise DoesNotHoldError(
                    "key_given", "the key given: {detail}", detail=error
                ) from error
            raise DoesNotHoldError("key_file", "log.vkey: {detail}", detail=error) from error
        if own != f"{verifier.vkey()}\n":
            raise DoesNotHoldError(
                "other_key", "log.vkey: the pack was made under another key than the one given"
            )
        self._findings.key, self._findings.origin = verifier.vkey(), verifier.name
        return verifier

    def _file(self, name: str, bytes_max: int) -> bytes:
        if name not in self._pack.members:
            raise DoesNotHoldError("missing", "{name}: missing", name=name)
        if self._pack.members[name].size > bytes_max:
            raise DoesNotHoldError(
                "file_long",
                "{name}: longer than the {n} bytes there can be",
                name=name,
                n=bytes_max,
            )
        return self._pack.read(name)

    # --- 2 ---

    def _check_manifest(self, verifier: note.Verifier, digests: dict[str, str]) -> None:
        names = list(self._pack.members)
        if self._pack.members[MANIFEST].size > MANIFEST_BYTES_MAX:
            raise DoesNotHoldError(
                "manifest_long",
                "manifest: more than {n} bytes",
                n=MANIFEST_BYTES_MAX,
            )
        try:
            text = note.open_note(
                self._pack.read(MANIFEST),
                verifier,
                bytes_max=MANIFEST_BYTES_MAX,
                # A line by an unknown key would be ignored, and so could hold anything.
                signatures_max=1,
            )
        except note.NoteError as error:
            raise DoesNotHoldError("manifest", "manifest: {detail}", detail=error) from error
        manifest = parse_manifest(text)
        if manifest.origin != verifier.name:
            raise DoesNotHoldError(
                "manifest_log", "manifest: of another log, {name}", name=manifest.origin[:100]
            )
        self._findings.stage = manifest.stage
        if names[:-1] != list(manifest.files):
            odd = sorted(set(names[:-1]) ^ set(manifest.files))
            if not odd:
                raise DoesNotHoldError(
                    "manifest_order", "manifest: does not list the files there are: other order"
                )
            raise DoesNotHoldError(
                "manifest_files",
                "manifest: does not list the files there are: {name}",
                name=odd[0],
            )
        for name, digest in manifest.files.items():
            if digests[name] != digest:
                raise DoesNotHoldError(
                    "file_changed",
                    "{name}: not the file that was signed (SHA-256 differs)",
                    name=name,
                )

    # --- 3 ---

    def _check_tree(self, verifier: note.Verifier) -> list[bytes]:
        try:
            self._point = cp.open_checkpoint(
                self._file("checkpoint", note.NOTE_BYTES_MAX), verifier
            )
        except note.NoteError as error:
            raise DoesNotHoldError("checkpoint", "checkpoint: {detail}", detail=error) from error
        point = self._point
        self._findings.size, self._findings.root = point.size, point.root.hex()
        if point.size > self._limits.entries_max:
            raise PackError(
                "beyond_bounds",
                "{detail}",
                detail=f"{point.size} entries, {self._limits.entries_max} is the most",
            )
        leaves: list[bytes] = []
        for path, start, end in bundles(point.size):
            if path not in self._pack.members:
                raise DoesNotHoldError(
                    "missing_entries",
                    "{name}: missing, though the checkpoint covers {n} entries",
                    name=path,
                    n=point.size,
                )
            leaves += [leaf_hash(entry) for entry in self._bundle(path, end - start)]
            self._progress("hashing entries", end, point.size)
        tree = Frontier()
        for leaf in leaves:
            tree.append(leaf)
        if tree.root() != point.root:
            raise DoesNotHoldError(
                "root", "checkpoint: its root is not that of the entries in the pack"
            )
        return leaves

    def _first_entry(self) -> EventEntry:
        for path, start, end in bundles(self._point.size):
            return first_entry(self._bundle(path, end - start)[0])
        raise DoesNotHoldError("empty", "the log has no entries")

    def _check_files(self, entry: EventEntry, leaves: list[bytes]) -> None:
        """Check that the files are those of this log and its tree, all of them, in their order."""
        expected = ["README.txt", "log.vkey", *names(entry.event), "checkpoint"]
        for path, tile in tiles.tree_tiles(leaves):
            if path not in self._pack.members or self._file(path, tiles.TILE_BYTES_MAX) != tile:
                raise DoesNotHoldError(
                    "tile", "{name}: missing, or not the hashes of the entries", name=path
                )
            expected.append(path)
        for path, _, _ in bundles(len(leaves)):
            expected += [path, body_path(path)]
        self._kept = kept_names(list(self._pack.members), len(leaves), entry.event.trust)
        expected += [*self._kept, MANIFEST]
        odd = sorted(set(self._pack.members) ^ set(expected))
        if odd:
            raise DoesNotHoldError(
                "odd_file", "{name}: missing, or a file that has no place in a pack", name=odd[0]
            )
        if list(self._pack.members) != expected:
            raise DoesNotHoldError(
                "order", "the files are not in the order in which a pack has them"
            )

    def _bundle(self, path: str, width: int) -> list[bytes]:
        try:
            return tiles.decode_bundle(self._file(path, tiles.BUNDLE_BYTES_MAX), width)
        except tiles.TileError as error:
            raise DoesNotHoldError(
                "entries", "{name}: {detail}", name=path, detail=error
            ) from error

    # --- 4 ---

    def _check_history(
        self, verifier: note.Verifier, checkpoints: Sequence[bytes], leaves: list[bytes]
    ) -> None:
        for number, signed in enumerate(checkpoints, 1):
            try:
                kept = cp.open_checkpoint(signed.strip(_AROUND.encode()) + b"\n", verifier)
            except note.NoteError as error:
                raise DoesNotHoldError(
                    "kept", "checkpoint {n} given: {detail}", n=number, detail=error
                ) from error
            if kept.size > len(leaves):
                raise DoesNotHoldError(
                    "kept_longer",
                    "checkpoint {n} given covers {n_kept} entries, the pack has {n_pack}",
                    n=number,
                    n_kept=kept.size,
                    n_pack=len(leaves),
                )
            tree = Frontier()
            for leaf in leaves[: kept.size]:
                tree.append(leaf)
            if tree.root() != kept.root:
                raise DoesNotHoldError(
                    "fork",
                    "checkpoint {n} given: another history: the first {n_kept} entries had "
                    "another root when it was signed. Keep both: together they prove a fork",
                    n=number,
                    n_kept=kept.size,
                )

    # --- 5, 6, 7 ---

    def _recount(self, verifier: note.Verifier) -> Watch:
        counting = Counting(self._findings, self._limits, verifier)
        watch = Watch(kept_sizes(self._kept))
        for number, (entry, stored) in enumerate(self._frames("counting")):
            watch.take(number, counting.take(number, entry, stored), counting.course)
        counting.finish(lambda: self._frames("counting again"))
        return watch

    def _frames(self, doing: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries and their stored bodies, from the first on."""
        for path, start, end in bundles(self._point.size):
            most = (end - start) * (4 + self._limits.body_bytes_max)
            stored = decode_bodies(self._file(body_path(path), most), end - start)
            yield from zip(self._bundle(path, end - start), stored, strict=True)
            self._progress(doing, end, self._point.size)

    # --- 9 ---

    def _check_witnesses(
        self, verifier: note.Verifier, outside: Outside, leaves: list[bytes], watch: Watch
    ) -> None:
        course = self._findings.course
        if course is None or course.event is None:
            return
        trust = course.event.event.trust
        outside.check_roots(trust)
        roots = {one.name: self._root(one) for one in trust.authorities}
        keeping = Keeping(trust, verifier, roots)
        found = list(check_kept(keeping, self._kept_file, self._kept, leaves, watch.ticks))
        levels = judge(found, watch, keeping, outside.policy)
        levels.rest_on(key_given=self._findings.key_from_outside, outside=outside)
        self._findings.levels = levels

    def _kept_file(self, name: str) -> bytes:
        point = name.startswith(POINTS)
        return self._file(name, note.NOTE_BYTES_MAX if point else timestamp.TOKEN_BYTES_MAX)

    def _root(self, authority: Authority) -> x509.Certificate:
        """Return an authority's root certificate, which the pack has."""
        name = f"trust/{authority.name}.pem"
        try:
            return timestamp.parse_root(self._file(name, PAPER_BYTES_MAX))
        except timestamp.TokenError as error:
            raise DoesNotHoldError("trust", "{name}: {detail}", name=name, detail=error) from error
