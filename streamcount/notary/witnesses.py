"""A witness that is asked: C2SP tlog-witness, `POST <url>/add-checkpoint`.

    old <size>                the checkpoint that it cosigned last, as far as is known here
    <proof>                   base64, a line each: from that size to this one

    <checkpoint>              signed by the log

200: lines of cosignatures. 409 with a size: that is what it cosigned last, so the same is asked from there.
404: it does not know the log; 403: not the key. A witness that has another root for a size it saw says 409
(v1.0.0) or 422 (since): then what it has is asked for, as only a signed checkpoint is proof.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

from streamcount.notary.asking import Asking, AwayError
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note

# What it knows may change once between two questions, by another one of ours, and not for ever.
_TRIES: Final = 3
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,15})\n")
_SAID: Final = {
    400: "it calls the request malformed",
    403: "it does not trust this log's key: tell whoever runs it the key on the sheet",
    404: "it does not know this log: tell whoever runs it the origin and the key on the sheet",
    429: "it was asked too often",
}


class ContradictionError(AwayError):
    """It says that this log does not extend what it saw. `shown`: what it answered with, notes perhaps."""

    def __init__(self, what: str, shown: Sequence[bytes]) -> None:
        super().__init__(what)
        self.shown = shown


class Asked:
    """One witness with an address."""

    def __init__(self, asking: Asking, witness: note.Verifier, url: str) -> None:
        self._asking = asking
        self.witness = witness
        self._url = url.rstrip("/")

    async def cosignature(
        self, signed: bytes, old: int, proof_of: Callable[[int, int], list[bytes]]
    ) -> note.Signature:
        """Return its cosignature of a checkpoint, which was verified.

        `old`: the size it cosigned last, as far as is known. `proof_of` makes consistency proofs.

        Raises:
            ContradictionError: it saw another history.
            AwayError: there is none now.
        """
        text = note.peek(signed)
        size = cp.parse(text).size
        for _ in range(_TRIES):
            proof = await self._asking.apart(proof_of, old, size)
            lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
            body = f"old {old}\n{lines}\n".encode() + signed
            status, answer = await self._asking.ask("POST", f"{self._url}/add-checkpoint", body)
            if status == 200:
                return self._found(answer, text)
            match = _SIZE.fullmatch(answer) if status == 409 else None
            known = None if match is None else int(match[1])
            if known is not None and known > size:
                raise await self._contradiction(cp.parse(text).origin, answer, f"{known} entries")
            if known is None or known == old:
                if status in {409, 422}:
                    origin = cp.parse(text).origin
                    raise await self._contradiction(
                        origin, answer, f"another root, status {status}"
                    )
                raise AwayError(_SAID.get(status, f"answered with status {status}"))
            old = known
        raise AwayError("what it has cosigned last changes with every answer")

    def _found(self, answer: bytes, text: str) -> note.Signature:
        try:
            lines = cosignature.parse_lines(answer)
            for line in lines:
                if cosignature.wrote(self.witness, line):
                    cosignature.time_in(self.witness, line, text)
                    return line
        except note.NoteError as error:
            raise AwayError(f"answered with no cosignature: {error}") from error
        raise AwayError("answered without a cosignature by the key that was agreed on")

    async def _contradiction(self, origin: str, answer: bytes, what: str) -> ContradictionError:
        """Ask for what it has of this log: a checkpoint by the log's key would be proof."""
        shown = [answer]
        digest = hashlib.sha256(origin.encode()).hexdigest()
        try:
            status, found = await self._asking.ask("GET", f"{self._url}/{digest}/checkpoint")
            shown += [found] if status == 200 else []
        except AwayError:
            pass
        return ContradictionError(f"says that it saw another history of this log: {what}", shown)
