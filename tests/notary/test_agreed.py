"""notary/agreed and roots: the sheet says what was agreed, its hash is in the log, roots are read strictly."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from streamcount.core import entries, sheet
from streamcount.core.entries import EntryError
from streamcount.core.event import parse_event
from streamcount.core.fields import EventError
from streamcount.core.papers import PEM_BYTES_MAX, PemError, read_pem, write_pem
from streamcount.core.sheet import BLANK, Notice, Row
from streamcount.notary import archive as archives
from streamcount.notary.agreed import sheet_text, spoken
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.notary.roots import read_root, take_roots
from streamcount.tlog import note
from tests.evidence.certificates import certificate, trust, witness_key
from tests.evidence.logs import definition

KEY = note.Signer("log.example/lesson/00", bytes(range(32))).verifier.vkey()


def told(event, language=0):
    text = sheet_text(event, "log.example/lesson/00", KEY, "streamcount 1")
    return sheet.read(text).parts[language]


def rows(part):
    return {block.label: block.text for block in part.blocks if isinstance(block, Row)}


def plain(part):
    return "\n".join(getattr(block, "text", "") for block in part.blocks)


def test_the_sheet_is_a_function_of_what_was_agreed():
    args = ("log.example/lesson/00", KEY, "streamcount 1")
    assert sheet_text(definition(), *args) == sheet_text(definition(), *args)
    assert sheet_text(definition(), *args) != sheet_text(definition(window=12), *args)


def test_the_sheet_says_it_all_in_both_languages():
    given = trust("tsa-1", witnesses=("w.example/one", "w.example/two"))
    event = definition(
        target=21_350,
        organiser={"en": "A school", "ar": "مدرسة"},
        planned_start=1_796_490_000,
        streams=[{"id": "hall", "source": "https://cdn.example/a.m3u8"}],
        trust=given["trust"] | {"quorum": 1},
    )
    root = hashlib.sha256(certificate("tsa-1")).hexdigest()
    for language in (0, 1):
        text = plain(told(event, language))
        for fact in (
            "A lesson", "درس التطوع", "A school", "مدرسة", "21,350", "hall", "https://cdn.example/a.m3u8", "20:00:00",
            "Asia/Riyadh", "17:00:00", "UTC", "https://school.example", "11", "3", root, "https://tsa-1.example/tsr",
            witness_key("w.example/one"), witness_key("w.example/two"), "log.example/lesson/00", KEY, spoken(KEY),
        ):  # fmt: skip
            assert fact in text, (language, fact)
    assert rows(told(event))["Adjudicator"] == rows(told(event, 1))["المحكّم"] == BLANK


def test_a_rehearsal_says_that_it_is_one_first():
    for kind in ("rehearsal", "demo"):
        for language in (0, 1):
            first = told(definition(kind=kind), language).blocks[0]
            assert isinstance(first, Notice)
            assert "REHEARSAL" in first.text
            assert "تجربة" in first.text
    assert not isinstance(told(definition(kind="attempt")).blocks[0], Notice)


def test_a_number_of_a_platform_is_said_to_be_its_own():
    on = {"id": "a", "platform": {"name": "youtube", "video": "dQw4w9WgXcQ"}}
    claimed = rows(told(definition(streams=[on], claimed_count="platform")))["Number claimed"]
    assert "the platform's own count (youtube)" in claimed
    assert "anybody can count again" in rows(told(definition(streams=[on])))["Number claimed"]


def test_what_cannot_be_said_in_full_is_counted():
    many = definition(streams=[{"id": f"s{n}", "source": "x" * 500} for n in range(500)])
    part = told(many)
    assert rows(part)["Streams"].startswith("500: s0, s1, ")
    assert "names: 460." in plain(part)
    sites = [f"https://s{n}.example" for n in range(50)]
    assert "names: 40." in rows(told(definition(policy={"origins": sites})))["What counts"]


def test_a_text_of_several_lines_stays_on_its_line():
    odd = parse_event({"id": "a", "title": {"en": "One\n# two\u2028three"}})
    assert rows(told(odd))["Title"] == "One # two three"


def test_the_first_entry_commits_to_the_sheet(tmp_path):
    folder = tmp_path / "lesson"
    given = trust("tsa-1", "tsa-2")
    event = definition(trust=given["trust"])
    archives.create(folder, event, "log.example", roots=given["roots"])
    reader = ArchiveReader(folder)
    papers = reader.papers()
    assert list(papers) == ["sheet.txt", "trust/tsa-1.pem", "trust/tsa-2.pem"]
    text = papers["sheet.txt"].decode()
    (frame,) = reader.frames(0, 1)
    entry = entries.decode(frame.entry)
    assert entry.sheet_sha256 == hashlib.sha256(papers["sheet.txt"]).digest()
    assert text == sheet_text(event, entry.origin, entry.key, entry.software)
    assert sheet.key_line(text) == entry.key
    assert read_pem(papers["trust/tsa-2.pem"]) == certificate("tsa-2")
    assert reader.file("sheet.txt") == papers["sheet.txt"]
    assert reader.file("trust/tsa-1.pem") == papers["trust/tsa-1.pem"]
    for odd in ("trust/tsa-3.pem", "trust/../signing.key", "trust/", "sheet.txt/x"):
        assert reader.file(odd) is None


@pytest.mark.parametrize("name", ["sheet.txt", "trust/tsa-1.pem"])
def test_an_archive_without_its_papers_says_so(tmp_path, name):
    folder = tmp_path / "lesson"
    given = trust("tsa-1")
    archives.create(folder, definition(trust=given["trust"]), "log.example", roots=given["roots"])
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    with pytest.raises(ArchiveError, match=f"{name}: not the file .* Restore it from a copy"):
        ArchiveReader(folder).papers()
    (folder / name).unlink()
    with pytest.raises(ArchiveError, match=f"{name}: No such file.* Restore it from a copy"):
        ArchiveReader(folder).papers()


def test_no_event_is_made_without_its_authorities_roots(tmp_path):
    given, other = trust("tsa-1"), trust("tsa-2")
    for roots in ({}, other["roots"], {"tsa-1": other["roots"]["tsa-2"]}):
        with pytest.raises(ArchiveError, match="need their own root certificates"):
            archives.create(tmp_path / "x", definition(trust=given["trust"]), "x", roots=roots)
    assert list(tmp_path.iterdir()) == []


def test_a_definition_too_long_for_a_sheet_is_refused(tmp_path):
    long = "\U0001d4d0" * 200
    streams = [
        {"id": f"s{n}", "title": {"en": long, "ar": long[1:] + "x"}, "source": "\U0001d4d0" * 500}
        for n in range(6)
    ]
    witnesses = [
        {"key": witness_key(f"{n}" + "\U0001d4d0" * 99), "url": "\U0001d4d0" * 200}
        for n in range(8)
    ]
    event = definition(streams=streams, trust={"witnesses": witnesses, "quorum": 1})
    with pytest.raises(EntryError, match="a sheet of .* bytes, 65536 is the most"):
        archives.create(tmp_path / "lesson", event, "x")


# --- Roots as operators hand them in ---

ROOT = write_pem(certificate("tsa-1"))


def asked(**change):
    one = {"name": "tsa-1", "url": "https://tsa.example", "root_pem": ROOT.decode()} | change
    return {"id": "a", "title": {"en": "A"}, "trust": {"authorities": [one]}}


def test_a_root_becomes_its_hash_and_a_file():
    around = "Subject: tsa\r\n" + ROOT.decode().replace("\n", "\r\n") + "\r\nthe end\r\n"
    for text in (ROOT.decode(), around):
        plain_one, roots = take_roots(asked(root_pem=text))
        assert roots == {"tsa-1": ROOT}
        (authority,) = parse_event(plain_one).trust.authorities
        assert authority.root_sha256 == hashlib.sha256(certificate("tsa-1")).digest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"root_pem": None}, "must be the root certificate, as text"),
        ({"root_pem": "x"}, "root_pem: not a certificate in PEM"),
        ({"root_pem": "\ud800"}, "root_pem: not a certificate in PEM"),
        ({"root_pem": ROOT.decode().replace("A", "B")}, "root_pem: not a certificate in PEM"),
        ({"root_pem": (ROOT * 2).decode()}, "root_pem: 2 certificates"),
        (
            {"root_pem": write_pem(certificate("tsa-1", "ca")).decode()},
            "not a root: issued by CN=ca",
        ),
        ({"root_pem": "x" * (PEM_BYTES_MAX + 1)}, "65537 bytes, 65536 is the most"),
        ({"root_sha256": "A" * 43 + "="}, "give the certificate itself"),
    ],
)
def test_what_is_no_root_is_refused_with_its_place(change, said):
    with pytest.raises(EventError, match=said) as raised:
        take_roots(asked(**change))
    assert str(raised.value).startswith("event.trust.authorities[0].root_")


@pytest.mark.parametrize(
    "odd",
    [7, [], {}, {"trust": 7}, {"trust": {"authorities": 7}}, {"trust": {"authorities": [7]}}],
)
def test_what_is_no_definition_is_left_to_the_definition(odd):
    assert take_roots(odd) == (odd, {})


def test_a_root_is_read_from_what_openssl_writes():
    found = x509.load_der_x509_certificate(certificate("tsa-1"))
    assert read_root(found.public_bytes(Encoding.PEM)) == certificate("tsa-1")
    with pytest.raises(PemError):
        read_root(b"")
