"""A report as rows, one a group and the total last: for JSON, for CSV, and for tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from geomon.alerts import KINDS, SEVERITIES, iso_utc
from geomon.report.episodes import EXCUSED, is_notice
from geomon.report.figures import CATEGORIES, Breach, Case, Figures
from geomon.report.summary import Report

__all__ = ["by_kind", "csv_columns", "csv_rows", "groups_of", "json_rows"]

#: The key of the row for everybody together.
TOTAL = "total"


def groups_of(
    report: Report, names: Mapping[str, str]
) -> Iterator[tuple[str | None, str | None, Figures]]:
    """Give key, name and figures of each group, the total last; the key is None where unknown."""
    for key, figures in report.groups.items():
        yield key or None, _name_of(report.by, key, names), figures
    yield TOTAL, None, report.total


def _name_of(by: str | None, key: str, names: Mapping[str, str]) -> str | None:
    """Give a group's Chinese name, where there is one beside its key."""
    if by == "kind" and key in KINDS:
        return KINDS[key].label_zh
    return names.get(key) if by == "district" else None


def json_rows(report: Report, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Give a report as objects for JSON; `names` are those of districts by adcode."""
    for key, name, f in groups_of(report, names):
        yield {
            "by": report.by,
            "group": key,
            "name": name,
            "from": iso_utc(report.from_s),
            "until": iso_utc(report.until_s),
            "people": f.people,
            "person_days": _rounded(f.person_days),
            "breaching_people": f.breaching,
            "breaches": {c: [_breach(b) for b in f.breaches[c]] for c in CATEGORIES},
            "excused": {reason: f.excused[reason] for reason in EXCUSED},
            "alarms": f.alarms.total(),
            "alarms_by_kind": by_kind(f.alarms),
            "alarms_per_person_day": _rounded(f.alarms_a_person_day),
            "withdrawn": f.withdrawn.total(),
            "withdrawn_by_kind": by_kind(f.withdrawn),
            "withdrawn_share": _rounded(f.withdrawn_share),
            "missed_check_in_people": len(f.missed),
            "missed_check_in_share": _rounded(f.missed_share),
            "missed_windows": f.missed_windows,
            "late_check_ins": f.late_check_ins,
            "delays": {kind: _delay(f, kind) for kind in by_kind(f.alarms)},
            "closings": dict(f.closings.most_common()),
            "open": len(f.open_cases),
            "open_cases": [_case(case) for case in f.open_cases],
            "proposals": len(f.proposals),
            "notices": f.notices.total(),
            "notices_by_kind": by_kind(f.notices),
            "open_notices": [_case(case) for case in f.open_notices],
        }


def csv_columns() -> list[str]:
    """Give the heading of the CSV: the same for every report of one version of geomon."""
    columns = ["by", "group", "name", "from", "until", "people", "person_days"]
    columns += ["breaching_people", *CATEGORIES, *(f"excused_{reason}" for reason in EXCUSED)]
    columns += ["alarms", "alarms_per_person_day", "withdrawn", "withdrawn_share"]
    columns += ["missed_check_in_people", "missed_check_in_share", "missed_windows"]
    columns += ["late_check_ins", "open", *(f"open_{severity}" for severity in SEVERITIES)]
    columns += ["proposals", "notices", "open_notices"]
    for kind in _alarm_kinds():
        columns += [f"{kind}_alarms", f"{kind}_withdrawn", f"{kind}_median_s", f"{kind}_p95_s"]
    return columns


def csv_rows(report: Report, names: Mapping[str, str]) -> Iterator[list[Any]]:
    """Give the rows below `csv_columns`; None where something is not known."""
    for key, name, f in groups_of(report, names):
        row: list[Any] = [report.by, _cell(key), _cell(name)]
        row += [iso_utc(report.from_s), iso_utc(report.until_s), f.people, _rounded(f.person_days)]
        row += [f.breaching, *(len(f.breaches[c]) for c in CATEGORIES)]
        row += [f.excused[reason] for reason in EXCUSED]
        row += [f.alarms.total(), _rounded(f.alarms_a_person_day)]
        row += [f.withdrawn.total(), _rounded(f.withdrawn_share)]
        row += [len(f.missed), _rounded(f.missed_share), f.missed_windows, f.late_check_ins]
        row += [len(f.open_cases)]
        row += [sum(c.severity == severity for c in f.open_cases) for severity in SEVERITIES]
        row += [len(f.proposals), f.notices.total(), len(f.open_notices)]
        for kind in _alarm_kinds():
            delay = f.delay(kind)
            row += [f.alarms[kind], f.withdrawn[kind]]
            row += [delay.median_s, delay.p95_s] if delay else [None, None]
        yield row


def by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Order counts as the table of kinds has them; what is not in it follows."""
    order = list(KINDS)
    known = sorted(counts, key=lambda k: (order.index(k) if k in order else len(order), k))
    return {kind: counts[kind] for kind in known}


def _alarm_kinds() -> list[str]:
    return [kind for kind in KINDS if not is_notice(kind)]


def _breach(breach: Breach) -> dict[str, Any]:
    return {
        "supervisee_id": breach.supervisee_id,
        "episode": breach.episode,
        "since": iso_utc(breach.since_s),
        "detected": iso_utc(breach.detected_s),
        "until": None if breach.until_s is None else iso_utc(breach.until_s),
        "place": breach.place or None,
        "district": breach.district or None,
        "street": breach.street or None,
        "further": [further.episode for further in breach.further],
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "supervisee_id": case.supervisee_id,
        "kind": case.kind,
        "episode": case.episode,
        "severity": case.severity or None,
        "since": iso_utc(case.since_s),
        "age_s": case.age_s,
        "reason": case.reason or None,
        "district": case.district or None,
        "street": case.street or None,
        "level": case.level or None,
        "place": case.place or None,
        "proposal": msgspec.to_builtins(case.proposal),
        "later": case.later or None,
    }


def _delay(figures: Figures, kind: str) -> dict[str, float] | None:
    delay = figures.delay(kind)
    return None if delay is None else dict(delay._asdict())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _cell(text: str | None) -> str | None:
    """Make a text fit for a spreadsheet and a terminal, which both obey some texts."""
    if text is None:
        return None
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    # A cell that begins so is a formula, whoever wrote it: an apostrophe makes it a text.
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown
