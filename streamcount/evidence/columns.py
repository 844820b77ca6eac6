"""The columns of an event's Parquet files, and writers that hold no more than one row group of each.

docs/parquet.md describes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from streamcount.config import ParquetLimits

SCHEMAS: Final = {
    "event": {
        "event": pa.string(), "kind": pa.string(), "title_en": pa.string(), "title_ar": pa.string(),
        "origin": pa.string(), "key": pa.string(), "window_ticks": pa.int32(), "interval_s": pa.int32(),
        "first_tick": pa.int64(), "close_tick": pa.int64(), "definition": pa.string(),
    },
    "ticks": {
        "tick": pa.int64(), "epoch": pa.int64(), "viewers": pa.int64(), "new": pa.int64(),
        "moves": pa.int64(), "present": pa.int64(), "breaks": pa.int64(), "live": pa.int64(),
        "proven": pa.int64(), "heartbeats": pa.int64(), "muted": pa.int64(), "hidden": pa.int64(),
        "late": pa.int64(),
    },
    "presence": {"tick": pa.int64(), "viewer": pa.uint32(), "stream": pa.uint16()},
    "breaks": {"tick": pa.int64(), "viewer": pa.uint32()},
    "viewers": {
        "viewer": pa.uint32(), "pseudonym": pa.string(), "stream": pa.uint16(), "tick": pa.int64(),
    },
    "gaps": {
        "entry": pa.int64(), "kind": pa.string(), "reason": pa.string(), "first_tick": pa.int64(),
        "last_tick": pa.int64(),
    },
    "exclusions": {
        "entry": pa.int64(), "from_tick": pa.int64(), "pseudonym": pa.string(), "viewer": pa.uint32(),
        "reason": pa.string(),
    },
    "claim": {"entry": pa.int64(), "claim": pa.string()},
}  # fmt: skip
# Columns that are worth a dictionary; viewers ascend within a tick, so their differences are small.
_REPEATED: Final = {"tick", "stream", "kind", "reason", "epoch"}
_ENCODINGS: Final = {"viewer": "DELTA_BINARY_PACKED"}
# So many pieces make a row group however few their rows are: each weighs something, and texts may be long.
_PIECES_MAX: Final = 1024

Columns = Mapping[str, npt.NDArray[Any] | list[Any]]


class Tables:
    """One file for each of SCHEMAS, in a folder; rows are kept until there are enough for a row group."""

    def __init__(self, folder: Path, limits: ParquetLimits) -> None:
        self._rows_max = limits.row_group_rows_max
        self._waiting: dict[str, list[Any]] = {name: [] for name in SCHEMAS}
        self._rows = dict.fromkeys(SCHEMAS, 0)
        self._files: dict[str, Any] = {}
        self._open = ExitStack()
        for name, columns in SCHEMAS.items():
            schema = pa.schema(list(columns.items()))
            repeated = [column for column in columns if column in _REPEATED]
            self._files[name] = self._open.enter_context(
                pq.ParquetWriter(
                    folder / f"{name}.parquet",
                    schema,
                    compression="zstd",
                    use_dictionary=repeated,
                    column_encoding={c: e for c, e in _ENCODINGS.items() if c in columns} or None,
                )
            )

    def add(self, name: str, columns: Columns) -> None:
        """Add rows to a table, given as columns of one length."""
        schema = self._files[name].schema
        arrays = [pa.array(columns[field.name], field.type) for field in schema]
        waiting = self._waiting[name]
        waiting.append(pa.table(arrays, schema=schema))
        self._rows[name] += len(arrays[0])
        if self._rows[name] >= self._rows_max or len(waiting) >= _PIECES_MAX:
            self._write(name)

    def close(self, *, whole: bool) -> None:
        """Write what is waiting, if the tables are whole, and close the files."""
        with self._open:
            for name in SCHEMAS if whole else ():
                self._write(name)

    def _write(self, name: str) -> None:
        if self._waiting[name]:
            table = pa.concat_tables(self._waiting[name])
            self._files[name].write_table(table, row_group_size=self._rows_max)
            self._waiting[name], self._rows[name] = [], 0
