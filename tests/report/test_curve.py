"""report/curve: no peak is drawn lower than it was, and labels stand at round times of the place."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

from streamcount.report.curve import COLUMNS_MAX, HEIGHT, WIDTH, Counts, Shaded, picture

SVG = "{http://www.w3.org/2000/svg}"


def draw(live, proven, gaps=(), peak=None, target=None, first=0, offset=0):
    return picture(
        Counts(first, live, proven), gaps, peak=peak, target=target, offset_s=lambda _: offset
    )


def lowest_y(path):
    return min(float(y) for y in re.findall(r"V([\d.]+)", path))


def test_a_peak_of_one_tick_in_a_day_is_drawn_as_high_as_it_is():
    proven = [10] * 86_400
    proven[50_001] = 1_000
    drawn = draw([10] * 86_400, proven, peak=(1_000, 50_001))
    paths = [one.get("d") for one in ET.fromstring(drawn.svg).iter(f"{SVG}path")]
    assert len(paths[1]) < 40 * COLUMNS_MAX
    circle = ET.fromstring(drawn.svg).find(f"{SVG}circle")
    assert abs(lowest_y(paths[1]) - float(circle.get("cy"))) < 0.01
    assert abs(float(circle.get("cx")) - WIDTH * 50_001.5 / 86_400) < 0.01


def test_counts_at_the_left_are_round_and_reach_above_the_highest():
    for highest in (0, 1, 3, 7, 99, 2_138, 999_999, 12_345_678):
        drawn = draw([highest], [highest])
        counts = [one.value for one in drawn.counts]
        assert counts[0] == 0
        assert 2 <= len(counts) <= 8
        assert len({b - a for a, b in itertools.pairwise(counts)}) == 1
        path = next(one.get("d") for one in ET.fromstring(drawn.svg).iter(f"{SVG}path"))
        assert lowest_y(path) >= 0


def test_times_below_are_round_at_the_place():
    drawn = draw([1] * 3_600, [], first=1_795_176_123, offset=5 * 3_600 + 1_800)
    assert drawn.step_s == 600
    assert all((one.value + 19_800) % 600 == 0 for one in drawn.seconds)
    assert all(0 <= one.at < 1 for one in drawn.seconds)
    for ticks in (1, 5, 100, 90_000, 10**7):
        assert len(draw([1] * min(ticks, 10**5), []).seconds) <= 9


def test_gaps_are_shaded_where_they_are_and_never_outside():
    gaps = [Shaded("loss", 110, 119), Shaded("clock", 0, 2**53), Shaded("lag", 10, 20)]
    drawn = draw([5] * 100, [5] * 90, gaps, first=100)
    rects = [
        (float(one.get("x")), float(one.get("width")))
        for one in ET.fromstring(drawn.svg).iter(f"{SVG}rect")
    ]
    assert rects == [(WIDTH * 0.1, WIDTH * 0.1), (0, WIDTH)]


def test_a_target_is_inside_the_picture():
    drawn = draw([10], [10], target=5_000)
    line = next(
        one for one in ET.fromstring(drawn.svg).iter(f"{SVG}line") if one.get("stroke-dasharray")
    )
    assert 0 < float(line.get("y1")) < HEIGHT
