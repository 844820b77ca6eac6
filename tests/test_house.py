"""The house's own rules, as far as a machine can see them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "streamcount"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom, folder by folder; every folder may import itself.
PURE = {"core", "tlog"}
ALLOWED = {
    "core": set(),
    "tlog": set(),
    "store": {"core", "tlog", "config"},
    "ingest": {"core", "tlog", "config"},
    # A claim and a sheet say in plain words what they mean.
    "notary": {"core", "tlog", "config", "words"},
    "evidence": {"core", "tlog", "config"},
    "report": {"core", "tlog", "config", "evidence", "words"},
    "operator": {"core", "tlog", "config"},
    # Probes are viewers like others.
    "follow": {"core", "tlog", "config", "embed"},
    "embed": {"core"},
    "simulate": {"core", "embed", "operator", "config"},
    "words": set(),
    # Written from the format's page alone: it shares nothing with the rest.
    "verifier": set(),
    "cli": None,
}
# Pure code has no clock, no chance, no input and no output.
IMPURE = {
    "asyncio", "socket", "os", "time", "random", "secrets", "datetime", "pathlib", "io", "threading",
    "subprocess", "logging", "redis", "aiohttp", "uvloop", "websockets", "uuid", "tempfile", "shutil",
}  # fmt: skip


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    folder = path.relative_to(PACKAGE).parts[0]
    if ALLOWED.get(folder) is None:
        return  # app, cli and what else puts parts together
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "streamcount":
            assert folder not in PURE or parts[0] not in IMPURE, f"{path}: {name} in pure code"
        elif len(parts) > 1:
            allowed = ALLOWED[folder] | {folder}
            assert parts[1] in allowed, f"{path}: {folder} must not import {name}"


def test_every_folder_has_its_rule():
    folders = {path.relative_to(PACKAGE).parts[0] for path in SOURCES if path.parent != PACKAGE}
    assert folders == ALLOWED.keys()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_has_one_subject(path):
    """Past 450 lines a file is asked what its second subject is; functions fit on a screen."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "cli" not in path.parts:
            doc = ast.get_docstring(node, clean=False) or ""
            assert node.end_lineno - node.lineno - doc.count("\n") <= 60, f"{path}: {node.name}"


def test_no_file_is_named_for_nothing():
    names = {part for path in SOURCES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not names & {"utils", "helpers", "manager", "base", "common", "misc"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "store").glob("*.lua")), ids=lambda path: path.name
)
def test_a_script_says_its_keys_and_arguments(path):
    head = path.read_text("utf-8").split("\n\nlocal")[0]
    assert head.startswith(f"-- {path.name}: ")
    if path.name not in {"fence.lua", "sealing.lua"}:
        assert "-- KEYS" in head
        assert "-- ARGV" in head


def test_a_script_touches_no_key_but_its_keys():
    """Every key in a call is one of KEYS, or an argument that was given one."""
    for path in (PACKAGE / "store").glob("*.lua"):
        for call in re.findall(r"redis\.call\(\s*'(\w+)',\s*([^,)]+)", path.read_text("utf-8")):
            command, first = call
            if command in {"INFO", "TIME"}:
                continue
            if command == "BITOP":
                assert first == "'OR'"
                continue
            assert re.match(r"KEYS\[|key$|members_key|journal_key", first.strip()), (
                path.name,
                call,
            )


def test_every_setting_has_a_unit_or_is_none_of_time_and_size():
    text = (PACKAGE / "config.py").read_text("utf-8")
    for name, kind in re.findall(r"^    (\w+): (Seconds|Bytes) =", text, re.MULTILINE):
        assert name.endswith("_s" if kind == "Seconds" else "_bytes_max") or name == "bytes_max", (
            name
        )


_HOSTS = [
    ("files", "pythonhosted", "org"), ("pypi", "org/simple"), ("registry", "npmjs", "org"), ("deb", "debian", "org"),
]  # fmt: skip


def test_no_registry_or_machine_is_named():
    hosts = [".".join(parts) for parts in _HOSTS]
    found = []
    folders = [f for f in ROOT.iterdir() if not f.name.startswith(".") or f.name == ".ci"]
    for path in (p for f in folders for p in (f.rglob("*") if f.is_dir() else [f])):
        if path.is_file():
            try:
                text = path.read_text("utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            if any(host in text for host in hosts):
                found.append(path)
    assert found == []
