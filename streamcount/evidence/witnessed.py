"""Who else saw the log, and how early: the checkpoints and tokens kept in a pack, and the levels they make.

    L1   the pack holds
    L2   and a checkpoint with cosignatures of enough witnesses covers the result
    L3   and one with a token of an authority does

What is kept has to hold, each file of it; that little or nothing was kept makes a level less, and no
failure. The result is the latest claim or, before there is one, the tick entry that made the peak final.
A *lag* is how long after that second of event time enough witnesses, or an authority, had seen it, by
their own clocks: it may be below zero when these disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509

from streamcount.core.claim import ClaimEntry
from streamcount.core.course import Course
from streamcount.core.entries import Entry, TickEntry
from streamcount.core.trust import EARLY_S_MAX, Authority, Trust
from streamcount.evidence.fault import FaultError
from streamcount.tlog import cosignature, note, timestamp
from streamcount.tlog.cosignature import Cosigned
from streamcount.tlog.merkle import Frontier
from streamcount.tlog.policy import Policy, PolicyError, parse_policy

POINTS: Final = "checkpoints/"
TIMES: Final = "time/"
_POINT = re.compile(r"checkpoints/([1-9][0-9]{0,15})")
_TOKEN = re.compile(r"time/([1-9][0-9]{0,15})\.([a-z0-9-]+)\.tsr")


class KeptError(FaultError):
    """A kept checkpoint or token is not what it has to be; the message says which, and why."""


def point_path(size: int) -> str:
    """Return the name of the kept checkpoint of this size."""
    return f"{POINTS}{size}"


def token_path(size: int, authority: str) -> str:
    """Return the name of an authority's token for it."""
    return f"{TIMES}{size}.{authority}.tsr"


def kept_names(names: Sequence[str], size: int, trust: Trust) -> list[str]:
    """Return those of these names that kept checkpoints and tokens of this log have, in a pack's order."""
    there: set[str] = set(names)
    ordered: list[str] = []
    for point in sorted(one for one in kept_sizes(names) if one <= size):
        tokens = [token_path(point, one.name) for one in trust.authorities]
        ordered += [point_path(point), *(name for name in tokens if name in there)]
    return ordered


def kept_sizes(names: Sequence[str]) -> list[int]:
    """Return the sizes of the kept checkpoints among these names."""
    return [int(m[1]) for name in names if (m := _POINT.fullmatch(name))]


class Outside:
    """What a verifier was given beside the pack: a policy, and authorities' root certificates."""

    def __init__(self, policy: bytes | None = None, roots: Sequence[bytes] = ()) -> None:
        """`policy`: a C2SP tlog-policy. `roots`: certificates in PEM."""
        self.policy: Policy | None = None
        # SHA-256 of the DER -> certificate.
        self.certificates: dict[bytes, x509.Certificate] = {}
        # The authorities that these belong to.
        self.named: list[Authority] = []
        self._given = policy, roots

    def read(self) -> None:
        """Read it.

        Raises:
            KeptError: it is malformed.
        """
        policy, roots = self._given
        if policy is not None:
            try:
                self.policy = parse_policy(policy)
            except PolicyError as error:
                raise KeptError(
                    "policy_given", "the policy given: {detail}", detail=error
                ) from error
        for number, pem in enumerate(roots, 1):
            try:
                root = timestamp.parse_root(pem)
            except timestamp.TokenError as error:
                raise KeptError(
                    "root_given", "root {n} given: {detail}", n=number, detail=error
                ) from error
            self.certificates[timestamp.root_sha256(root)] = root

    def check_roots(self, trust: Trust) -> None:
        """Check that every root given is one of an authority that was agreed on.

        Raises:
            KeptError: one is not.
        """
        agreed = {one.root_sha256 for one in trust.authorities}
        self.named = [one for one in trust.authorities if one.root_sha256 in self.certificates]
        for number, digest in enumerate(self.certificates, 1):
            if digest not in agreed:
                raise KeptError(
                    "root_other", "root {n} given: of no authority of this event", n=number
                )


@dataclass(frozen=True, slots=True)
class Timed:
    """A kept checkpoint: who has seen it, number of the witness or name of the authority -> when."""

    cosigned: Cosigned
    tokens: dict[str, int]

    @property
    def size(self) -> int:
        """How many entries it covers."""
        return self.cosigned.point.size


class Keeping:
    """What kept checkpoints and tokens of one log are checked against."""

    def __init__(
        self, trust: Trust, verifier: note.Verifier, roots: Mapping[str, x509.Certificate]
    ) -> None:
        """`roots`: authority -> its root certificate, already known to be the one of the definition."""
        self.trust = trust
        self.witnesses = [note.parse_witness(one.key) for one in trust.witnesses]
        self._verifier = verifier
        self._roots = roots

    def check(self, files: Mapping[str, bytes], size: int, root: bytes, tick: int | None) -> Timed:
        """Check the checkpoint of this size and the tokens for it, given by their names in a pack.

        `root`: over the first `size` entries; `tick`: the latest tick among them.

        Raises:
            KeptError: it does not hold.
        """
        name = point_path(size)
        try:
            cosigned = cosignature.open_cosigned(files[name], self._verifier, self.witnesses)
        except note.NoteError as error:
            raise KeptError("kept_point", "{name}: {detail}", name=name, detail=error) from error
        if cosigned.point.size != size:
            raise KeptError("kept_size", "{name}: a checkpoint of another size", name=name)
        if cosigned.point.root != root:
            raise KeptError(
                "kept_fork",
                "{name}: another history: the first {n} entries of the pack have another root. Keep this "
                "pack: it proves a fork",
                name=name,
                n=size,
            )
        tokens = {}
        for authority in self.trust.authorities:
            path = token_path(size, authority.name)
            if path in files:
                text, by = cosigned.point.text(), self._roots[authority.name]
                tokens[authority.name] = _time_of(path, files[path], text, by, tick)
        if not cosigned.times and not tokens:
            raise KeptError(
                "kept_alone", "{name}: neither a cosignature nor a token belongs to it", name=name
            )
        return Timed(cosigned, tokens)

    def holds(
        self, files: Mapping[str, bytes], size: int, root: bytes, tick: int | None, tokens: Sequence[str]
    ) -> bool:  # fmt: skip
        """Tell whether the checkpoint of this size holds with these of the tokens."""
        try:
            names = (point_path(size), *tokens)
            self.check({name: files[name] for name in names}, size, root, tick)
        except KeptError:
            return False
        return True


def _time_of(name: str, token: bytes, text: str, root: x509.Certificate, tick: int | None) -> int:
    try:
        when = timestamp.check_token(token, text, root)
    except timestamp.TokenError as error:
        raise KeptError("token", "{name}: {detail}", name=name, detail=error) from error
    if tick is not None and when < tick + 1 - EARLY_S_MAX:
        raise KeptError(
            "token_early",
            "{name}: the authority saw this checkpoint {n} s before its latest second was over, so it was "
            "written in advance",
            name=name,
            n=tick + 1 - when,
        )
    return when


@dataclass(slots=True)
class Levels:
    """What was found: the levels, and what they rest on."""

    levels: list[str] = field(default_factory=list)
    # What each level rests on, as codes.
    rests: dict[str, list[str]] = field(default_factory=dict)
    kept: int = 0
    # The earliest checkpoint of enough witnesses, and with a token, that covers the result: names.
    witnesses: list[str] = field(default_factory=list)
    authorities: list[str] = field(default_factory=list)
    # "peak" or "claim" -> seconds; None where nothing covers it.
    witness_lag_s: dict[str, int | None] = field(default_factory=dict)
    time_lag_s: dict[str, int | None] = field(default_factory=dict)

    def rest_on(self, *, key_given: bool, outside: Outside) -> None:
        """Take note of whose word each level rests on."""
        key = "key_given" if key_given else "key_own"
        policy = "policy_given" if outside.policy is not None else "witnesses_own"
        given = {one.name for one in outside.named}
        roots = "roots_given" if given >= set(self.authorities) else "roots_own"
        all_rests = {"L1": [key], "L2": [key, policy], "L3": [key, roots]}
        self.rests = {level: all_rests[level] for level in self.levels}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for machines."""
        return {
            "levels": self.levels,
            "rests_on": self.rests,
            "kept_checkpoints": self.kept,
            "witnesses": self.witnesses,
            "authorities": self.authorities,
            "witness_lag_s": self.witness_lag_s,
            "time_lag_s": self.time_lag_s,
        }


class Watch:
    """Follows the entries: where the result stands, and the latest tick below each kept checkpoint."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.ticks: dict[int, int | None] = {}
        # Which entry (from 1 on) the peak and the claim are settled with, and the second of event time.
        self.peak: tuple[int, int] | None = None
        self.claim: tuple[int, int] | None = None
        self._sizes = iter(sorted(sizes))
        self._next = next(self._sizes, None)
        self._tick: int | None = None
        self._first: int | None = None

    def take(self, number: int, entry: Entry, course: Course) -> None:
        """Take entry `number` (from 0 on), and what the course comes to with it."""
        if isinstance(entry, TickEntry):
            self._tick = entry.tick
            if course.peak.first != self._first:
                self._first = course.peak.first
                self.peak = number + 1, entry.tick + 1
        elif isinstance(entry, ClaimEntry):
            self.claim = number + 1, (self._tick or 0) + 1
        if self._next == number + 1:
            self.ticks[self._next] = self._tick
            self._next = next(self._sizes, None)


def check_kept(
    keeping: Keeping, read: Callable[[str], bytes], names: Sequence[str], leaves: Sequence[bytes],
    ticks: Mapping[int, int | None],
) -> Iterator[Timed]:  # fmt: skip
    """Yield what is kept, from the smallest checkpoint on, each of them checked.

    Raises:
        KeptError: one does not hold.
    """
    tree, there = Frontier(), set(names)
    for size in kept_sizes(names):
        for leaf in leaves[tree.size : size]:
            tree.append(leaf)
        tokens = [token_path(size, one.name) for one in keeping.trust.authorities]
        files = {name: read(name) for name in (point_path(size), *tokens) if name in there}
        yield keeping.check(files, size, tree.root(), ticks.get(size))


def holding(
    keeping: Keeping,
    files: Mapping[str, bytes],
    leaves: Sequence[bytes],
    tick_at: Callable[[int], int | None],
) -> dict[str, bytes]:
    """Return those of an archive's kept files that hold, in a pack's order; what was damaged stays behind.

    `tick_at` tells the latest tick in the first so many entries.
    """
    names = kept_names(list(files), len(leaves), keeping.trust)
    tree = Frontier()
    there: dict[str, bytes] = {}
    for size in kept_sizes(names):
        for leaf in leaves[tree.size : size]:
            tree.append(leaf)
        point, tokens = point_path(size), []
        for one in keeping.trust.authorities:
            path = token_path(size, one.name)
            if path in files and keeping.holds(files, size, tree.root(), tick_at(size), [path]):
                tokens.append(path)
        if keeping.holds(files, size, tree.root(), None, tokens):
            there |= {name: files[name] for name in (point, *tokens)}
    return there


def judge(found: Sequence[Timed], watch: Watch, keeping: Keeping, policy: Policy | None) -> Levels:
    """Return the levels of a pack that holds, and how late witnesses and authorities were."""
    levels = Levels(["L1"], kept=len(found))
    trust, result = keeping.trust, watch.claim or watch.peak
    seen_at = {one.size: _witnessed_at(one, keeping, policy) for one in found}
    timed_at = {one.size: min(one.tokens.values(), default=None) for one in found}
    for what, place in (("peak", watch.peak), ("claim", watch.claim)):
        levels.witness_lag_s[what] = _lag(seen_at, place)
        levels.time_lag_s[what] = _lag(timed_at, place)
    if result is None:
        return levels
    covering = [one for one in found if one.size >= result[0]]
    seen = next((one for one in covering if seen_at[one.size] is not None), None)
    stamped = next((one for one in covering if one.tokens), None)
    if seen is not None:
        levels.levels.append("L2")
        levels.witnesses = [trust.witnesses[number].name for number in seen.cosigned.times]
    if stamped is not None:
        levels.levels.append("L3")
        levels.authorities = list(stamped.tokens)
    return levels


def _witnessed_at(one: Timed, keeping: Keeping, policy: Policy | None) -> int | None:
    """Return when enough witnesses had seen it; None when they have not, or nobody asked for any."""
    quorum, keys = keeping.trust.quorum, keeping.witnesses
    if policy.met([]) if policy is not None else not quorum:
        return None
    for when in sorted(one.cosigned.times.values()):
        by = [number for number, time in one.cosigned.times.items() if time <= when]
        if policy.met(keys[n] for n in by) if policy is not None else len(by) >= quorum:
            return when
    return None


def _lag(times: Mapping[int, int | None], place: tuple[int, int] | None) -> int | None:
    """Return the least time of checkpoints from an entry on, after a second; None without any."""
    if place is None:
        return None
    entry, second = place
    found = [when for size, when in times.items() if size >= entry and when is not None]
    return min(found) - second if found else None
