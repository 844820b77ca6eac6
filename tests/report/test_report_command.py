"""`streamcount report`: from a pack that holds, everything; from another one, nothing."""

from __future__ import annotations

import json

import pytest

from streamcount.config import PackLimits
from streamcount.core import canonical
from streamcount.evidence.verify import verify
from streamcount.report.reading import VerifiedPack
from streamcount.words import catalogue
from tests.evidence.forging import contents, make, rewrite
from tests.report.test_documents import read, squeezed, text_of
from tests.service import run

INSIDE = squeezed(catalogue("en").say("report_key_inside"))


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reported")
    title = {"en": "A lesson 🎉", "ar": "درس"}
    return make(
        folder, kind="rehearsal", title=title, timezone="Asia/Riyadh", ticks=200, people=30
    ).path


@pytest.fixture(scope="module")
def key(pack):
    return contents(pack)["log.vkey"].decode().strip()


def last_entry(pack):
    with VerifiedPack(pack, verify(pack).size, PackLimits()) as opened:
        return [*opened.entries()][-1]


def test_a_report_has_the_number_that_verifying_found_and_the_bytes_of_the_claim(
    pack, key, tmp_path
):
    done = run("report", str(pack), "--key", key, "-o", str(tmp_path / "out"))
    claim = (tmp_path / "out" / "claim.pdf").read_bytes()
    found = json.loads(run("verify", str(pack), "--key", key, "--json").stdout)
    number = canonical.load(last_entry(pack))["value"]
    assert number > 0
    assert number == found["peak"]
    text = text_of(claim)
    assert f"{number:,}" in text
    assert INSIDE not in squeezed(text)
    attached = {name: data[0] for name, data in read(claim).attachments.items()}
    assert attached.pop("claim.json") == last_entry(pack)
    files = contents(pack)
    assert attached == {f"{name}.txt": files[name] for name in ("log.vkey", "checkpoint")} | {
        "sheet.txt": files["sheet.txt"]
    }
    assert all("REHEARSAL" in page.extract_text() for page in read(claim).pages)
    assert "event.title.en: U+1F389" in done.stderr


def test_the_same_pack_gives_the_same_bytes(pack, key, tmp_path):
    for folder in ("one", "two"):
        run("report", str(pack), "--key", key, "--digits", "arabic", "-o", str(tmp_path / folder))
    one, two = (
        {path.relative_to(tmp_path / f): path.read_bytes() for path in (tmp_path / f).rglob("*.*")}
        for f in ("one", "two")
    )
    assert len(one) == 25
    assert one == two


def test_without_the_agreed_key_the_document_itself_says_so(pack, tmp_path):
    run("report", str(pack), "--lang", "en", "-o", str(tmp_path / "out"))
    assert INSIDE in squeezed(text_of((tmp_path / "out" / "claim.pdf").read_bytes()))
    assert not (tmp_path / "out" / "ar").exists()


@pytest.mark.parametrize("how", ["changed", "other key", "cut off"])
def test_what_does_not_hold_has_no_report(pack, key, tmp_path, how):
    other = pack
    if how == "changed":
        other = rewrite(pack, tmp_path, {"README.txt": b"another"})
    elif how == "cut off":
        other = tmp_path / "short.zip"
        other.write_bytes(pack.read_bytes()[:-100])
    given = key if how != "other key" else f"{key[:-8]}AAAAAAA="
    done = run("report", str(other), "--key", given, "-o", str(tmp_path / "out"), check=False)
    assert done.returncode == (2 if how == "cut off" else 1)
    assert "no report" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_certificate_that_cannot_be_opened_leaves_nothing_written(pack, key, tmp_path):
    (tmp_path / "school.p12").write_bytes(b"none")
    out = ("-o", str(tmp_path / "out"), "--sign", str(tmp_path / "school.p12"))
    done = run("report", str(pack), "--key", key, *out, check=False)
    assert done.returncode == 1
    assert "--sign: no certificate with its key" in done.stderr
    assert not (tmp_path / "out").exists()
