"""A report's levels are those of verifying, and what it says to type works on what it carries."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess

import pytest

from streamcount.report.blocks import Code, Heading, Rows
from streamcount.report.content import content
from streamcount.report.pages import pages
from streamcount.report.reading import VerifiedPack
from streamcount.words import catalogue
from tests.evidence.authority import OPENSSL, Authority, faketime_library
from tests.evidence.trusted import Witnessed
from tests.report.test_documents import made, read

stamping = pytest.mark.skipif(
    OPENSSL is None or faketime_library() is None, reason="needs openssl and libfaketime"
)


def reported(event):
    """Content and attachments of a pack, as the command makes them."""
    pack = event.made()
    findings = pack.verify()
    assert findings.wrong is None
    with VerifiedPack(pack.path, findings.size) as opened:
        found = content(findings, opened.entries())
        found = dataclasses.replace(found, tokens=tuple(opened.tokens()))
        return found, opened.attachments(found)


def levels(found, language="en"):
    blocks = made("claim", language, found).blocks
    head = Heading(catalogue(language).say("report_head_levels"))
    rows = blocks[blocks.index(head) + 1]
    assert isinstance(rows, Rows)
    return dict(rows.rows)


def test_a_level_is_told_with_whose_word_it_rests_on(tmp_path):
    found, attached = reported(Witnessed(tmp_path).finish().keep(0, 2))
    told = levels(found)
    assert (
        told["L1: whole, signed, recounted"] == "Yes. Rests on the key that was given from outside."
    )
    assert told["L2: seen by witnesses"].startswith("Yes. ")
    assert "the log itself names" in told["L2: seen by witnesses"]
    assert told["L2: seen by witnesses"].endswith("Who: witness.example/0 · witness.example/2.")
    assert told["L3: timed"] == "No."
    assert f"checkpoints-{found.fingerprint.size}.txt" in {one.name for one in attached}
    assert levels(found, "ar").keys() != told.keys()


def test_every_word_a_level_can_rest_on_is_there_in_both_languages(tmp_path):
    found, _ = reported(Witnessed(tmp_path).finish())
    codes = ("key_given", "key_own", "policy_given", "witnesses_own", "roots_given", "roots_own")
    all_of_them = dataclasses.replace(found.levels[2], reached=True, rests=codes)
    for language in ("en", "ar"):
        given = dataclasses.replace(found, levels=(all_of_them,))
        assert len(levels(given, language)) == 1


@stamping
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_lines_for_openssl_work_on_the_attached_files(tmp_path):
    event = Witnessed(tmp_path, {"first": Authority(tmp_path / "first", "first")}).finish()
    found, attached = reported(event.stamp("first"))
    assert levels(found)["L3: timed"].startswith("Yes.")
    document = made("claim", "en", found)
    folder = tmp_path / "attached"
    folder.mkdir()
    files = read(pages(document, dated=found.dated, attached=attached)).attachments
    for name, data in files.items():
        assert "/" not in name
        (folder / name).write_bytes(data[0])
    line = next(b.text for b in document.blocks if isinstance(b, Code) and "openssl" in b.text)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Verification: OK" in done.stdout + done.stderr
