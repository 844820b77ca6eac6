"""OpenSSL's `ts -verify`: tokens of timestamping authorities in a pack, as docs/evidence-format.md section 12 says.

head -3 checkpoints/<m> > text
openssl ts -verify -data text -in time/<m>.<name>.tsr -CAfile trust/<name>.pem
"""

from __future__ import annotations

import re

from tests.interop import openssl, spoiling
from tests.interop.places import last_line, run
from tests.interop.table import Verdict

NAME = "openssl ts"
_ROW = "tokens over checkpoints: ts -verify"
_ROOTS = "authorities' roots: x509 writes the same bytes"


def find(bench):
    return openssl.find(bench)


def verdicts(bench):
    scratch = bench.folder / "tokens"
    scratch.mkdir()
    files = bench.timed.files
    for path in (path for path in files if path.startswith("time/")):
        size, name = re.fullmatch(r"time/(\d+)\.(.+)\.tsr", path).groups()
        text = b"".join(files[f"checkpoints/{size}"].splitlines(keepends=True)[:3])
        token, root = files[path], files[f"trust/{name}.pem"]
        others = [
            data for other, data in files.items() if other.startswith("trust/") and data != root
        ]
        yield Verdict(_ROW, path, True, *verify(scratch, text, token, root))
        yield Verdict(
            _ROW,
            f"{path}, another text",
            False,
            *verify(scratch, spoiling.flipped(text), token, root),
        )
        yield Verdict(_ROW, f"{path}, cut short", False, *verify(scratch, text, token[:-1], root))
        yield Verdict(
            _ROW,
            f"{path}, a bit of its signature",
            False,
            *verify(scratch, text, spoiling.flipped(token, -8), root),
        )
        for other in others:
            yield Verdict(
                _ROW,
                f"{path}, another authority's root",
                False,
                *verify(scratch, text, token, other),
            )

    for path in (path for path in files if path.startswith("trust/")):
        spellings = {
            "": files[path],
            ", with CR LF": files[path].replace(b"\n", b"\r\n"),
            ", with a word in front": b"root\n" + files[path],
        }
        for how, pem in spellings.items():
            yield Verdict(
                _ROOTS,
                path + how,
                not how,
                run("openssl", "x509", input=pem, text=False).stdout == pem,
            )


def verify(scratch, text, token, root):
    for name, data in (("text", text), ("token", token), ("root", root)):
        (scratch / name).write_bytes(data)
    done = run(
        "openssl", "ts", "-verify", "-data", scratch / "text", "-in", scratch / "token", "-CAfile", scratch / "root"
    )  # fmt: skip
    return done.returncode == 0, last_line(done.stderr or done.stdout)
