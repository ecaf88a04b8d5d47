"""The drawings of a dossier: SVG made here, so that a page needs no plotting library.

Two of them. `overview`: the whole period from left to right, a lane each for where the person was,
permits, orders, contact, check-ins, papers of a moment, and each kind of episode. `days`: a row a
day, midnight to midnight, by where the person was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby

from geomon.alerts import KINDS
from geomon.core.plans import local_day
from geomon.dossier.entries import (
    CheckInEntry,
    ContactDay,
    Dossier,
    EpisodeEntry,
    Order,
    PermitChange,
    Stretch,
)
from geomon.dossier.wording import Wording
from geomon.picture.legend import STANDINGS, colour_of

__all__ = ["CHECK_IN_COLOURS", "MOST_DAYS", "WHERE_COLOURS", "days", "overview"]

#: Rows of `days`: more are no picture any more. The newest are drawn.
MOST_DAYS = 62

_BLUE, _GREY, _GREEN, _RED = (standing.colour for standing in STANDINGS)
WHERE_COLOURS = {"inside": _BLUE, "leave": _GREEN, "outside": _RED, "unknown": "#d9dee3"}
CHECK_IN_COLOURS = {"kept": _GREEN, "late": "#e0a100", "missed": _RED, "open": _GREY}
_PERMIT, _STANDING, _ORDER = _GREEN, "#7cc4ad", "#0b7285"

# Of the drawing, in its own units: a page scales it to its width.
_WIDTH, _LEFT, _RIGHT = 720.0, 118.0, 6.0
_LANE, _BAR = 20.0, 11.0
_DAY_ROW, _DAY_BAR = 9.0, 7.0
_DAY_S = 86_400


class _Axis:
    """Time from left to right."""

    def __init__(self, from_s: int, until_s: int) -> None:
        self.from_s, self.until_s = from_s, max(until_s, from_s + 1)
        self._scale = (_WIDTH - _LEFT - _RIGHT) / (self.until_s - from_s)

    def x(self, time_s: int) -> float:
        return _LEFT + (min(max(time_s, self.from_s), self.until_s) - self.from_s) * self._scale

    def touches(self, from_s: int, until_s: int) -> bool:
        return from_s < self.until_s and until_s > self.from_s


def overview(dossier: Dossier, words: Wording, utc_offset_s: int) -> str:
    """Draw the whole period; each bar says what it is when pointed at."""
    axis = _Axis(dossier.from_s or dossier.person.time_s, dossier.end_s)
    lanes = list(_lanes(dossier, words, axis))
    height = 22 + _LANE * len(lanes)
    parts = [*_ticks(axis, words, utc_offset_s, height)]
    for at, (label, shapes) in enumerate(lanes):
        top = 22 + _LANE * at
        parts.append(_text(_LEFT - 6, top + _LANE / 2 + 3.5, label, anchor="end"))
        parts.append(f'<g transform="translate(0 {top + (_LANE - _BAR) / 2:.1f})">')
        parts += [*shapes, "</g>"]
    return _svg(height, parts, "timeline 时间线")


def days(dossier: Dossier, words: Wording, utc_offset_s: int) -> str:
    """Draw where the person was, a row a day; "" when nothing is known of it."""
    stretches = [e for e in dossier.sections["presence"] if isinstance(e, Stretch)]
    if not stretches:
        return ""
    begin_s = max(dossier.from_s, stretches[0].time_s)
    last = local_day(dossier.end_s - 1, utc_offset_s)
    first = max(local_day(begin_s, utc_offset_s), last - MOST_DAYS + 1)
    height = 16 + _DAY_ROW * (last - first + 1) + 2
    parts = []
    for hour in range(0, 25, 3):
        x = _Axis(0, 24).x(hour)
        parts.append(_line(x, 13, x, height))
        parts.append(_text(x, 9, f"{hour:02}", anchor="middle"))
    for day in range(first, last + 1):
        midnight_s = day * _DAY_S - utc_offset_s
        axis = _Axis(midnight_s, midnight_s + _DAY_S)
        top = 16 + _DAY_ROW * (day - first)
        parts.append(_text(_LEFT - 6, top + _DAY_BAR - 0.5, words.day(midnight_s), anchor="end"))
        parts.append(f'<g transform="translate(0 {top:.1f})">')
        parts += [_where(s, words, axis, _DAY_BAR) for s in stretches if _is_on(s, axis)]
        parts.append("</g>")
    return _svg(height, parts, "days 逐日")


def _lanes(dossier: Dossier, words: Wording, axis: _Axis) -> Iterator[tuple[str, list[str]]]:
    sections = dossier.sections
    stretches = [e for e in sections["presence"] if isinstance(e, Stretch) and _is_on(e, axis)]
    if stretches:
        yield "位置 where", [_where(s, words, axis, _BAR) for s in stretches]
    for section, label, colour in (
        ("leave", "外出 leaves", _PERMIT),
        ("standing_permit", "经常性 standing", _STANDING),
    ):
        permits = [e for e in sections[section] if isinstance(e, PermitChange)]
        if permits:
            yield label, list(_permits(permits, words, axis, colour))
    orders = [e for e in sections["authorisation"] if isinstance(e, Order)]
    if orders:
        yield "电子定位 order", list(_orders(orders, words, axis))
    contact = [e for e in sections["contact"] if isinstance(e, ContactDay)]
    if any(e.uploads for e in contact):
        yield "上报 uploads", list(_uploads(contact, words, axis))
    check_ins = [e for e in sections["check_in"] if isinstance(e, CheckInEntry)]
    if check_ins:
        yield "签到 check-ins", list(_check_ins(check_ins, words, axis))
    yield from _moments(dossier, words, axis)
    episodes = [e for e in sections["episode"] if isinstance(e, EpisodeEntry)]
    order = list(KINDS)
    episodes.sort(key=lambda e: (order.index(e.kind) if e.kind in order else 99, e.time_s))
    for kind, group in groupby(episodes, key=lambda e: e.kind):
        label = KINDS[kind].label_zh if kind in KINDS else kind
        yield label, [_episode(e, words, axis, dossier.end_s) for e in group]


def _where(stretch: Stretch, words: Wording, axis: _Axis, height: float) -> str:
    where = "leave" if stretch.permit_id else stretch.where
    said = f"{words.label('where', where)} {words.span(stretch.time_s, stretch.until_s)}"
    if stretch.places:
        said += f" {words.places(stretch.places)}"
    return _bar(axis, stretch.time_s, stretch.until_s, WHERE_COLOURS[where], said, height)


def _is_on(stretch: Stretch, axis: _Axis) -> bool:
    return axis.touches(stretch.time_s, stretch.until_s)


def _permits(
    permits: list[PermitChange], words: Wording, axis: _Axis, colour: str
) -> Iterator[str]:
    newest = {e.permit_id: e for e in permits}
    ended = {e.permit_id: e.time_s for e in permits if e.change in {"cancelled", "returned"}}
    for permit_id, e in newest.items():
        until_s = min(e.until_s, max(ended.get(permit_id, e.until_s), e.from_s))
        said = f"{permit_id} {words.span(e.from_s, until_s)} {words.places(e.destinations)}"
        if axis.touches(e.from_s, until_s):
            yield _bar(axis, e.from_s, until_s, colour, said)


def _orders(orders: list[Order], words: Wording, axis: _Axis) -> Iterator[str]:
    newest = {e.authorisation_id: e for e in orders}
    for name, e in newest.items():
        until_s = min(e.until_s, max(e.time_s, e.from_s)) if e.change == "cancelled" else e.until_s
        if axis.touches(e.from_s, until_s):
            said = f"{name} {words.span(e.from_s, until_s)}"
            yield _bar(axis, e.from_s, until_s, _ORDER, said)


def _uploads(contact: list[ContactDay], words: Wording, axis: _Axis) -> Iterator[str]:
    most = max(e.uploads for e in contact)
    for e in contact:
        if e.uploads and axis.touches(e.time_s, e.until_s):
            height = max(_BAR * e.uploads / most, 0.8)
            said = f"{words.day(e.time_s)}: {e.uploads:,} uploads 上报, {e.fixes:,} positions 定位"
            x, width = axis.x(e.time_s), axis.x(e.until_s) - axis.x(e.time_s)
            yield _rect(x, _BAR - height, max(width - 0.4, 0.5), height, "#7d8b99", said)


def _check_ins(check_ins: list[CheckInEntry], words: Wording, axis: _Axis) -> Iterator[str]:
    # Those that were not kept on top: among a thousand they must be seen.
    for e in sorted(check_ins, key=lambda e: e.state != "kept"):
        if e.state in CHECK_IN_COLOURS and axis.touches(e.time_s, e.until_s):
            said = f"{words.label('state', e.state)} {words.span(e.time_s, e.until_s)}"
            yield _bar(axis, e.time_s, e.until_s, CHECK_IN_COLOURS[e.state], said, least=1.4)


def _moments(dossier: Dossier, words: Wording, axis: _Axis) -> Iterator[tuple[str, list[str]]]:
    shapes = []
    for section, colour in (("sanction", "#7a1f1f"), ("disposal", "#1d2733")):
        for e in dossier.sections[section]:
            if axis.from_s <= e.time_s <= axis.until_s:
                what = getattr(e, "kind", "") or "disposed"
                label = words.label("action" if section == "sanction" else "reason", what)
                shapes.append(_diamond(axis.x(e.time_s), colour, f"{label} {words.time(e.time_s)}"))
    if shapes:
        yield "处分处置 measures", shapes


def _episode(e: EpisodeEntry, words: Wording, axis: _Axis, end_s: int) -> str:
    until_s = e.until_s or end_s
    said = (
        f"{words.label('kind', e.kind)} {words.span(e.time_s, e.until_s)} "
        f"{words.label('state', e.state)}: {words.label('reason', e.reason)}"
    )
    colour = colour_of(e.kind)
    # What stays on a moment does not mean that something lasted.
    if e.kind == "missed_check_in":
        return _diamond(axis.x(e.time_s), colour, said)
    faint = e.state in {"withdrawn", "excused"}
    return _bar(axis, e.time_s, until_s, colour, said, least=1.6, faint=faint)


def _ticks(axis: _Axis, words: Wording, utc_offset_s: int, height: float) -> Iterator[str]:
    first, last = (local_day(t, utc_offset_s) for t in (axis.from_s, axis.until_s))
    step = next((s for s in (1, 2, 7, 14, 28, 91) if (last - first) / s <= 10), 364)
    for day in range(first, last + 1, step):
        time_s = day * _DAY_S - utc_offset_s
        if time_s >= axis.from_s:
            x = axis.x(time_s)
            yield _line(x, 16, x, height)
            yield _text(x, 11, words.day(time_s)[2:], anchor="middle")


def _bar(
    axis: _Axis,
    from_s: int,
    until_s: int,
    colour: str,
    said: str,
    height: float = _BAR,
    *,
    least: float = 0.6,
    faint: bool = False,
) -> str:
    x = axis.x(from_s)
    width = max(axis.x(until_s) - x, least)
    return _rect(x, 0, width, height, colour, said, faint=faint)


def _rect(
    x: float,
    y: float,
    width: float,
    height: float,
    colour: str,
    said: str,
    *,
    faint: bool = False,
) -> str:
    opacity = ' fill-opacity=".35"' if faint else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{colour}"{opacity}><title>{escape(said)}</title></rect>'
    )


def _diamond(x: float, colour: str, said: str) -> str:
    half = _BAR / 2
    return (
        f'<path d="M{x:.1f} 0l{half:.1f} {half:.1f}l-{half:.1f} {half:.1f}'
        f'l-{half:.1f} -{half:.1f}z" fill="{colour}"><title>{escape(said)}</title></path>'
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#dfe4e8" stroke-width=".6"/>'


def _text(x: float, y: float, text: str, *, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="9" fill="#5d6975">'
        f"{escape(text)}</text>"
    )


def _svg(height: float, parts: Iterable[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
