"""`streamcount parquet`: a pack as Parquet files; `streamcount export --format parquet` uses it, too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamcount.cli.show import bar, bar_of_phases
from streamcount.cli.terminal import err, fail, load_settings, out
from streamcount.config import PackLimits, ParquetLimits
from streamcount.evidence.pack import ContentError, PackError, PackReader
from streamcount.evidence.verify import verify
from streamcount.notary.reading import ArchiveReader


def parquet_command(
    pack: Annotated[Path, typer.Argument(help="The pack, a ZIP file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to make.")],
    key: Annotated[
        str | None,
        typer.Option(help="The log's key as agreed beforehand, to verify the pack with."),
    ] = None,
) -> None:
    """Write an evidence pack as Parquet files, for SQL; it is verified first, and must hold."""
    from streamcount.evidence import parquet

    limits = load_settings(PackLimits)
    with bar_of_phases(err) as progress:
        findings = verify(pack, key=key, limits=limits, progress=progress)
    if findings.fault is not None:
        fail(
            f"{pack} does not hold, so nothing is made of it: {findings.fault}", findings.exit_code
        )
    try:
        with pack.open("rb") as file, bar(err, "writing") as progress:
            frames = parquet.pack_frames(PackReader(file, limits), findings.size)
            parquet.write(
                frames,
                output,
                body_bytes_max=limits.body_bytes_max,
                limits=load_settings(ParquetLimits),
                progress=lambda done: progress(done, findings.size),
            )
    except (parquet.ParquetError, PackError, ContentError, OSError) as error:
        fail(error)
    out.print(f"{findings.stage} evidence written as Parquet to {output}")


def export_parquet(log: ArchiveReader, folder: Path) -> None:
    """Write an event's log as Parquet files into a new folder."""
    from streamcount.evidence import parquet

    size = log.refresh().size
    with bar(err, "writing") as progress:
        try:
            parquet.write(
                ((frame.entry, frame.stored) for frame in log.frames(0, size)),
                folder,
                body_bytes_max=load_settings(PackLimits).body_bytes_max,
                limits=load_settings(ParquetLimits),
                progress=lambda done: progress(done, size),
            )
        except parquet.ParquetError as error:
            fail(error)
