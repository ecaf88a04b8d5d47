"""A report as tables for people: the same on a terminal and on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from geomon.alerts import GROUNDS, MEASURES, SEVERITIES
from geomon.picture.legend import english, kind_label, reason_label
from geomon.report.episodes import EXCUSED
from geomon.report.figures import (
    ALARMS_A_PERSON_DAY_VENDOR,
    ALARMS_A_PERSON_DAY_WISCONSIN,
    CATEGORIES,
    Breach,
    Case,
    Figures,
)
from geomon.report.rows import by_kind, groups_of
from geomon.report.summary import UTC_OFFSET_S, Report

__all__ = ["LOCAL", "Section", "clock", "lasting", "notes", "period", "sections"]

LOCAL = timezone(timedelta(seconds=UTC_OFFSET_S))


class Section(NamedTuple):
    """One table: its title and rows of the same columns; `left_out` rows were too many."""

    title: str
    rows: Sequence[Mapping[str, str]]
    left_out: int = 0


def sections(report: Report, names: Mapping[str, str], *, most: int) -> Iterator[Section]:
    """Give the tables of a report that have something in them; lists end after `most` rows.

    `names` are those of districts by adcode. Breaches are listed to the last whatever `most` says.
    """
    total = report.total
    if report.by:
        yield Section(f"By {report.by} 分组", list(_groups(report, names)))
    yield Section("Breaches 违规", list(_categories(total)))
    found = [breach for breaches in total.breaches.values() for breach in breaches]
    if found:
        yield Section("People in breach 违规人员", [_breach(b, names) for b in found])
    yield Section("Figures 指标", [dict(row) for row in _figures(total)])
    if total.alarms:
        yield Section("Alarms by kind 告警", list(_alarms(total)))
    if total.open_cases:
        yield Section("Open at the end 期末未结", list(_open(total)))
    if proposed := total.proposals:
        yield Section("Steps proposed 处置建议", [_proposal(c) for c in proposed])
    if total.open_cases:
        cases = [_case(case, names) for case in total.open_cases[:most]]
        left_out = max(0, len(total.open_cases) - most)
        yield Section("Open cases 未结案件", cases, left_out)
    if total.notices or total.open_notices:
        yield Section("Notices 提示", list(_notices(total)))
    if total.closings:
        rows = [
            {"reason\n原因": _reason(reason), "episodes\n件": f"{count:,}"}
            for reason, count in total.closings.most_common()
        ]
        yield Section("Closed in the period 期内解除", rows)


def notes(report: Report) -> Iterator[str]:
    """Give what must be known to read the figures right."""
    total = report.total
    if total.people is None:
        yield (
            "No rates: the number of people is not known. --people N or --register FILE gives it. "
            "无人数，故无比率"
        )
    elif report.by not in (None, "kind") and all(f.people is None for f in report.groups.values()):
        yield f"No rates by {report.by}: --register FILE gives the people of each group."
    if total.person_days is not None:
        yield (
            f"To compare alarms a person and day: {ALARMS_A_PERSON_DAY_VENDOR} is called normal by "
            f"a vendor of such systems, {ALARMS_A_PERSON_DAY_WISCONSIN} is Wisconsin's."
        )
    if excused := total.excused.total():
        parts = ", ".join(f"{total.excused[r]} {r}" for r in EXCUSED if total.excused[r])
        yield f"Not counted as breaches: {excused} episodes ({parts}). 撤回或事后批准的不计"
    if total.withdrawn:
        yield "A withdrawn alarm was raised and later taken back: evidence showed it was wrong."
    if total.alarms:
        yield (
            "Delay: from what happened to the alarm. Where a grace or an allowance must pass first "
            "(overdue_return, off_itinerary, lost_contact, no_fix, missed_check_in, separation, "
            "curfew), that time is in it."
        )


def period(report: Report) -> str:
    """Write the period of a report."""
    begin, end = (datetime.fromtimestamp(s, LOCAL) for s in (report.from_s, report.until_s))
    return f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} +08:00"


def clock(time_s: int | None) -> str:
    """Write a time as people in the city read it, the year left out; "" for None."""
    return "" if time_s is None else f"{datetime.fromtimestamp(time_s, LOCAL):%m-%d %H:%M}"


def lasting(seconds: float) -> str:
    """Write a length of time.

    >>> lasting(64), lasting(150), lasting(3600), lasting(200_000)
    ('64 s', '2 min', '60 min', '2.3 days')
    """
    if abs(seconds) < 120:
        return f"{seconds:.0f} s"
    if abs(seconds) < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if abs(seconds) < 172_800 else f"{seconds / 86_400:.1f} days"


def _kind_cell(kind: str) -> str:
    """Write a kind with its Chinese label."""
    return f"{kind} {kind_label(kind)[1]}".strip()


def _groups(report: Report, names: Mapping[str, str]) -> Iterator[dict[str, str]]:
    for key, name, f in groups_of(report, names):
        shown = "unknown 未知" if key is None else "total 合计" if f is report.total else key
        yield {
            str(report.by): f"{shown} {name or ''}".strip(),
            "people\n人数": _number(f.people),
            "left\n离深": str(len(f.breaches["left_without_leave"])),
            "late\n逾期": str(len(f.breaches["not_returned"])),
            "out\n脱管": str(len(f.breaches["out_of_supervision"])),
            "alarms\n告警": f"{f.alarms.total():,}",
            "a day\n人均日": _rate(f.alarms_a_person_day),
            "wrong\n撤回": _share(f.withdrawn_share),
            "missed\n未签到": f"{len(f.missed):,}",
            "share\n占比": _share(f.missed_share),
            "open\n未结": f"{len(f.open_cases):,}",
            "steps\n建议": f"{len(f.proposals):,}",
        }


def _categories(f: Figures) -> Iterator[dict[str, str]]:
    for name, category in CATEGORIES.items():
        yield {
            "category\n类别": f"{category.label_en} {category.label_zh}",
            "people\n人数": str(len(f.breaches[name])),
            "who\n人员": ", ".join(b.supervisee_id for b in f.breaches[name]),
        }
    yield {"category\n类别": "together 合计", "people\n人数": str(f.breaching), "who\n人员": ""}


def _breach(breach: Breach, names: Mapping[str, str]) -> dict[str, str]:
    more = f" +{len(breach.further)}" if breach.further else ""
    return {
        "person\n人员": breach.supervisee_id,
        "category\n类别": CATEGORIES[breach.category].label_zh + more,
        "since\n起": clock(breach.since_s),
        "until\n止": clock(breach.until_s) or "open 未结",
        "after\n发现": lasting(breach.detected_s - breach.since_s),
        "place\n地点": _place(breach.place, names),
        "of\n街道": _home(breach.district, breach.street, names),
    }


def _figures(f: Figures) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for label, value in (
        ("people 人数", _number(f.people)),
        ("person-days 人日", "-" if f.person_days is None else f"{f.person_days:,.1f}"),
        ("alarms 告警", f"{f.alarms.total():,}"),
        ("alarms a person and day 人均日告警", _rate(f.alarms_a_person_day)),
        ("withdrawn alarms 撤回告警", f"{f.withdrawn.total():,} ({_share(f.withdrawn_share)})"),
        ("people with a missed check-in 未签到人员", f"{len(f.missed):,}"),
        ("their share 占比", _share(f.missed_share)),
        ("missed check-in windows 未签到次数", f"{f.missed_windows:,}"),
        ("late check-ins 补签", f"{f.late_check_ins:,}"),
    ):
        yield ("figure\n指标", label), ("value\n值", value)


def _alarms(f: Figures) -> Iterator[dict[str, str]]:
    for kind, count in by_kind(f.alarms).items():
        delay = f.delay(kind)
        yield {
            "kind\n种类": _kind_cell(kind),
            "alarms\n告警": f"{count:,}",
            "a day\n人均日": _rate(count / f.person_days if f.person_days else None),
            "withdrawn\n撤回": f"{f.withdrawn[kind]:,}",
            "median\n中位": lasting(delay.median_s) if delay else "-",
            "95th pct.\n95%位": lasting(delay.p95_s) if delay else "-",
        }


def _open(f: Figures) -> Iterator[dict[str, str]]:
    counts: dict[str, Counter[str]] = {}
    oldest_s: dict[str, int] = {}
    for case in f.open_cases:
        counts.setdefault(case.kind, Counter())[case.severity] += 1
        oldest_s[case.kind] = max(oldest_s.get(case.kind, 0), case.age_s)
    for kind in by_kind(dict.fromkeys(counts, 0)):
        yield {
            "kind\n种类": _kind_cell(kind),
            "open\n未结": f"{counts[kind].total():,}",
            **{
                f"{severity}\n{SEVERITIES[severity][1]}": str(counts[kind][severity] or "")
                for severity in reversed(list(SEVERITIES))
            },
            "oldest\n最久": lasting(oldest_s[kind]),
        }


def _proposal(case: Case) -> dict[str, str]:
    proposal = case.proposal
    assert proposal is not None  # noqa: S101
    return {
        "person\n人员": case.supervisee_id,
        "action\n建议": _labelled(proposal.action, MEASURES),
        "ground\n依据": _labelled(proposal.ground, GROUNDS),
        "kind\n种类": _kind_cell(case.kind),
        "since\n起": clock(case.since_s),
        "evidence\n证据": ", ".join(proposal.evidence),
    }


def _case(case: Case, names: Mapping[str, str]) -> dict[str, str]:
    return {
        "severity\n等级": _labelled(case.severity, SEVERITIES),
        "person\n人员": case.supervisee_id,
        "kind\n种类": _kind_cell(case.kind),
        "since\n起": clock(case.since_s),
        "age\n时长": lasting(case.age_s),
        "reason\n原因": reason_label(case.reason)[1] or case.reason,
        "of\n街道": _home(case.district, case.street, names),
        "since then\n此后": reason_label(case.later)[1] or case.later,
    }


def _notices(f: Figures) -> Iterator[dict[str, str]]:
    still = Counter(case.kind for case in f.open_notices)
    for kind in by_kind({**f.notices, **still}):
        yield {
            "kind\n种类": _kind_cell(kind),
            "told\n提示": f"{f.notices[kind]:,}",
            "open\n未结": f"{still[kind]:,}",
        }


def _labelled(code: str, labels: Mapping[str, tuple[str, str]]) -> str:
    return f"{code.replace('_', ' ')} {labels[code][1]}" if code in labels else code


def _place(adcode: str, names: Mapping[str, str]) -> str:
    """Name a place; one whose name is not kept by its province."""
    if name := names.get(adcode) or english(adcode):
        return name
    return f"{english(f'{adcode[:2]}0000')} {adcode}".strip() if adcode else ""


def _home(district: str, street: str, names: Mapping[str, str]) -> str:
    return f"{names.get(district, district)} {street}".strip()


def _reason(reason: str) -> str:
    return f"{reason} {reason_label(reason)[1]}".strip()


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}".replace("%", " %")
