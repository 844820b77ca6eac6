"""aics-witness: a C2SP witness in a process of its own, which cosigns what extends what it cosigned before.

It is given our checkpoints with our proofs, as POST add-checkpoint wants them; what it answers is read by our
own code. Spoilt ones it has to refuse, each with the status that tlog-witness says.
"""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note
from streamcount.tlog.merkle import leaf_hash
from streamcount.tlog.proofs import Tree
from tests.interop import spoiling
from tests.interop.making import entries_of, point, signer
from tests.interop.places import environment, last_line, pinned, run
from tests.interop.table import NotHereError, Verdict
from tests.service import serving

NAME = "aics-witness"
_ROW = "checkpoints and our proofs, cosigned; the cosignature read by us"
_ASKED = "asked by a running service, while an event goes on"
_GROWTH = [1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000]
_PATIENCE_S = 60


def find(bench):
    bench.aics = environment("interop", (3, 12))
    return pinned("interop", NAME)


class Witness:
    """The witness, running, that trusts our key."""

    def __init__(self, python, folder):
        self._command = [str(python), "-P", "-m", "aics_witness"]
        self._folder = folder
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self._do(
            "init", "--name", "witness.invalid/aics", "--listen", self.url.removeprefix("http://")
        )

    def trust(self, log):
        """Have it know a log."""
        self._do("add-log", "--origin", log.name, "--vkey", log.vkey())
        self.process.send_signal(signal.SIGHUP)

    def _do(self, *arguments):
        done = run(*self._command, *arguments, cwd=self._folder)
        if done.returncode:
            raise NotHereError(f"it did not start: {last_line(done.stderr)}")
        return done.stdout

    def __enter__(self):
        self.process = subprocess.Popen(
            [*self._command, "serve"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.wait_for(lambda: self.asked("GET", "/healthz")[0] == 200)
            words = self._do("status").split()
            key = next(word for word in words if word.startswith("witness.invalid/aics+"))
            self.key = note.parse_witness(key)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def wait_for(self, reached):
        until = time.monotonic() + _PATIENCE_S
        while not reached():
            if time.monotonic() > until or self.process.poll() is not None:
                raise NotHereError("it did not answer")
            time.sleep(0.05)

    def asked(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def add(self, old, proof, signed):
        lines = "".join(base64.b64encode(one).decode() + "\n" for one in proof)
        return self.asked("POST", "/add-checkpoint", f"old {old}\n{lines}\n".encode() + signed)


def verdicts(bench):
    sizes = [size for size in _GROWTH if size <= max(bench.logs)]
    tree, fork = Tree(), Tree()
    tree.extend(map(leaf_hash, entries_of(sizes[-1])))
    fork.extend(map(leaf_hash, entries_of(sizes[-1], fork=0)))
    leaves = [leaf_hash(one) for one in entries_of(sizes[-1])]
    with Witness(bench.aics, bench.folder / "witness") as witness:
        witness.trust(signer().verifier)
        witness.wait_for(lambda: witness.add(1, [], point(leaves[:1]))[0] != 404)
        old = 0
        for size in sizes:
            signed, proof = point(leaves[:size]), tree.proof(old, size)
            yield from refused(witness, old, size, proof, signed, fork)
            status, answer = witness.add(old, proof, signed)
            yield Verdict(_ROW, f"{old} to {size}", True, *read(witness, signed, status, answer))
            old = size
        if not bench.short:
            yield from asked(bench, witness)


def asked(bench, witness):
    """Two events whose witness it is: of one it knows the log, of the other it was not told."""
    folder = bench.folder / "asking"
    folder.mkdir()
    trust = {"witnesses": [{"key": witness.key.vkey(), "url": witness.url}], "quorum": 1}
    with serving(folder, STREAMCOUNT_WITNESS_LOOK_S="0.1") as service:
        keys = {event: service.create(event, trust=trust) for event in ("known", "unknown")}
        witness.trust(note.parse_vkey(keys["known"]))
        for event in keys:
            service.open(event)
        for event in keys:
            service.close(event)
        kept = folder / "data" / "events" / "known" / "checkpoints"
        claimed = read_checkpoint(folder / "data" / "events" / "known" / "checkpoint")
        service.wait_for((kept / str(claimed.size)).exists, 120)
        for event, key in keys.items():
            levels = service.verified(event, folder, key)["levels"]
            what = f"the pack of an event whose log it knows {'' if event == 'known' else 'not '}has the level L2"
            yield Verdict(_ASKED, what, event == "known", "L2" in levels, str(levels))


def read_checkpoint(path):
    return cp.parse(note.peek(path.read_bytes()))


def refused(witness, old, size, proof, signed, fork):
    """What is not to be cosigned, tried before what is; with it the status that has to come."""
    tries = {
        "another old size": (
            409,
            witness.add(old + 1, proof, signed) if old + 1 <= size else (409, b""),
        ),
        "a bit of the signature": (
            403,
            witness.add(old, proof, b"".join(spoilt_signature(signed))),
        ),
        "an origin that nobody knows": (404, witness.add(old, proof, stranger(signed))),
        "no checkpoint": (400, witness.add(old, proof, b"x\n\n")),
    }
    if old:
        head = cp.Checkpoint(signer().name, size, fork.root(size))
        forked = signer().sign(head.text())
        tries["a fork, with its own proof"] = (422, witness.add(old, fork.proof(old, size), forked))
        spoilt = [spoiling.flipped(proof[0]), *proof[1:]] if proof else [bytes(32)]
        tries["a bit of the proof"] = (422, witness.add(old, spoilt, signed))
        tries["a hash too many"] = (422, witness.add(old, [*proof, bytes(32)], signed))
        tries["smaller than what it saw"] = (
            400,
            witness.add(
                old, [], signer().sign(cp.Checkpoint(signer().name, old - 1, bytes(32)).text())
            ),
        )
    for what, (wanted, (status, _)) in tries.items():
        # Another refusal than the one that is due counts as wrong, too.
        yield Verdict(
            _ROW, f"{old} to {size}: {what}", False, status != wanted, f"{status}, not {wanted}"
        )


def spoilt_signature(signed):
    text, line = signed.split(b"\n\n")
    yield text + b"\n\n"
    yield line.replace(line[-20:-10], line[-20:-10].swapcase())


def stranger(signed):
    by = signer("a stranger", "stranger.invalid/log")
    said = cp.parse(note.peek(signed))
    return by.sign(cp.Checkpoint(by.name, said.size, said.root).text())


def read(witness, signed, status, answer):
    if status != 200:
        return False, f"{status} {answer[:200]}"
    try:
        found = cosignature.open_cosigned(signed + answer, signer().verifier, [witness.key])
    except note.NoteError as error:
        return False, str(error)
    return abs(found.times[0] - time.time()) < 3600, str(found.times)
