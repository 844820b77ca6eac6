"""C2SP tlog-policy: whose cosignatures make a checkpoint a witnessed one.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...     k of these; each name is in one group at most
    quorum <name>|none                     exactly one such line

Lines end in a newline; items are separated by spaces and tabs; a line that begins with # says nothing. A
name is known from its line on. Names are opaque: bytes above 0x7F are told apart and mean nothing, so the
file is read as Latin-1; a key that has such bytes in its name is read as UTF-8 again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Final

from streamcount.tlog import note

POLICY_BYTES_MAX: Final = 65_536
# Of logs, of witnesses, and of groups; C2SP asks for 32 at least.
EACH_MAX: Final = 64
NONE: Final = "none"


class PolicyError(ValueError):
    """The bytes are no policy; the message says which line, and what about it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed when `threshold` of its members have."""

    threshold: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """Logs, witnesses and groups by their names, and the name that decides."""

    logs: list[note.Verifier] = field(default_factory=list)
    witnesses: dict[str, note.Verifier] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = NONE

    def met(self, keys: Iterable[note.Verifier]) -> bool:
        """Tell whether cosignatures by these keys are enough; `none` asks for nothing."""
        if self.quorum == NONE:
            return True
        # By key and name: that is what a cosignature line carries.
        have = set(keys)
        done = {name for name, one in self.witnesses.items() if one in have}
        # A group stands behind its members.
        for name, group in self.groups.items():
            if len(done.intersection(group.members)) >= group.threshold:
                done.add(name)
        return self.quorum in done


def parse_policy(data: bytes) -> Policy:
    """Read a policy.

    Raises:
        PolicyError: it is none.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise PolicyError(f"a policy of more than {POLICY_BYTES_MAX} bytes")
    text = data.decode("latin-1")
    if any((c < " " and c not in "\t\n") or c == "\x7f" for c in text):
        raise PolicyError("a policy with a control character")
    if not text.endswith("\n"):
        raise PolicyError("a policy's last line ends in a newline, too")
    reading = _Reading()
    for number, line in enumerate(text[:-1].split("\n"), 1):
        items = [item for item in line.replace("\t", " ").split(" ") if item]
        if items and not items[0].startswith("#"):
            try:
                reading.take(items)
            except (PolicyError, note.NoteError) as error:
                raise PolicyError(f"line {number}: {error}") from error
    if not reading.decided:
        raise PolicyError("no line says what the quorum is")
    return reading.policy


def write_policy(
    log: note.Verifier, witnesses: Sequence[tuple[note.Verifier, str]], quorum: int
) -> str:
    """Return the policy that asks for cosignatures of so many witnesses; each comes with its URL, or ""."""
    lines = [f"log {log.vkey()}"]
    names = [f"w{number}" for number in range(1, len(witnesses) + 1)]
    for name, (witness, url) in zip(names, witnesses, strict=True):
        lines.append(f"witness {name} {witness.vkey()} {url}".rstrip())
    if quorum:
        lines += [f"group witnesses {quorum} {' '.join(names)}", "quorum witnesses"]
    else:
        lines.append(f"quorum {NONE}")
    return "\n".join(lines) + "\n"


class _Reading:
    """A policy as far as it was read."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.decided = False
        # Names that are in a group already.
        self._members: set[str] = set()

    def take(self, items: list[str]) -> None:
        kinds = {"log": self._log, "witness": self._witness, "group": self._group}
        kind, rest = items[0], items[1:]
        if kind == "quorum":
            self._quorum(rest)
        elif kind in kinds:
            kinds[kind](rest)
        else:
            raise PolicyError(f"{kind!r:.40} is none of log, witness, group, quorum")

    def _log(self, items: list[str]) -> None:
        if len(items) not in {1, 2}:
            raise PolicyError("a log has a key, and perhaps a URL")
        log = note.parse_vkey(_utf8(items[0]))
        logs = self.policy.logs
        if any(log.public == one.public for one in logs):
            raise PolicyError("the same log twice")
        self._check_room(logs)
        logs.append(log)

    def _witness(self, items: list[str]) -> None:
        if len(items) not in {2, 3}:
            raise PolicyError("a witness has a name, a key, and perhaps a URL")
        witness = note.parse_witness(_utf8(items[1]))
        witnesses = self.policy.witnesses
        if any(witness.public == one.public for one in witnesses.values()):
            raise PolicyError("the same witness twice")
        self._check_room(witnesses)
        self._check_new(items[0])
        witnesses[items[0]] = witness

    def _group(self, items: list[str]) -> None:
        if len(items) < 3:
            raise PolicyError("a group has a name, all, any or a number, and members")
        name, how, *members = items
        self._check_new(name)
        self._check_room(self.policy.groups)
        for member in members:
            self._check_known(member)
            if member in self._members:
                raise PolicyError(f"{member!r:.40} is in a group already")
            self._members.add(member)
        thresholds = {"all": len(members), "any": 1}
        thresholds |= {str(k): k for k in range(1, len(members) + 1)}
        if how not in thresholds:
            raise PolicyError(f"a group asks for all, any, or 1 to {len(members)} of its members")
        self.policy.groups[name] = Group(thresholds[how], tuple(members))

    def _quorum(self, items: list[str]) -> None:
        if len(items) != 1:
            raise PolicyError("a quorum has one name")
        if self.decided:
            raise PolicyError("a second quorum")
        if items[0] != NONE:
            self._check_known(items[0])
        self.policy.quorum, self.decided = items[0], True

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self.policy.witnesses or name in self.policy.groups:
            raise PolicyError(f"the name {name!r:.40} is taken")

    def _check_known(self, name: str) -> None:
        if name not in self.policy.witnesses and name not in self.policy.groups:
            raise PolicyError(f"no line before this one defines {name!r:.40}")

    def _check_room(self, there: Sized) -> None:
        if len(there) >= EACH_MAX:
            raise PolicyError(f"more than {EACH_MAX} of one kind")


def _utf8(item: str) -> str:
    try:
        return item.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError("a key that is not UTF-8") from error
