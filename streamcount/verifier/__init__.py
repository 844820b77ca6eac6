"""A verifier in one HTML file, for those who judge: no network, no installation.

It was written from docs/evidence-format.md alone and shares no code with ours. The parts stand beside
this file; here they become one page.

Its policy lets nothing run or load but what was in it when it was made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources


def page() -> str:
    """Return the page: `verify.html`."""
    parts = json.loads(_text("parts.json"))
    verifying = "\n".join(_text(name) for name in parts["verifying"])
    showing = "\n".join(_text(name) for name in parts["showing"])
    style = _text("style.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            "connect-src 'none'",
            f"script-src {_hash(verifying)} {_hash(showing)}",
            f"style-src {_hash(style)}",
            "worker-src blob:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    out = _text("page.html").replace("@POLICY@", policy).replace("@STYLE@", style)
    return out.replace("@VERIFYING@", verifying).replace("@SHOWING@", showing)


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
