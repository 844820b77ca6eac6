"""How things look in a developer's terminal: tables, bars, the live view of a simulation; in English.

A verification, which others read too, is in `report.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from streamcount.cli.report import excluded_line, gap_line, when
from streamcount.cli.terminal import shown
from streamcount.words import catalogue

if TYPE_CHECKING:
    from streamcount.demo import Result
    from streamcount.simulate.run import Audience, Show
    from streamcount.simulate.told import Comparison

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
REHEARSAL: Final = f"{catalogue('en').say('rehearsal')} / {catalogue('ar').say('rehearsal')}"
_ROWS_SHOWN: Final = 12


def instant(tick: int | None, zone: str = "UTC") -> str:
    """Return a tick as a person reads it; the end of the tick is the instant counts speak of."""
    return "never" if tick is None else when(tick, zone, catalogue("en"))


def curve(values: Sequence[int], width: int) -> str:
    """Return a line of blocks that follows the values."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    tops = [max(values[i : i + step]) for i in range(0, len(values), step)]
    most = max(*tops, 1)
    return "".join(_BLOCKS[-(-top * (len(_BLOCKS) - 1) // most)] for top in tops)


# --- Events ---------------------------------------------------------------------------------------


def events_table(events: Sequence[dict[str, Any]]) -> Table:
    """Return a table of events."""
    table = Table("event", "kind", "stage", "peak", "reached", "title", box=box.SIMPLE)
    for event in events:
        if event["stage"] == "broken":
            broken = Text("broken", style="red")
            table.add_row(event["id"], "", broken, "", "", Text(shown(event["trouble"])))
            continue
        title = event["title"]["en"] or event["title"]["ar"]
        table.add_row(
            event["id"],
            event["kind"],
            event["stage"],
            f"{event['peak']:,}",
            instant(event["peak_tick"]) if event["peak_tick"] else "",
            Text(shown(title)),
        )
    return table


def event_panel(event: dict[str, Any], counts: dict[str, Any]) -> Panel:
    """Return all of one event."""
    zone = event["definition"]["timezone"]
    table = Table.grid(padding=(0, 2))
    rows = {
        "kind": event["kind"],
        "stage": event["stage"] + (" (uncertain)" if counts["uncertain"] else ""),
        "title": f"{event['title']['en']} {event['title']['ar']}".strip(),
        "confirmed peak": f"{counts['peak']:,}  {instant(counts['peak_tick'], zone)}",
        "proven now": f"{counts['proven']:,}",
        "live (unconfirmed)": f"{counts['live']:,}",
        "viewers ever": f"{counts['uniques']:,}",
        "excluded": excluded_line(counts, catalogue("en")),
        "window, interval": f"{event['window']} s, {event['interval']} s",
        "streams": ", ".join(s["id"] for s in event["definition"]["streams"][:10]),
        "claimed": platform_claim(event, counts),
        "claim": claim_line(counts),
        "counting": counting_line(counts),
        "rules": event["definition"]["rule_profile"]["id"],
        "platform": platform_line(counts, zone),
        "seen by others": witness_line(counts["witnessing"]),
        "origins": ", ".join(event["definition"]["policy"]["origins"][:10]) or "any",
        "log": f"{event['log_size']:,} entries, root {event['log_root'][:16]}...",
        "key": event["key"],
    }
    for name, value in ((name, value) for name, value in rows.items() if value):
        table.add_row(Text(name, style="dim"), Text(shown(value), overflow="fold"))
    for gap in counts["latest_gaps"]:
        table.add_row(Text("gap", style="yellow"), Text(gap_line(gap, zone, catalogue("en"))))
    if event["trouble"]:
        table.add_row(Text("trouble", style="red"), Text(shown(event["trouble"])))
    return Panel(table, title=event["id"], border_style="dim")


def claim_line(counts: dict[str, Any]) -> str:
    """Return what is claimed, once it is."""
    claim = counts["claim"]
    if claim is None:
        return ""
    value = "none" if claim["value"] is None else f"{claim['value']:,}"
    at = f" at {claim['instant']['local']}" if claim["instant"] else ""
    gross, net = claim["gross"]["peak"], claim["net"]["peak"]
    both = "" if claim["gross"] == claim["net"] else f"; gross {gross:,}, net {net:,}"
    rules = "as" if claim["profile"]["pass"] else "NOT as"
    again = f"; claim {claim['version']}, {claim['reason']}" if claim["reason"] else ""
    return f"{value}{at}{both}; {rules} its rules ask for{again}"


def counting_line(counts: dict[str, Any]) -> str:
    """Return how far a claim has been counted, while it is."""
    counting = counts["counting"]
    return "" if counting is None else f"{counting['done']:,} of {counting['all']:,} entries, again"


def witness_line(told: dict[str, Any]) -> str:
    """Return how much of the log others have seen, and what is wrong with whom; empty without others."""
    if not told["parties"]:
        return ""
    lines = [f"witnessed up to entry {told['witnessed']:,}, timed up to {told['timed']:,}"]
    for one in told["parties"]:
        wrong = f": {one['trouble']}" if one["trouble"] else ""
        lines.append(f"{one['kind']} {one['name']}, {one['seen']:,}{wrong}")
    return "; ".join(lines + ([told["trouble"]] if told["trouble"] else []))


def platform_claim(event: dict[str, Any], counts: dict[str, Any]) -> str:
    """Return which number is claimed, when there are two."""
    if counts["platform"] is None:
        return ""
    if event["definition"]["claimed_count"] == "platform":
        return "platform: its own count, not proven; ours stands beside it"
    return "proven: ours; the platform's own count stands beside it"


def platform_line(counts: dict[str, Any], zone: str) -> str:
    """Return what platforms told last, and their highest number."""
    platform = counts["platform"]
    if platform is None:
        return ""
    told, names = platform["so_far"], ", ".join(platform["names"])
    now = "no number" if platform["number"] is None else f"{platform['number']:,}"
    asked = platform["asked_ms"]
    line = f"{names}: {now}" + (f" {instant(asked // 1000, zone)}" if asked else ", not asked yet")
    if told["peak"] is not None:
        line += f"; highest {told['peak']:,} {instant(told['peak_ms'] // 1000, zone)}"
    line += f"; {told['samples']:,} samples, {told['failed']:,} failed, {told['absent']:,} absent"
    return line + (f"; {platform['trouble']}" if platform["trouble"] else "")


# --- While it runs --------------------------------------------------------------------------------


@contextlib.contextmanager
def bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar; yields what is told done and all."""
    with bar_of_phases(console) as tell:
        yield lambda done, everything: tell(what, done, everything)


@contextlib.contextmanager
def bar_of_phases(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each phase that is told of."""
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, everything: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=everything)
            progress.update(tasks[what], completed=done, total=everything)

        yield tell


@contextlib.contextmanager
def live_view(console: Console) -> Iterator[Show]:
    """Show a crowd and the service's counts as they change; a line now and then without a terminal."""
    last = ""
    with Live(console=console, refresh_per_second=8, transient=True) as live:

        def show(
            phase: str, counts: dict[str, Any], crowd: Audience | None, timeline: dict[str, Any]
        ) -> None:
            nonlocal last
            if console.is_terminal:
                live.update(_view(phase, counts, crowd, timeline, console.width))
            elif phase != last:
                last = phase
                console.print(f"{phase}: peak {counts['peak']}, live {counts['live']}")

        yield show


def _view(
    phase: str,
    counts: dict[str, Any],
    crowd: Audience | None,
    timeline: dict[str, Any],
    width: int,
) -> RenderableType:
    proven = [n for n in timeline["proven"] if n is not None]
    head = Text()
    head.append(f"{counts['peak']:,}", style="bold green")
    head.append("  confirmed peak", style="green")
    head.append(f"      live {counts['live']:,} (unconfirmed)", style="dim")
    if counts["uncertain"]:
        head.append("   UNCERTAIN", style="bold red")
    lines: list[RenderableType] = [
        head,
        Text(f"live    {curve(timeline['live'], width - 16)}", style="dim"),
        Text(f"proven  {curve(proven, width - 16)}", style="green"),
    ]
    if crowd is not None:
        figures = crowd.figures
        lines.append(
            Text(
                f"{figures.here:,} people on {figures.connections:,} connections, "
                f"{figures.acked:,} heartbeats acknowledged, {figures.reconnects:,} reconnects"
            )
        )
    return Panel(Group(*lines), title=phase, title_align="left", border_style="dim")


# --- Results --------------------------------------------------------------------------------------


def comparison_table(comparison: Comparison, crowd: Audience) -> Group:
    """Return told and counted, side by side."""
    table = Table("tick", "live told", "counted", "proven told", "counted", "", box=box.SIMPLE)
    for row in _interesting(comparison):
        mark = Text("=", style="green") if row.equal else Text("differs", style="bold red")
        numbers = (row.tick, row.told_live, row.counted_live, row.told_proven, row.counted_proven)
        table.add_row(*map(str, numbers), mark)
    different = len(comparison.different)
    ticks = len(comparison.rows)
    verdict = Text(f"{ticks} ticks, told and counted equal in every one", style="bold green")
    if different:
        verdict = Text(f"{different} of {ticks} ticks differ", style="bold red")
    figures = crowd.figures
    facts = (
        f"{figures.acked:,} heartbeats acknowledged, {figures.unanswered:,} without an answer, "
        f"{figures.late:,} late, {figures.reconnects:,} reconnects"
    )
    peaks = f"peak: told {comparison.told_peak:,}, counted {comparison.counted_peak:,}"
    return Group(table, verdict, Text(facts), Text(peaks, style="bold"))


def _interesting(comparison: Comparison) -> list[Any]:
    """Return rows that differ, or else some evenly spread ones with the peak among them."""
    if comparison.different:
        return comparison.different[:_ROWS_SHOWN]
    step = max(1, len(comparison.rows) // _ROWS_SHOWN)
    chosen = {row.tick for row in comparison.rows[::step]} | {comparison.told_peak_tick}
    return [row for row in comparison.rows if row.tick in chosen]


def demo_result(result: Result) -> Group:
    """Return what the demonstration came to, and what to try next."""
    findings = result.findings
    holds = findings.exit_code == 0
    told, peak = result.comparison.told_peak, findings.as_dict().get("peak")
    table = Table.grid(padding=(0, 2))
    counted = result.comparison.counted_peak
    table.add_row("told by acknowledgements", Text(f"{told:,}", style="bold"))
    table.add_row("counted by the service", Text(f"{counted:,}", style="bold"))
    recounted = "-" if peak is None else f"{peak:,}"
    table.add_row("recounted from the evidence", Text(recounted, style="bold"))
    verified = "holds, with the key and a checkpoint kept from outside"
    table.add_row(
        "verification",
        Text(verified, style="green") if holds else Text(shown(findings.wrong), style="red"),
    )
    again = f"streamcount verify {result.pack} --key '{result.key}'"
    return Group(
        comparison_table(result.comparison, result.crowd),
        Panel(table, title=f"{told:,} people at the same instant", border_style="green"),
        Text(f"evidence  {result.pack}    ({result.seconds:.0f} s in all)\n"),
        Text("Try next:", style="bold"),
        Text(f"  {again}", overflow="fold"),
        Text("  change one byte of the pack, and verify again"),
        Text("  streamcount serve        your own event, with a page and a console"),
    )
