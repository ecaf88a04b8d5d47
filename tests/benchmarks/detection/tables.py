"""What the bench found, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from math import isinf, isnan
from typing import Any

from .design import CLAIMS
from .noise import KINDS
from .runs import Row
from .scores import Score
from .standing import standing
from .summary import Figures, Limit, by_detector, figures, grouped, limits_of

__all__ = ["STANDARD", "as_row", "overall", "pages"]

STANDARD = "geomon"
#: Share of departures that a plan should find.
_ENOUGH = 0.95

Cells = Sequence[Any]


def pages(rows: Sequence[Row], standard: str) -> Iterator[str]:
    """Give the report: sections for each part that was run, without `overall`.

    `standard` is the setting of geomon that counts as its own, such as "6.5 nats".
    """
    parts = grouped(rows, lambda row: row.cell.part)
    stay, departure = parts.get("stay", []), parts.get("departure", [])
    if stay:
        yield from _by(stay, "kind of error", lambda r: r.cell.kind, _rate, "who stay", KINDS)
        yield from _by(stay, "home inside, m", lambda r: r.cell.home_m, _rate, "who stay")
        yield from _by(stay, "fix every, s", lambda r: r.cell.interval_s, _rate, "who stay")
    if departure:
        for what, of in (
            ("kind of error", lambda r: r.cell.kind),
            ("fix every, s", lambda r: r.cell.interval_s),
            ("speed, m/s", lambda r: r.cell.speed_mps),
            ("angle, degrees", lambda r: r.cell.angle_deg),
            ("home inside, m", lambda r: r.cell.home_m),
        ):
            yield from _by(departure, what, of, _delay, "who leave")
    yield from _people(parts)
    yield from _told(parts)
    if "limits" in parts:
        yield from _limits(parts["limits"], standard)
    if "sensitivity" in parts:
        yield from _sensitivity(parts["sensitivity"])


def overall(rows: Sequence[Row], standard: str) -> Iterator[str]:
    """Give the design as a whole: nothing unless both halves of it were run."""
    parts = grouped(rows, lambda row: row.cell.part)
    if "stay" not in parts or "departure" not in parts:
        return
    rows = [*parts["stay"], *parts["departure"]]
    yield "### All cells of the design"
    yield ""
    found = by_detector(rows)
    yield from _table(
        (
            "detector",
            "false alarms a person-year",
            "missed, %",
            "delay: median, min",
            "p95, min",
            "repeats",
            "false alarms a departure",
            "true at one departure a person-year, %",
        ),
        (
            (
                f.detector,
                _short(f.false_a_year),
                _short(100 * f.share_missed),
                _minutes(f.median_s),
                _minutes(f.p95_s),
                f.repeats,
                _short(f.false_a_departure),
                _short(100 * f.share_true),
            )
            for f in found
        ),
    )
    years = found[0].years
    yield (
        f"{found[0].absences:,} departures ({found[0].unseen:,} unseen), {years:,.1f} years. "
        "A rate is the mean over kinds of error and homes; what is missed has an endless delay."
    )
    yield ""
    yield from _wins(rows, standard)


def _wins(rows: Sequence[Row], standard: str) -> Iterator[str]:
    """Say by kind of error where geomon wins and where it loses."""
    yield "### Where it wins and where it loses"
    yield ""
    yield (
        "Beaten: another detector has no more false alarms, misses no more and is no slower in "
        "the median, and is better in one of these."
    )
    yield ""
    lines = []
    groups = {"all": list(rows), **grouped(rows, lambda row: row.cell.kind)}
    for kind, group in groups.items():
        found = by_detector(group)
        ours = [f for f in found if f.name == STANDARD]
        others = [f for f in found if f.name != STANDARD]
        own = next((f for f in ours if f.setting == standard), None)
        if own is None:
            continue
        stands = standing([f.point for f in ours], [f.point for f in others], own.point)
        beaten = f"{len(stands.beaten)} of {len(others)}"
        left = ", ".join([*stands.ahead, *(f"{name} (equalled)" for name in stands.equalled)])
        lines.append((kind, beaten, left, ", ".join(stands.beaten_by)))
    yield from _table(
        (
            "kind of error",
            "baselines beaten by some setting of geomon",
            "not beaten",
            f"geomon at {standard} is beaten by",
        ),
        lines,
    )


def _by(
    rows: Sequence[Row],
    what: str,
    of: Callable[[Row], Any],
    show: Callable[[Figures], str],
    whom: str,
    order: Sequence[Any] = (),
) -> Iterator[str]:
    levels = grouped(rows, of)
    columns = [level for level in order or sorted(levels) if level in levels]
    unit = "false alarms a person-year" if show is _rate else "median delay, min (missed, %)"
    yield f"### Of people {whom}: {unit}, by {what}"
    yield ""
    detectors = grouped(rows, lambda r: (r.name, r.setting))
    yield from _table(
        (what, *map(str, columns)),
        (
            (
                f"{name} {setting}".strip(),
                *(
                    show(figures(cells[level])) if level in cells else ""
                    for cells in [grouped(group, of)]
                    for level in columns
                ),
            )
            for (name, setting), group in detectors.items()
        ),
    )


def _people(parts: dict[str, list[Row]]) -> Iterator[str]:
    """Give the years of residents by the line and of people deep inside."""
    if "resident" in parts:
        yield "### A year 50 m inside, a fix of 30 m every 10 minutes: false alarms a person-year"
        yield ""
        yield from _by_kind(parts["resident"])
    if "deep" in parts:
        found = by_detector(parts["deep"])
        yield (
            f"### {found[0].years:,.1f} years of people living 500 m to 5 km inside, ordinary life"
        )
        yield ""
        yield from _table(
            ("detector", "false alarms", "a person-year"),
            ((f.detector, f.false, _short(f.false_a_year)) for f in found),
        )
        years = found[0].years
        yield f"By chance none in {years:,.1f} years would still allow {3 / years:.2f} a year,"
        yield f"and one {4.7 / years:.2f} (95 % confidence)."
        yield ""


def _by_kind(rows: Sequence[Row]) -> Iterator[str]:
    detectors = grouped(rows, lambda r: (r.name, r.setting))
    kinds = [kind for kind in KINDS if any(row.cell.kind == kind for row in rows)]
    yield from _table(
        ("detector", *kinds),
        (
            (
                f"{name} {setting}".strip(),
                *(_rate(figures(row for row in group if row.cell.kind == kind)) for kind in kinds),
            )
            for (name, setting), group in detectors.items()
        ),
    )


def _told(parts: dict[str, list[Row]]) -> Iterator[str]:
    """Give short absences, to be found, and wild fixes, not to be believed."""
    if "short" in parts:
        yield "### Out for 24 minutes, 230 m deep, a fix every 15 s"
        yield ""
        yield from _table(
            ("detector", "found", "median delay, min"),
            (
                (
                    f.detector,
                    f"{f.absences - f.missed - f.unseen} of {f.absences}",
                    _minutes(f.median_s),
                )
                for f in by_detector(parts["short"])
            ),
        )
    if "wild" in parts:
        yield "### One fix 3 km out between two good ones, a fix every 15 s"
        yield ""
        detectors = grouped(parts["wild"], lambda r: (r.name, r.setting))
        yield from _table(
            ("detector", "believed"),
            (
                (
                    f"{name} {setting}".strip(),
                    f"{sum(row.score.false > 0 for row in group)} of {len(group)}",
                )
                for (name, setting), group in detectors.items()
            ),
        )


def _limits(rows: Sequence[Row], standard: str) -> Iterator[str]:
    """Give what a reporting interval allows, whatever the detector."""
    limits = limits_of(rows)
    lengths = list(limits[0].found)
    yield "### What a reporting interval allows"
    yield ""
    yield (
        "Ordinary life, home 500 m inside, 10 m/s at 60 degrees. Found: share of departures of "
        "this length; the rest was missed, or nothing was reported while they were out (unseen)."
    )
    yield ""
    yield from _table(
        (
            "a fix every",
            f"delay at {standard}: median, min",
            "p95, min",
            "first fix outside: median, min",
            *(f"out {_every(int(s))}: found, %" for s in lengths),
        ),
        (
            (
                _every(limit.every_s),
                _minutes(limit.own.median_s),
                _minutes(limit.own.p95_s),
                _minutes(limit.first.median_s),
                *(
                    f"{100 * limit.found[s]:.0f} ({limit.unseen[s]} unseen)"
                    if limit.unseen[s]
                    else f"{100 * limit.found[s]:.0f}"
                    for s in lengths
                ),
            )
            for limit in limits
        ),
    )
    yield from _advice(limits)


def _advice(limits: Sequence[Limit]) -> Iterator[str]:
    """Say in words what the table shows: the longest interval up to which all are good enough."""
    for out_s in limits[0].found:
        every_s = _longest((li.every_s, li.found[out_s] >= _ENOUGH) for li in limits)
        plan = f"a fix every {_every(every_s)} or oftener" if every_s else "none of these plans"
        yield f"- {100 * _ENOUGH:.0f} of 100 absences of {_every(int(out_s))} are found by {plan}."
    for within_s in (300, 900, 1800):
        every_s = _longest((li.every_s, li.own.median_s <= within_s) for li in limits)
        if every_s:
            yield (
                f"- Half of the departures are told within {within_s // 60} minutes with a fix "
                f"every {_every(every_s)} or oftener."
            )
    yield ""


def _longest(intervals: Iterable[tuple[int, bool]]) -> int:
    """Give the last of the first intervals that are good enough; 0 when the first is not."""
    good = list(takewhile(lambda interval: interval[1], intervals))
    return good[-1][0] if good else 0


def _sensitivity(rows: Sequence[Row]) -> Iterator[str]:
    """Compare meanings of the claimed accuracy, on the same cases."""
    yield "### When the accuracy is not what it should be"
    yield ""
    yield (
        "False alarms a person-year / missed, % / median delay, min. Only geomon and the accuracy "
        "circle look at the accuracy."
    )
    yield ""
    lines = []
    for (name, setting), group in grouped(rows, lambda r: (r.name, r.setting)).items():
        if name not in {STANDARD, "accuracy circle"}:
            continue
        cells = [f"{name} {setting}".strip()]
        for claims in CLAIMS:
            f = figures(row for row in group if row.claims == claims)
            cells.append(
                f"{_short(f.false_a_year)} / {_short(100 * f.share_missed)} / "
                f"{_minutes(f.median_s)}"
            )
        lines.append(cells)
    yield from _table(("accuracy", *CLAIMS), lines)


def _rate(f: Figures) -> str:
    return _short(f.false_a_year)


def _delay(f: Figures) -> str:
    return f"{_minutes(f.median_s)} ({_short(100 * f.share_missed)})"


def _minutes(seconds: float) -> str:
    if isnan(seconds):
        return ""
    return "never" if isinf(seconds) else f"{seconds / 60:.1f}"


def _short(value: float) -> str:
    if isnan(value):
        return ""
    return f"{value:.2f}" if 0 < value < 10 else f"{value:,.0f}"


def _every(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _table(head: Cells, lines: Iterable[Cells]) -> Iterator[str]:
    yield _line(head)
    yield _line("---" for _ in head)
    for cells in lines:
        yield _line(cells)
    yield ""


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def as_row(score: Score) -> dict[str, Any]:
    """Give a score as plain values, its delays as whole seconds."""
    return {
        "days": score.days,
        "absences": score.absences,
        "true": score.true,
        "repeats": score.repeats,
        "false": score.false,
        "withdrawn": score.withdrawn,
        "missed": score.missed,
        "unseen": score.unseen,
        "delays_s": [round(s) for s in score.delays_s],
    }
