"""The curve of an event as a picture: proven filled, live pale behind it, gaps shaded, the peak marked.

An SVG of shapes only. What is written beside it is text of the page, which is shaped and checked for
glyphs like all other text, so the labels come along as places: fractions of the picture's width and
height. Time runs from left to right in both languages, as on a clock's recorder. A column of the picture
may stand for many ticks; it shows the highest count of them, so that no peak is drawn lower than it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1_000
HEIGHT: Final = 250
COLUMNS_MAX: Final = 800
GAPS_DRAWN_MAX: Final = 2_000
_LABELS_MAX: Final = 8
_STEPS_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
_PROVEN: Final = "#0b6b53"
_LIVE: Final = "#c9d3df"
_SHADES: Final = {"loss": "#f3c98b", "clock": "#e7a6a1", "lag": "#e3e3e3"}
_MARK: Final = "#a3341f"


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of the ticks from `first` on; proven ones of those that are final, live ones of all."""

    first: int
    live: Sequence[int]
    proven: Sequence[int]


@dataclass(frozen=True, slots=True)
class Shaded:
    """A run of ticks in gaps of a kind: loss, clock or lag."""

    kind: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place: the fraction of the picture from its left, or from its top."""

    at: float
    value: int


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG, and what is to be written beside it: Unix seconds below it, counts at its left."""

    svg: str
    seconds: tuple[Label, ...]
    counts: tuple[Label, ...]
    step_s: int
    peak: Label | None


def picture(
    counts: Counts,
    gaps: Iterable[Shaded],
    *,
    peak: tuple[int, int] | None,
    target: int | None,
    offset_s: Callable[[int], int],
) -> Picture:
    """Draw counts of consecutive ticks.

    `peak`: its count and its first tick. `offset_s`: a place's offset from UTC at a second, so that round
    times there get the labels.
    """
    first, live, proven = counts.first, counts.live, counts.proven
    ticks = len(live)
    top = _top(max([*live, *proven, target or 0, peak[0] if peak else 0, 1]))
    across, up = _scale(WIDTH / ticks), _scale(-HEIGHT / top)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    shapes = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    for gap in [*gaps][:GAPS_DRAWN_MAX]:
        begin, end = max(gap.first - first, 0), min(gap.last + 1 - first, ticks)
        if begin < end:
            wide = max(float(across(end - begin)), 1)
            place = f'x="{across(begin)}" y="0" width="{wide:.2f}" height="{HEIGHT}"'
            shapes.append(f'<rect {place} fill="{_SHADES[gap.kind]}"/>')
    levels = _levels(top)
    shapes += [_line((0, at * HEIGHT), (WIDTH, at * HEIGHT), "#dddddd", 1) for at, _ in levels]
    shapes.append(_area(live, ticks, across, up, _LIVE, 1))
    shapes.append(_area(proven, ticks, across, up, _PROVEN, 0.85))
    if target is not None:
        y = HEIGHT * (1 - target / top)
        shapes.append(_line((0, y), (WIDTH, y), _MARK, 2, "8 6"))
    mark = None
    if peak is not None:
        x = (peak[1] - first + 0.5) * WIDTH / ticks
        y = HEIGHT * (1 - peak[0] / top)
        shapes.append(_line((x, y), (x, HEIGHT), _MARK, 1.5))
        shapes.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="6" fill="{_MARK}"/>')
        mark = Label(x / WIDTH, peak[1] + 1)
    shapes.append(_line((0, HEIGHT), (WIDTH, HEIGHT), "#444444", 2) + "</svg>")
    step, seconds = _seconds(first, ticks, offset_s)
    return Picture("".join(shapes), seconds, tuple(Label(*one) for one in levels), step, mark)


def _scale(factor: float) -> Callable[[float], str]:
    base = HEIGHT if factor < 0 else 0
    return lambda value: f"{base + value * factor:.2f}"


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, wide: float, dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{start[0]:.2f}" y1="{start[1]:.2f}" x2="{end[0]:.2f}" y2="{end[1]:.2f}" '
        f'stroke="{colour}" stroke-width="{wide}"{dashed}/>'
    )


def _area(
    counts: Sequence[int],
    ticks: int,
    across: Callable[[float], str],
    up: Callable[[float], str],
    colour: str,
    opacity: float,
) -> str:
    """Return the area below counts, in steps; each column as high as its highest tick."""
    if not counts:
        return ""
    width = -(-ticks // COLUMNS_MAX)
    path = [f"M0 {HEIGHT}"]
    for start in range(0, len(counts), width):
        end = min(start + width, len(counts))
        path.append(f"V{up(max(counts[start:end]))}H{across(end)}")
    return f'<path d="{"".join(path)}V{HEIGHT}Z" fill="{colour}" fill-opacity="{opacity}"/>'


def _top(highest: int) -> int:
    """Return the count at the picture's top: a round one, a little above the highest."""
    step = _count_step(highest)
    return -(-highest * 21 // 20 // step) * step if highest > 4 else highest + 1


def _count_step(highest: int) -> int:
    """Return the distance of the lines across: 1, 2 or 5 times a power of ten, for 3 to 6 of them."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if highest <= 5 * factor * power:
                return factor * power
        power *= 10


def _levels(top: int) -> list[tuple[float, int]]:
    return [(1 - count / top, count) for count in range(0, top + 1, _count_step(top))]


def _seconds(
    first: int, ticks: int, offset_s: Callable[[int], int]
) -> tuple[int, tuple[Label, ...]]:
    """Return how far apart the round times are that get a label, and these."""
    step = next((s for s in _STEPS_S if ticks / s <= _LABELS_MAX), 0)
    if not step:
        days = -(-ticks // (_LABELS_MAX * 86_400))
        step = days * 86_400
    there = first + offset_s(first)
    start = first + -there % step
    return step, tuple(
        Label((second - first) / ticks, second) for second in range(start, first + ticks, step)
    )
