"""Events that name witnesses and authorities, and what these gave: kept checkpoints and tokens, made here."""

from __future__ import annotations

import base64

from streamcount.evidence.bundle import export
from streamcount.notary.disk import Disk
from streamcount.notary.keeping import Kept
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note, timestamp
from streamcount.tlog.merkle import root
from tests.evidence.forging import Made
from tests.evidence.logs import FIRST, Author, definition

SIGNERS = [note.Signer(f"witness.example/{n}", bytes([40 + n]) * 32) for n in range(3)]
KEYS = [cosignature.witness_of(one) for one in SIGNERS]


def trust(witnesses=3, quorum=2, authorities=(), urls=()):
    """The key `trust` of a definition. `authorities`: by name."""
    urls = [*urls, "", "", ""]
    return {
        "witnesses": [{"key": KEYS[n].vkey(), "url": urls[n]} for n in range(witnesses)],
        "quorum": quorum if witnesses else 0,
        "authorities": [
            {"name": name, "root_sha256": base64.b64encode(timestamp.root_sha256(one.root)).decode()}
            for name, one in dict(authorities).items()
        ],
    }  # fmt: skip


class Witnessed:
    """An event in a folder, with a few viewers, and what is kept of it."""

    def __init__(self, folder, authorities=(), *, first=FIRST, **options):
        self.folder = folder
        self.authorities = dict(authorities)
        event = definition(trust=trust(authorities=self.authorities, **options))
        roots = {name: one.pem for name, one in self.authorities.items()}
        self.author = Author(folder / "lesson", event, roots)
        self.author.open(first)
        for number in range(14):
            self.author.tick({0, 1, 2}, new=[0, 0, 0] if not number else [])

    def finish(self):
        self.author.finish()
        self.author.archive.close()
        return self

    @property
    def reader(self):
        reader = ArchiveReader(self.folder / "lesson")
        reader.refresh()
        return reader

    def point(self, size=None):
        """The checkpoint of the first `size` entries, signed by the log alone."""
        reader = self.reader
        size = reader.checkpoint.size if size is None else size
        made = cp.Checkpoint(reader.signer.name, size, root(reader.leaves(size)))
        return reader.signer.sign(made.text())

    def text(self, size=None):
        return note.peek(self.point(size))

    def keep(self, *witnesses, size=None, when=FIRST + 40):
        """Have witnesses cosign the checkpoint of that size."""
        kept = Kept(self.folder / "lesson", self.reader.signer.verifier, KEYS, Disk())
        kept.load()
        for number in witnesses:
            raw = cosignature.cosign(SIGNERS[number], self.text(size), when + number)
            line = cosignature.parse_lines(raw)[0]
            kept.add_line(self.point(size), number, line)
        return self

    def stamp(self, name, *, size=None, when=FIRST + 45):
        """Have an authority time it."""
        kept = Kept(self.folder / "lesson", self.reader.signer.verifier, KEYS, Disk())
        kept.load()
        token = self.authorities[name].token(self.text(size), now=when)
        kept.add_token(self.point(size), name, token)
        return self

    def made(self):
        reader = self.reader
        export(reader, self.folder / "pack.zip")
        return Made(self.folder / "pack.zip", reader.signer, reader.signed)

    def verify(self, **options):
        return self.made().verify(**options)
