"""`streamcount demo` and `streamcount simulate`: real viewers, none of them people."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcount.cli.show import comparison_table, demo_result, live_view
from streamcount.cli.terminal import DataOption, JsonOption, err, fail, load_settings, out, run
from streamcount.config import Settings
from streamcount.core.event import ActRefusedError

# A crowd is spread over this many processes at most.
PROCESSES_MAX = 8


def demo(
    viewers: Annotated[int, typer.Option(help="How many watch together.", min=1)] = 2135,
    seed: Annotated[int, typer.Option(help="Another seed, another crowd.")] = 2135,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pack.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Count a crowd of real websocket viewers, close, and verify the evidence: the whole job, at once."""
    from streamcount.demo import demonstrate
    from streamcount.limits import TooFewFilesError, require_open_files
    from streamcount.simulate.plan import Shape
    from streamcount.supervise import ServiceError

    logging.basicConfig(level="ERROR")
    ramp_s = max(15.0, viewers / 150)
    shape = Shape(viewers, ramp_s=ramp_s, seed=seed)
    settings = load_settings(Settings)
    if not os.access(output, os.W_OK | os.X_OK):
        fail(
            f"--output {output}: the pack could not be written there: make it a folder one can write to"
        )
    try:
        processes = require_open_files(shape.connections, f"a crowd of {viewers}", PROCESSES_MAX)
        with live_view(err) as show:
            result = run(demonstrate(shape, output, settings, show, processes))
    except (TooFewFilesError, ServiceError, ActRefusedError, OSError) as error:
        fail(error)
    if as_json:
        print(json.dumps(demo_dict(result)))
    else:
        out.print(demo_result(result))
    equal = not result.comparison.different and result.findings.exit_code == 0
    raise typer.Exit(0 if equal else 1)


def write_acks(path: Path, crowd: Any) -> None:
    """Write what was acknowledged to whom: ticks with a presence, ticks with a break."""
    try:
        with path.open("w", encoding="utf-8") as file:
            for viewer, told in crowd.told.items():
                line = {
                    "viewer": viewer,
                    "presence": sorted(told.presence),
                    "breaks": sorted(told.breaks),
                }
                file.write(json.dumps(line) + "\n")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}")


def demo_dict(result: Any) -> dict[str, Any]:
    """Return a demonstration's result as plain values."""
    comparison, crowd = result.comparison, result.crowd
    return {
        "pack": str(result.pack),
        "key": result.key,
        "told_peak": comparison.told_peak,
        "counted_peak": comparison.counted_peak,
        "verified_peak": result.findings.as_dict().get("peak"),
        "ticks": len(comparison.rows),
        "different_ticks": [row.tick for row in comparison.different],
        "acknowledged": crowd.figures.acked,
        "unanswered": crowd.figures.unanswered,
        "holds": result.findings.exit_code == 0,
        "seconds": round(result.seconds, 1),
    }


def simulate(  # noqa: PLR0913, PLR0917 (options)
    event_id: Annotated[str, typer.Argument(metavar="EVENT")],
    viewers: Annotated[int, typer.Option(help="How many watch together.", min=1)] = 200,
    ramp: Annotated[float, typer.Option(help="Seconds in which they join.", min=1)] = 20,
    mix: Annotated[float, typer.Option(help="Seconds of coming and going.", min=0)] = 20,
    together: Annotated[float, typer.Option(help="Seconds in which all watch.", min=1)] = 60,
    leave: Annotated[float, typer.Option(help="Seconds in which they leave.", min=1)] = 10,
    churn: Annotated[
        float, typer.Option(help="Share that comes and leaves early.", min=0, max=10)
    ] = 0.1,
    tabs: Annotated[float, typer.Option(help="Share with a second tab.", min=0, max=1)] = 0.05,
    pauses: Annotated[float, typer.Option(help="Share that pauses.", min=0, max=1)] = 0.1,
    reconnects: Annotated[
        float, typer.Option(help="Share that loses the connection.", min=0, max=1)
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Another seed, another crowd.")] = 1,
    acks: Annotated[
        Path | None, typer.Option(help="Write every ack here, a JSON line a viewer.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a crowd of real websocket viewers to an open event, and check the count against their acks.

    Every acknowledgement is kept; from these alone follows what live and proven must have been in every
    tick, and that is printed beside what the service says. Events of kind attempt are refused.
    """
    from streamcount.limits import TooFewFilesError, require_open_files
    from streamcount.simulate.plan import Shape
    from streamcount.simulate.run import simulate_on

    shape = Shape(
        viewers, ramp_s=ramp, mix_s=mix, together_s=together, leave_s=leave, churn=churn, tabs=tabs,
        pauses=pauses, reconnects=reconnects, seed=seed,
    )  # fmt: skip
    try:
        processes = require_open_files(shape.connections, f"a crowd of {viewers}", PROCESSES_MAX)
    except TooFewFilesError as error:
        fail(error)
    if acks is not None and not os.access(acks if acks.exists() else acks.parent, os.W_OK):
        fail(f"--acks {acks}: cannot be written")
    folder = load_settings(Settings, data=data).data
    with live_view(err) as show:
        comparison, crowd = run(simulate_on(folder, event_id, shape, show, processes))
    if as_json:
        rows = [
            [r.tick, r.told_live, r.counted_live, r.told_proven, r.counted_proven]
            for r in comparison.rows
        ]
        print(
            json.dumps(
                {
                    "columns": [
                        "tick",
                        "told_live",
                        "counted_live",
                        "told_proven",
                        "counted_proven",
                    ],
                    "rows": rows,
                    "different": len(comparison.different),
                    "told_peak": comparison.told_peak,
                    "counted_peak": comparison.counted_peak,
                    "acknowledged": crowd.figures.acked,
                    "unanswered": crowd.figures.unanswered,
                }
            )
        )
    else:
        out.print(comparison_table(comparison, crowd))
    if acks is not None:
        write_acks(acks, crowd)
    raise typer.Exit(1 if comparison.different else 0)
