"""The project's own files: generated ones are up to date, and what the image runs exists."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from dashboards import overview
from streamcount import __version__

ROOT = Path(__file__).parents[1]


def test_the_dashboard_is_the_one_its_code_writes():
    assert overview.OUT.read_text("utf-8") == overview.build(), "run make dashboards"


def test_every_dependency_has_its_reason_and_is_locked_with_hashes():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    for name in ("server", "dev"):
        locked = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        assert "http" not in re.sub(r"\baiohttp\b|geventhttpclient", "", locked)
        pins = set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))
        for wanted in [
            *project["dependencies"],
            *extras["server"],
            *(extras["dev"] + extras["parquet"] + extras["report"] if name == "dev" else []),
        ]:
            package = re.match(r"[A-Za-z0-9_-]+", wanted)[0].lower().replace("_", "-")
            assert package in pins | {"streamcount"}, f"{package}: run make lock"
        blocks = re.split(r"^(?=[a-z0-9-]+==)", locked, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
    for line in text.splitlines():
        if re.match(r'  "[a-z-]+(\[\w+\])?>=', line):
            assert "#" in line, f"no reason beside {line.strip()}"


def test_the_players_of_the_tests_are_pinned_by_their_hashes():
    folder = ROOT / "tests" / "browser" / "players"
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    assert locked.pop("")["devDependencies"] == wanted
    assert all(locked[f"node_modules/{name}"]["version"] == wanted[name] for name in wanted)
    assert all(one["integrity"].startswith("sha512-") for one in locked.values())
    assert not any("resolved" in one for one in locked.values())  # npm knows where from
    pages = "".join(p.read_text("utf-8") for p in (ROOT / "docs" / "players").glob("*.md"))
    for name, version in wanted.items():
        assert f"`{name}` (tested: {version})" in pages


def test_the_changelog_begins_with_this_version():
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## (\S+)", log, re.MULTILINE)[1] == __version__


def test_the_project_never_names_what_is_beside_it():
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "streamcount").rglob("*.py"),
    ]:
        assert not re.search(
            r"\.\./shared|design\.md|house-style|evidence-formats\.md|field\.md",
            path.read_text("utf-8"),
        ), path


def test_files_that_pages_name_exist():
    for page in ("ARCHITECTURE.md", "README.md", "docs/protocol.md"):
        text = (ROOT / page).read_text("utf-8")
        for name in re.findall(
            r"`((?:streamcount|docs|tests|loadtests|dashboards)/[\w./-]+)`", text
        ):
            assert (ROOT / name).exists(), f"{page}: {name}"
