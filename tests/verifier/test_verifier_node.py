"""The tests of the page's verifier that need no browser: they are Node's own; and that nothing lacks words."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamcount.cli import app

NODE = shutil.which("node")
HERE = Path(__file__).parent
FOLDER = resources.files("streamcount.verifier")


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name)
def test_in_node(path):
    ran = subprocess.run(
        [NODE, "--test", str(path)], capture_output=True, text=True, timeout=1200, check=False
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
def test_the_runner_answers_every_line(tmp_path):
    written = subprocess.run(
        [NODE, str(HERE / "samples.mjs"), str(tmp_path)],
        capture_output=True,
        timeout=300,
        check=True,
    )
    packs = json.loads(written.stdout)
    kept = Path(packs["kept"]).read_text("utf-8")
    asked = [
        {"pack": packs["attempt"]["path"], "key": packs["attempt"]["key"], "checkpoints": [kept]},
        {"pack": packs["spoilt"]["path"], "key": None, "checkpoints": []},
        {"pack": packs["damaged"]["path"]},
    ]
    ran = subprocess.run(
        [NODE, str(HERE / "run.mjs")],
        input="".join(json.dumps(one) + "\n" for one in asked),
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one["outcome"] for one in found] == ["holds", "does_not_hold", "unreadable"]
    assert found[0]["claim"]["value"] == packs["attempt"]["value"]
    assert found[1]["where"].startswith("count: entry 2")


def keys(name):
    return re.findall(r"^ {2,4}(\w+): \"", FOLDER.joinpath(name).read_text("utf-8"), re.MULTILINE)


def test_both_languages_say_the_same_things():
    english = keys("words-en.js")
    assert english == keys("words-ar.js")
    assert len(set(english)) == len(english)
    refusals = keys("refusals.js")
    assert refusals[: len(refusals) // 2] == refusals[len(refusals) // 2 :]


def test_every_refusal_and_every_word_is_there():
    parts = json.loads(FOLDER.joinpath("parts.json").read_text("utf-8"))
    text = "".join(
        FOLDER.joinpath(name).read_text("utf-8") for names in parts.values() for name in names
    )
    used = set(re.findall(r'\b(?:deny|unreadable)\("(\w+)"', text)) | {"unread", "internal"}
    used |= {
        code
        for pair in re.findall(r'deny\([^()]*(?:\([^()]*\))?[^()]*\? "(\w+)" : "(\w+)"', text)
        for code in pair
    }
    assert used == set(keys("refusals.js"))
    showing = "".join(FOLDER.joinpath(name).read_text("utf-8") for name in parts["showing"])
    said = set(re.findall(r'\bsay\("(\w+)"', showing)) | set(re.findall(r'"(unchecked_\w+)"', text))
    said |= set(re.findall(r'data-word="(\w+)"', FOLDER.joinpath("page.html").read_text("utf-8")))
    assert said <= set(keys("words-en.js"))


def test_the_command_writes_the_page_and_its_hash(tmp_path):
    to = tmp_path / "verify.html"
    ran = CliRunner().invoke(app, ["verifier", "-o", str(to), "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["sha256"] == hashlib.sha256(to.read_bytes()).hexdigest()
    refused = CliRunner().invoke(app, ["verifier", "-o", str(tmp_path)])
    assert refused.exit_code == 1


def test_every_part_is_in_the_page_and_has_one_subject():
    parts = json.loads(FOLDER.joinpath("parts.json").read_text("utf-8"))
    named = {name for names in parts.values() for name in names}
    there = {path.name: path for path in FOLDER.iterdir() if path.name.endswith(".js")}
    assert named == there.keys()
    for name, path in there.items():
        text = path.read_text("utf-8")
        assert text.startswith(f"// {name}: ")
        assert len(text.encode()) <= 16 << 10
        assert "</script" not in text
        assert "<!--" not in text
