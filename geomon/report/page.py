"""A report as one HTML page: opens offline, prints on A4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

from geomon.errors import UserError
from geomon.picture.legend import colour_of, kind_label
from geomon.picture.sheet import figure, sheet, table
from geomon.report.figures import CATEGORIES
from geomon.report.plots import MOST_PEOPLE, alarms_by_day, breaches_by_person, delays
from geomon.report.rows import by_kind
from geomon.report.summary import Report
from geomon.report.tables import Section, clock, notes, period, sections

__all__ = ["report_page", "write_page"]

TITLE = "Electronic monitoring: report 电子定位监管情况通报"
#: Open cases listed, gravest first: five sheets of them are read by nobody.
MOST_LISTED = 200
#: A cell up to this long is not broken: times, ids, numbers.
SHORT = 11


def write_page(report: Report, names: Mapping[str, str], path: Path) -> None:
    """Write a report's page; `names` are those of districts by adcode.

    Raises `UnavailableError` when matplotlib is missing, `UserError` when `path` cannot be written.
    """
    page = report_page(report, names)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def report_page(report: Report, names: Mapping[str, str]) -> str:
    """Give the page as text: the same report is the same page."""
    parts = {
        "period": escape(f"{period(report)} · {_log(report)}"),
        "tiles": "".join(_tiles(report)),
        "body": "".join(_body(report, names)),
        "notes": "".join(f"<li>{escape(note)}</li>" for note in notes(report)),
    }
    return sheet("geomon.report", TITLE, parts)


def _log(report: Report) -> str:
    if not report.alerts:
        return "no alerts read"
    return f"{report.alerts:,} alerts read, {clock(report.first_s)} to {clock(report.last_s)}"


def _tiles(report: Report) -> Iterator[str]:
    total = report.total
    for name, category in CATEGORIES.items():
        yield _tile(str(len(total.breaches[name])), f"{category.label_zh} {category.label_en}")
    rate = total.alarms_a_person_day
    yield _tile("-" if rate is None else f"{rate:.3g}", "人均日告警 alarms a person and day")
    share = total.missed_share
    yield _tile("-" if share is None else f"{share:.1%}", "未签到人员占比 with a missed check-in")
    yield _tile(f"{len(total.open_cases):,}", "未结 open at the end")


def _tile(value: str, label: str) -> str:
    return f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>"


def _body(report: Report, names: Mapping[str, str]) -> Iterator[str]:
    total = report.total
    people = breaches_by_person(report)
    kinds = [CATEGORIES[c].kind for c in CATEGORIES if total.breaches[c]]
    for section in sections(report, names, most=MOST_LISTED):
        yield _table(section)
        if section.title.startswith("People in breach"):
            title = "When they were in breach 违规时段 (▽ known 发现)"
            if total.breaching > MOST_PEOPLE:
                title += f", the first {MOST_PEOPLE}"
            yield _drawing(title, people, kinds)
        if section.title.startswith("Alarms by kind"):
            alarms = list(by_kind(total.alarms))
            yield _drawing("Alarms by day 每日告警", alarms_by_day(report), alarms)
            yield _drawing("Delay: median to 95th percentile 发现时延", delays(total), [])


def _drawing(title: str, svg: str, kinds: Iterable[str]) -> str:
    labels = ((kind, kind_label(kind)) for kind in kinds)
    return figure(title, svg, ((colour_of(kind), f"{zh} {en}") for kind, (en, zh) in labels))


def _table(section: Section) -> str:
    rows = (row.values() for row in section.rows)
    more = f'<p class="more">… and {section.left_out:,} more</p>' if section.left_out else ""
    return f"<h2>{escape(section.title)}</h2>{table(section.rows[0], rows, short=SHORT)}{more}"
