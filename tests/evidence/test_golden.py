"""The golden pack of every version of the format verifies, for ever, to the numbers it had when it was made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from streamcount.evidence.verify import verify
from tests.evidence.test_second import NODE, SECOND

VECTORS = Path(__file__).parents[1] / "vectors"
PACKS = sorted(VECTORS.glob("*.zip"))


@pytest.fixture(params=PACKS, ids=lambda pack: pack.stem)
def golden(request):
    told = json.loads(request.param.with_suffix(".json").read_text("utf-8"))
    return request.param, told


def test_there_is_one():
    assert "v1" in {pack.stem for pack in PACKS}


def test_a_golden_pack_verifies_to_the_same_numbers(golden):
    pack, told = golden
    kept = [told["checkpoint"].encode()]
    found = verify(pack, key=told["key"], checkpoints=kept).as_dict()
    # What is found may be told in more words later; what was found then has to be found now.
    assert {name: found.get(name) for name in told["findings"]} == told["findings"]
    assert found["holds"]
    assert found["levels"] == ["L1", "L2", "L3"]
    assert (found["claim"]["version"], found["claim"]["gross"]["peak"] > found["claim"]["net"]["peak"]) == (2, True)  # fmt: skip


def test_its_sheet_gives_the_key(golden):
    pack, told = golden
    sheet = pack.with_suffix(".sheet.txt").read_bytes()
    found = verify(pack, sheet=sheet).as_dict()
    assert (found["holds"], found["key"], found["key_from_outside"]) == (True, told["key"], True)


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
def test_the_pages_verifier_finds_the_same(golden):
    pack, told = golden
    asked = {"pack": str(pack), "key": told["key"], "checkpoints": [told["checkpoint"]]}
    done = subprocess.run(
        [NODE, "--no-warnings", SECOND], input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=300
    )  # fmt: skip
    found = json.loads(done.stdout)
    claim = told["findings"]["claim"]
    assert (found["outcome"], found["levels"]) == ("holds", ["L1", "L2"])
    assert {name: found["claim"][name] for name in claim} == claim
