"""event create and event sheet: what is agreed reaches the log, the public port, a page, and verify --sheet."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.error
import urllib.request

import pypdf
import pytest

from streamcount.core.papers import write_pem
from tests.evidence.certificates import certificate, witness_key
from tests.service import run, serving

WITNESSES = [witness_key("w.example/one"), witness_key("w.example/two")]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agreeing")
    (folder / "root.pem").write_bytes(b"The root of tsa-1\n" + write_pem(certificate("tsa-1")))
    with serving(folder) as running:
        running.folder = folder
        running.ask(
            "event", "create", "lesson", "--title", "A lesson", "--organiser", "A school",
            "--timezone", "Asia/Riyadh", "--start", "2026-12-05 20:00", "--end", "2026-12-05T17:30:00Z",
            "--witness", f"{WITNESSES[0]} https://w.example", "--witness", WITNESSES[1],
            "--authority", f"tsa-1=https://tsa.example/tsr?a=b,c,{folder / 'root.pem'}",
        )  # fmt: skip
        yield running


def public(service, name):
    return urllib.request.urlopen(f"{service.public}/v1/events/lesson/log/{name}", timeout=10)


def told(done):
    assert done.stderr.startswith("streamcount: "), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_definition_has_what_was_given(service):
    plain = service.api("/api/events/lesson")["definition"]
    assert plain["organiser"] == {"en": "A school", "ar": ""}
    assert (plain["planned_start"], plain["planned_end"]) == (1_796_490_000, 1_796_491_800)
    assert [one["key"] for one in plain["trust"]["witnesses"]] == WITNESSES
    assert [one["url"] for one in plain["trust"]["witnesses"]] == ["https://w.example", ""]
    assert plain["trust"]["quorum"] == 2
    (authority,) = plain["trust"]["authorities"]
    assert authority["name"] == "tsa-1"
    assert authority["url"] == "https://tsa.example/tsr?a=b,c"


def test_the_public_port_shows_what_was_agreed(service):
    folder = service.data / "events" / "lesson"
    for name in ("sheet.txt", "trust/tsa-1.pem"):
        with public(service, name) as answer:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.read() == (folder / name).read_bytes()
    for name in ("sheet.txt.new", "trust/tsa-2.pem", "signing.key"):
        with pytest.raises(urllib.error.HTTPError) as raised:
            public(service, name)
        raised.value.close()
        assert raised.value.code == 404


def test_the_sheet_is_shown_written_and_printed(service):
    kept = (service.data / "events" / "lesson" / "sheet.txt").read_bytes()
    shown = service.run("event", "sheet", "lesson")
    assert shown.stdout == kept.decode()
    text, page = service.folder / "kept.txt", service.folder / "page.pdf"
    service.run("event", "sheet", "lesson", "-o", str(text))
    assert text.read_bytes() == kept
    service.run("event", "sheet", "lesson", "-o", str(page), "--digits", "arabic")
    pages = pypdf.PdfReader(io.BytesIO(page.read_bytes())).pages
    assert len(pages) == 2
    for one in pages:
        said = "".join(one.extract_text().split())
        assert kept.decode().split("\n")[1] in said
        assert "Alesson" in said
        assert hashlib.sha256(kept).hexdigest() in said
    service.run("event", "sheet", "lesson", "-o", str(page), "--lang", "ar")
    assert len(pypdf.PdfReader(page).pages) == 1
    again = service.folder / "again.pdf"
    run("event", "sheet", "--from", str(text), "-o", str(again), "--lang", "ar")
    assert again.read_bytes() == page.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sheet", "nothing"], "there is no event nothing"),
        (["sheet"], "name an event, or a sheet"),
        (["sheet", "--from", "nowhere.txt"], "No such file"),
        (["sheet", "lesson", "-o", "sheet.doc"], "must end in .pdf or .txt"),
        (["create", "x", "--quorum", "1"], "there is no --witness"),
        (["create", "x", "--witness", "a b c"], "must be a key, or a key, a space and an address"),
        (["create", "x", "--witness", "a"], "key: must be a witness's key"),
        (["create", "x", "--witness", WITNESSES[0].replace("one+", "odd+")], "id in it does not belong"),
        (["create", "x", "--witness", WITNESSES[0], "--quorum", "2"], "quorum: 2 of 1"),
        (["create", "x", "--authority", "tsa-1"], "must be NAME=URL,FILE"),
        (["create", "x", "--authority", "tsa-1=https://x,/nowhere/tsa.pem"], "No such file"),
        (["create", "x", "--authority", "tsa-1=https://x,{file}"], "not a certificate in PEM"),
        (["create", "x", "--start", "soon"], "must be a time such as"),
    ],
)  # fmt: skip
def test_what_cannot_be_agreed_is_one_clear_line(service, arguments, said):
    (service.folder / "odd.pem").write_text("no certificate")
    arguments = [one.replace("{file}", str(service.folder / "odd.pem")) for one in arguments]
    done = service.run("event", *arguments, check=False)
    assert done.returncode in {1, 2}
    assert said in told(done)
    assert not (service.data / "events" / "x").exists()


def test_the_api_takes_the_certificate_as_text(service):
    one = {"name": "tsa-1", "url": "", "root_pem": write_pem(certificate("tsa-1")).decode()}
    body = {"id": "by-api", "title": {"en": "x"}, "trust": {"authorities": [one]}}
    created = service.api("/api/events", body)
    assert "root_sha256" in created["definition"]["trust"]["authorities"][0]
    for odd in (one | {"root_pem": "x"}, {"name": "tsa-1"}, one | {"root_sha256": "x"}):
        with pytest.raises(urllib.error.HTTPError) as raised:
            service.api("/api/events", body | {"id": "odd", "trust": {"authorities": [odd]}})
        assert raised.value.code == 400
        with raised.value as answer:
            assert "root_" in json.load(answer)["error"]


def test_the_kept_sheet_verifies_the_pack(service):
    pack, kept = service.folder / "lesson.zip", service.folder / "kept-sheet.txt"
    kept.write_bytes((service.data / "events" / "lesson" / "sheet.txt").read_bytes())
    service.run("export", "lesson", "-o", str(pack))
    done = run("verify", str(pack), "--sheet", str(kept), "--json")
    findings = json.loads(done.stdout)
    assert findings["key_from_outside"]
    assert findings["sheet_from_outside"]
    assert findings["sheet_sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    said = run("verify", str(pack), "--sheet", str(kept), "--lang", "en").stdout
    assert "given from outside" in said
    assert findings["sheet_sha256"] in said
    without = run("verify", str(pack), "--lang", "ar").stdout
    assert "--sheet" in without
    assert "ورقة الاتفاق التي وُقّعت قبل الفتح" in without
    kept.write_bytes(kept.read_bytes() + b"\n")
    done = run("verify", str(pack), "--sheet", str(kept), "--lang", "en", check=False)
    assert done.returncode == 1
    assert "the sheet given is not the one that the log was begun with" in done.stdout
    done = run("verify", str(pack), "--sheet", "nowhere.txt", check=False)
    assert done.returncode == 2


def test_a_damaged_archive_says_so_and_is_not_exported(service):
    service.api("/api/events", {"id": "damaged", "title": {"en": "x"}})
    (service.data / "events" / "damaged" / "sheet.txt").unlink()
    for command in (["event", "sheet", "damaged"], ["export", "damaged", "-o", "x.zip"]):
        done = service.run(*command, check=False)
        assert done.returncode == 1
        assert "sheet.txt: No such file or directory; it belongs to what was agreed" in told(done)
