"""evidence/parquet: the statement that docs/parquet.md prints counts what we count, from the Parquet files alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from streamcount.cli import app
from streamcount.config import PackLimits, ParquetLimits
from streamcount.core import entries
from streamcount.core.entries import ExcludeEntry, GapEntry, TickEntry
from streamcount.core.presence import proven_ticks, tally
from streamcount.evidence import parquet
from streamcount.evidence.bundle import export
from streamcount.evidence.columns import SCHEMAS
from streamcount.notary.reading import ArchiveReader
from tests.evidence.forging import Forger, Made, make
from tests.evidence.logs import FIRST, Author, definition, name_of
from tests.recount import Recounted

STATEMENT = re.search(
    r"^```sql\n(.*?)^```$",
    (Path(__file__).parents[2] / "docs" / "parquet.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)[1]


def frames(made):
    found = Forger(made)
    return list(zip(found.entries, found.stored, strict=True))


def write(made, folder, rows_max=2**20):
    parquet.write(
        frames(made),
        folder,
        body_bytes_max=PackLimits().body_bytes_max,
        limits=ParquetLimits(row_group_rows_max=rows_max),
        progress=lambda _done: None,
    )
    return folder


def asked(folder):
    """What the page's statement answers: for each way its curve, its peak and the peak's tick."""
    with duckdb.connect() as database:
        database.execute("SET file_search_path = ?", [str(folder)])
        answer = database.execute(STATEMENT).fetchall()
    curves, peaks = {}, {}
    for way, tick, proven, _, peak, peak_tick in answer:
        curves.setdefault(way, {})[tick] = proven
        assert peaks.setdefault(way, (peak, peak_tick)) == (peak, peak_tick)
    return curves, peaks


def by_definition(made):
    """The same by the definition, over sets; for `logged` from the tick entries, which verifying has held to it."""
    found = Recounted(made.path)
    log = [entries.decode(data) for data, _ in frames(made)]
    window = log[0].event.window
    ticks = [one for one in log if isinstance(one, TickEntry)]
    excluded = {name for one in log if isinstance(one, ExcludeEntry) for name in one.pseudonyms}
    clock = {
        tick
        for one in log
        if isinstance(one, GapEntry) and one.kind == "clock"
        for tick in range(one.first, one.last + 1)
    }
    final = range(ticks[0].tick, ticks[-1].tick - window + 1)
    logged = {one.tick - window: one.proven for one in ticks}
    curves = {"logged": {tick: logged[tick] for tick in final}}
    for way, out in (("gross", set()), ("net", excluded)):
        lives = [
            proven_ticks(found.presence.get(name, set()), found.breaks.get(name, set()), window)
            for name in found.names
            if name.hex() not in out
        ]
        curves[way] = dict(zip(final, tally(lives, final), strict=True))
    peaks = {}
    for way, curve in curves.items():
        able = {tick: count for tick, count in curve.items() if tick not in clock}
        peak = max(able.values(), default=0)
        peaks[way] = (
            peak,
            min((t for t, n in able.items() if n == peak), default=None) if peak else None,
        )
    return curves, peaks


@pytest.mark.parametrize(
    "options",
    [
        {"streams": 3, "excludes": 0.2, "seed": 2},
        {"streams": 70, "seed": 3, "excludes": 0.5, "people": 20},
        {"final": False, "seed": 5},
        {"ticks": 70, "people": 300, "seed": 6, "streams": 2, "window": 7, "interval": 1},
        {"seed": 8, "asks": 0.3, "streams": 3, "excludes": 0.1},
    ],
)
def test_the_pages_statement_counts_what_we_count(tmp_path, options):
    made = make(tmp_path, **options)
    findings = made.verify()
    assert findings.wrong is None
    curves, peaks = asked(write(made, tmp_path / "tables"))
    assert (curves, peaks) == by_definition(made)
    assert all(curves[way] for way in ("logged", "gross", "net"))
    peak = findings.course.peak
    assert peaks["logged"] == (peak.count, peak.first)
    for row in pq.read_table(tmp_path / "tables" / "claim.parquet").to_pylist():
        claim = json.loads(row["claim"])
        for way in ("gross", "net"):
            assert peaks[way] == (claim[way]["peak"], claim[way]["peak_first"])
    if options.get("excludes"):
        assert curves["gross"] != curves["net"] != curves["logged"] != curves["gross"]


def test_a_clock_gap_over_the_highest_count_is_no_peak(tmp_path):
    author = Author(tmp_path / "lesson", definition())
    author.open()
    author.tick(range(4), new=[0] * 4)
    author.tick([0, 1])
    author.append((GapEntry("clock", "step", FIRST, FIRST + 1), b""))
    for _ in range(4):
        author.tick([0, 1, 2], broke=[3])
    author.tick([0, 1, 3])
    author.finish()
    author.done()
    reader = ArchiveReader(tmp_path / "lesson")
    export(reader, tmp_path / "pack.zip")
    made = Made(tmp_path / "pack.zip", reader.signer, reader.signed)
    curves, peaks = asked(write(made, tmp_path / "tables"))
    assert (curves, peaks) == by_definition(made)
    assert (max(curves["gross"].values()), peaks["gross"]) == (3, (3, FIRST + 2))


def test_an_event_with_nobody_has_no_peak(tmp_path):
    made = make(tmp_path, people=0, ticks=3)
    curves, peaks = asked(write(made, tmp_path / "tables"))
    assert set(curves["logged"].values()) == {0}
    assert set(peaks.values()) == {(0, None)}


def test_the_files_hold_what_the_log_holds(tmp_path):
    made = make(tmp_path, streams=3, excludes=0.3, seed=2)
    folder = write(made, tmp_path / "tables")
    rows = {name: pq.read_table(folder / f"{name}.parquet").to_pylist() for name in SCHEMAS}
    log = [entries.decode(data) for data, _ in frames(made)]
    ticks = [one for one in log if isinstance(one, TickEntry)]
    assert [row["tick"] for row in rows["ticks"]] == [one.tick for one in ticks]
    for name in ("present", "breaks", "live", "viewers", "new", "moves", "heartbeats", "muted"):
        assert [row[name] for row in rows["ticks"]] == [getattr(one, name) for one in ticks]
    window = log[0].event.window
    later = [one.proven for one in ticks[window:]] + [None] * window
    assert [row["proven"] for row in rows["ticks"]] == later
    assert len(rows["presence"]) == sum(one.present for one in ticks)
    assert len(rows["breaks"]) == sum(one.breaks for one in ticks)
    viewers = range(ticks[-1].viewers)
    assert [(row["viewer"], row["pseudonym"]) for row in rows["viewers"]] == [
        (number, name_of(number).hex()) for number in viewers
    ]
    # The stream of each presence: counted by stream, they are the live viewers of the first tick.
    first = [row["stream"] for row in rows["presence"] if row["tick"] == ticks[0].tick]
    assert tuple(map(first.count, range(3))) == ticks[0].streams
    named = {row["pseudonym"]: row["viewer"] for row in rows["exclusions"]}
    assert named == {
        name: next((n for n in viewers if name_of(n).hex() == name), None)
        for one in log
        if isinstance(one, ExcludeEntry)
        for name in one.pseudonyms
    }
    assert [row["kind"] for row in rows["gaps"]] == ["loss", "clock"]
    (event,) = rows["event"]
    assert (event["event"], event["window_ticks"], event["origin"]) == (
        "lesson",
        window,
        log[0].origin,
    )
    assert json.loads(event["definition"])["id"] == "lesson"
    (claim,) = rows["claim"]
    assert (claim["entry"], json.loads(claim["claim"])["type"]) == (len(log) - 1, "claim")


def test_row_groups_are_bounded_and_change_nothing(tmp_path):
    made = make(tmp_path, streams=3, excludes=0.2, seed=2)
    small, large = write(made, tmp_path / "small", 50), write(made, tmp_path / "large")
    for name in SCHEMAS:
        found = pq.ParquetFile(small / f"{name}.parquet")
        groups = [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)]
        assert max(groups, default=0) <= 50
        assert found.read().equals(pq.read_table(large / f"{name}.parquet"))
    assert pq.ParquetFile(small / "presence.parquet").num_row_groups > 10


def test_a_log_that_is_none_makes_no_folder(tmp_path):
    made = make(tmp_path, seed=2)
    broken = [(data, b"\xff" if stored else b"") for data, stored in frames(made)]
    for given in (broken, [(b"{}", b"")], frames(made)[3:]):
        with pytest.raises(parquet.ParquetError):
            parquet.write(
                given,
                tmp_path / "tables",
                body_bytes_max=2**20,
                limits=ParquetLimits(),
                progress=lambda _done: None,
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lesson", "pack.zip"]


# --- The commands ---


def test_the_commands_make_the_same_of_a_pack_and_of_its_event(tmp_path):
    data = tmp_path / "data"
    (data / "events").mkdir(parents=True)
    made = make(data / "events", streams=2, excludes=0.2, seed=4)
    one, other = tmp_path / "one", tmp_path / "other"
    run = CliRunner().invoke
    done = run(app, ["parquet", str(made.path), "--key", made.key, "-o", str(one)])
    assert (done.exit_code, "final evidence written" in done.stdout) == (0, True), done.output
    asks = ["export", "lesson", "--format", "parquet", "--data", str(data), "-o", str(other)]
    done = run(app, asks)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in one.iterdir()) == sorted(
        f"{name}.parquet" for name in SCHEMAS
    )
    for path in one.iterdir():
        assert pq.read_table(path).equals(pq.read_table(other / path.name))
    again = run(app, ["parquet", str(made.path), "-o", str(one)])
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


def test_nothing_is_made_of_a_pack_that_does_not_hold(tmp_path):
    made = make(tmp_path, seed=4)
    forger = Forger(made)
    number = next(n for n, stored in enumerate(forger.stored) if stored)
    forger.change(number, live=99)
    done = CliRunner().invoke(
        app, ["parquet", str(forger.write(tmp_path)), "-o", str(tmp_path / "tables")]
    )
    assert (done.exit_code, "does not hold" in done.stderr) == (1, True)
    assert not (tmp_path / "tables").exists()
