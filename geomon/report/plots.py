"""The drawings of a report, as SVG that stands inside a page.

Drawn by matplotlib (extra `demo`) on a figure of its own: no display, no global state of pyplot.
Text stays text: the browser has Chinese fonts where this machine may have none. So matplotlib
cannot measure Chinese, and nothing is laid out by measured text: margins are counted in characters,
and legends are the page's.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.cells import cell_len

from geomon.core.plans import local_day
from geomon.errors import UnavailableError
from geomon.picture.legend import colour_of, kind_label
from geomon.report.figures import CATEGORIES, Breach, Figures
from geomon.report.register import DAY_S
from geomon.report.rows import by_kind
from geomon.report.summary import UTC_OFFSET_S, Report
from geomon.report.tables import LOCAL

__all__ = ["MOST_PEOPLE", "alarms_by_day", "breaches_by_person", "delays"]

#: An A4 page between its margins.
WIDTH_IN = 7.1
INK, SOFT, GRID = "#1d2733", "#5d6975", "#e3e7eb"
#: Rows of the timeline: more of them are no picture any more; the table lists them all.
MOST_PEOPLE = 40

_DELAY_TICKS = {
    1: "1 s",
    10: "10 s",
    60: "1 min",
    600: "10 min",
    3600: "1 h",
    6 * 3600: "6 h",
    DAY_S: "1 day",
    7 * DAY_S: "1 week",
    30 * DAY_S: "30 days",
}
#: Names that every drawing gives its parts anew: on one page they would stand several times.
_NUMBERED = re.compile(r'<(g|path) id="[^"]*_[0-9]+"')


def alarms_by_day(report: Report) -> str:
    """Draw alarms by local day, one colour a kind; "" when there was none."""
    figures = report.total
    if not figures.alarms:
        return ""
    first = local_day(report.from_s, UTC_OFFSET_S)
    days = list(range(first, local_day(report.until_s - 1, UTC_OFFSET_S) + 1))
    with _figure("alarms", 2.2) as (figure, svg):
        axes = _axes(figure, left_in=0.5, height_in=2.2)
        base = [0] * len(days)
        for kind in by_kind(figures.alarms):
            counts = [figures.by_day[day][kind] if day in figures.by_day else 0 for day in days]
            axes.bar(days, counts, bottom=base, width=0.86, color=colour_of(kind), linewidth=0)
            base = [below + count for below, count in zip(base, counts, strict=True)]
        axes.set_xlim(first - 0.6, days[-1] + 0.6)
        step = -(-len(days) // 12)
        axes.set_xticks(days[::step], [_date(day) for day in days[::step]])
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
    return svg.getvalue()


def delays(figures: Figures) -> str:
    """Draw the delay of each kind: a dot at the median, a line to the 95th percentile."""
    kinds = list(by_kind(figures.alarms))
    if not kinds:
        return ""
    labels = [f"{kind_label(kind)[1]} {kind}".strip() for kind in kinds]
    height_in = 0.45 + 0.24 * len(kinds)
    with _figure("delays", height_in) as (figure, svg):
        axes = _axes(figure, left_in=_width_in(labels), height_in=height_in)
        longest_s = 1.0
        for row, kind in enumerate(kinds):
            delay = figures.delay(kind)
            assert delay is not None  # noqa: S101
            # A logarithm has no zero: what was told within a second stands at a second.
            ends_s = [max(1.0, delay.median_s), max(1.0, delay.p95_s)]
            longest_s = max(longest_s, *ends_s)
            colour = colour_of(kind)
            axes.plot(ends_s, [row, row], color=colour, linewidth=3, solid_capstyle="butt")
            axes.plot(ends_s[0], row, "o", color=colour, markersize=6)
            axes.plot(ends_s[1], row, "|", color=colour, markersize=9, markeredgewidth=2)
        axes.set_xscale("log")
        axes.set_xlim(0.8, max(longest_s * 1.6, 100))
        ticks = [tick for tick in _DELAY_TICKS if tick <= axes.get_xlim()[1]]
        axes.set_xticks(ticks, [_DELAY_TICKS[tick] for tick in ticks])
        axes.set_xticks([], minor=True)
        _rows(axes, labels)
    return svg.getvalue()


def breaches_by_person(report: Report) -> str:
    """Draw when each person was in breach, within the period; "" when nobody was."""
    found = [breach for breaches in report.total.breaches.values() for breach in breaches]
    found = sorted(found, key=lambda breach: breach.since_s)[:MOST_PEOPLE]
    if not found:
        return ""
    labels = [breach.supervisee_id for breach in found]
    height_in = 0.45 + 0.2 * len(found)
    with _figure("breaches", height_in) as (figure, svg):
        axes = _axes(figure, left_in=_width_in(labels), height_in=height_in)
        for row, breach in enumerate(found):
            for one in (breach, *breach.further):
                _bar(axes, row, one, report)
        axes.set_xlim(report.from_s, report.until_s)
        _days(axes, report)
        _rows(axes, labels)
    return svg.getvalue()


def _bar(axes: Any, row: int, breach: Breach, report: Report) -> None:
    colour = colour_of(CATEGORIES[breach.category].kind)
    begin_s = max(breach.since_s, report.from_s)
    end_s = min(report.until_s if breach.until_s is None else breach.until_s, report.until_s)
    # An hour of a month is no width: it must be seen all the same.
    least_s = (report.until_s - report.from_s) / 200
    axes.barh(row, max(end_s - begin_s, least_s), left=begin_s, height=0.6, color=colour)
    if report.from_s <= breach.detected_s < report.until_s:
        axes.plot(breach.detected_s, row, "v", color="white", markersize=5, markeredgecolor=INK)


def _days(axes: Any, report: Report) -> None:
    """Put ticks at local midnights, at most about twelve of them."""
    first = local_day(report.from_s - 1, UTC_OFFSET_S) + 1
    days = range(first, local_day(report.until_s - 1, UTC_OFFSET_S) + 1)
    chosen = days[:: -(-len(days) // 12) or 1]
    axes.set_xticks([day * DAY_S - UTC_OFFSET_S for day in chosen], [_date(d) for d in chosen])


def _rows(axes: Any, labels: Sequence[str]) -> None:
    """Label rows from the top down."""
    # A dollar sign would begin a formula.
    axes.set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="x", color=GRID, linewidth=0.7)


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_S - UTC_OFFSET_S, LOCAL):%m-%d}"


def _width_in(labels: Sequence[str]) -> float:
    """Room for the widest label: cells of 8 points, half as wide as high."""
    return 0.2 + min(2.6, 0.068 * max(map(cell_len, labels)))


def _axes(figure: Any, *, left_in: float, height_in: float) -> Any:
    left, bottom = left_in / WIDTH_IN, 0.28 / height_in
    axes = figure.add_axes((left, bottom, 0.99 - left, 0.98 - bottom))
    axes.tick_params(length=0, labelsize=8, colors=SOFT)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


@contextmanager
def _figure(name: str, height_in: float) -> Iterator[tuple[Any, io.StringIO]]:
    """Give an empty figure, and the SVG that it has become when the block is over.

    Raises `UnavailableError` when matplotlib is missing.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(f"{error.name} is missing: pip install 'geomon[demo]'") from None
    svg = io.StringIO()
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    # The salt makes the same report the same page, byte for byte, and parts of two drawings differ.
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans"}
    try:
        with rc_context(style), warnings.catch_warnings():
            # It misses glyphs that it need not draw.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="none")
            canvas: Any = FigureCanvasSVG(figure)
            yield figure, svg
            written = io.StringIO()
            canvas.print_svg(written, metadata={"Date": None, "Creator": None})
    finally:
        log.setLevel(level)
    text = written.getvalue()
    # Inside a page there is no prologue.
    svg.write(_NUMBERED.sub(r"<\1", text[text.index("<svg") :]))
