"""What pages load from the public port, and nothing else of the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamcount.app import PublicFiles

PACKAGE = Path(__file__).parents[1] / "streamcount"


@pytest.fixture
def files(tmp_path):
    return PublicFiles(tmp_path)


def test_the_embed_and_its_examples_are_served(files):
    assert files.page("streamcount.js") == (
        (PACKAGE / "embed" / "streamcount.js").read_bytes(),
        "text/javascript",
    )
    assert files.page("examples/watch.html")[1] == "text/html"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_catalogue_is_served(files, language):
    data, kind = files.page(f"words/{language}.json")
    assert kind == "application/json"
    assert "confirmed_peak" in json.loads(data)
    script, kind = files.page(f"words/{language}.js")
    before, _, words = script.decode().partition(" = ")
    assert (before, kind) == ("window.streamcountWords", "text/javascript")
    assert json.loads(words.rstrip(";\n")) == json.loads(data)


@pytest.mark.parametrize(
    "path", ["client.py", "embed/client.py", "__init__.py", "examples/../client.py", "words/", ""]
)
def test_nothing_else_of_the_package_is_served(files, path):
    assert files.page(path) is None
