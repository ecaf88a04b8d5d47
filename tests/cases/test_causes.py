"""Beside its absence each case has small troubles of everyday: all are told, each with its cause.

What is wanted here is worked out from the script of the case (its gaps, the hours switched off, the
nights without charging) and from the lines of the recording, not from what geomon tells.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from geomon.cases import CASES, expected, recording_path
from geomon.cases.script import build
from geomon.core.episodes import OF_CITY
from geomon.core.plans import LEVELS, Plan, check_in_windows, local_day
from geomon.intake import Intake
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import zones_for

RULES = rules_from(Settings())
PHONE, BAND = 0, 1
MINUTE = timedelta(minutes=1)
CHINA = timedelta(hours=8)
Event = dict[str, Any]


class Span(NamedTuple):
    since: datetime
    until: datetime | None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@cache
def lines(case: str) -> tuple[Event, ...]:
    text = gzip.decompress(recording_path(case).read_bytes()).decode()
    return tuple(json.loads(line) for line in text.splitlines())


def uploads(case: str, device: str) -> list[Event]:
    return [e for e in lines(case) if e["type"] == "upload" and e["device"] == device]


@cache
def told(case: str) -> tuple[Event, ...]:
    """The alerts of a case, replayed alone, as the events that leave."""
    replay = Replay(Intake(zones_for("440300")), RULES)
    path = str(recording_path(case))
    with open_recording(path) as stream:
        alerts = list(replay.feed(read_recording(stream, path)))
    alerts += replay.finish()
    assert not replay.rejections
    return tuple(alerts)


def spans(case: str, kind: str) -> list[Span]:
    """A kind's episodes as they stood in the end."""
    last = {a["data"]["episode"]: a["data"] for a in told(case) if a["data"]["kind"] == kind}
    return [Span(at(d["since"]), at(d["until"]) if d["until"] else None) for d in last.values()]


def levels(case: str) -> list[tuple[datetime, Plan]]:
    """The plans by which the person was watched, and from when on."""
    plans = dict(zip(LEVELS, RULES.plans, strict=True))
    return [
        (at(e["received"]), plans[e["level"]]) for e in lines(case) if e["type"] == "supervisee"
    ]


def plan_at(case: str, time: datetime) -> Plan:
    return [plan for since, plan in levels(case) if since <= time][-1]


@pytest.mark.parametrize(
    ("case", "counts"),
    [
        ("A", {"leave_city": 1, "low_battery": 1, "missed_check_in": 1}),
        (
            "B",
            {"overdue_return": 1, "low_battery": 1, "missed_check_in": 4, "lost_contact": 1},
        ),
        ("C", {"leave_city": 1, "border_approach": 2, "lost_contact": 3}),
    ],
)
def test_so_many_episodes_are_told_of_a_case(case: str, counts: dict[str, int]) -> None:
    """The numbers; the tests below say why each of them is right."""
    found: dict[str, set[str]] = {}
    for alert in told(case):
        found.setdefault(alert["data"]["kind"], set()).add(alert["data"]["episode"])
    assert {kind: len(episodes) for kind, episodes in found.items()} == counts
    truth = expected()[case]
    assert not set(counts) & set(truth["never"])
    assert {kind for kind in counts if kind in OF_CITY} == {e["kind"] for e in truth["episodes"]}


@pytest.mark.parametrize("case", CASES)
def test_a_battery_is_low_from_the_first_such_word_until_it_is_charged(case: str) -> None:
    wanted = []
    since = None
    for upload in uploads(case, "phone"):
        read, battery = at(upload["received"]), upload["battery_pct"]
        if upload.get("stored"):
            continue
        threshold = plan_at(case, read).battery_pct[PHONE]
        charging = upload.get("charging", False)
        if since is None and battery < threshold and not charging:
            since = read
        elif since is not None and (charging or battery >= threshold + 10):
            wanted.append(Span(since, read))
            since = None
    assert spans(case, "low_battery") == wanted
    # And a night without charging was the cause.
    charged = [w for d in build(case).devices if d.kind == "phone" for w in d.charging]
    for low in wanted:
        assert not any(low.since - timedelta(hours=9) in window for window in charged)
        assert any(low.since - timedelta(hours=33) in window for window in charged)


@pytest.mark.parametrize("case", CASES)
def test_contact_is_lost_where_the_band_was_silent_for_longer_than_the_plan_allows(
    case: str,
) -> None:
    sent = uploads(case, "wristband")
    heard = [at(e["received"]) for e in sent]
    wanted = [
        Span(before, after)
        for before, after in pairwise(heard)
        if (after - before).total_seconds() >= plan_at(case, before).silence_s[BAND]
    ]
    assert spans(case, "lost_contact") == wanted
    gaps = [gap.window for d in build(case).devices if d.kind == "wristband" for gap in d.gaps]
    # One for each gap in coverage: the last word came shortly before it, the next after its end,
    # or was an upload that the network delivered once more meanwhile: any arrival is a word.
    assert len(wanted) == len(gaps)
    for span, gap in zip(wanted, gaps, strict=True):
        assert gap.start - 10 * MINUTE < span.since <= gap.start + MINUTE
        assert span.until is not None
        first = heard.index(span.until)
        again = sent[first]["seq"] in {e["seq"] for e in sent[:first]}
        assert again or gap.end <= span.until < gap.end + 10 * MINUTE


@pytest.mark.parametrize("case", ["A", "B"])
def test_no_phone_was_silent_for_as_long_as_a_phone_may_be(case: str) -> None:
    heard = [at(e["received"]) for e in lines(case) if e["type"] in ("upload", "check_in")]
    for before, after in pairwise(heard):
        assert (after - before).total_seconds() < plan_at(case, before).silence_s[PHONE]


def owed(case: str) -> Iterator[tuple[Span, datetime]]:
    """The check-in windows of a case, each with the time up to which a check-in may arrive."""
    begin, end = at(lines(case)[0]["received"]), at(lines(case)[-1]["received"])
    whose = expected()[case]["supervisee_id"]
    known = [since for since, _ in levels(case)]
    first = local_day(int(begin.timestamp()), RULES.utc_offset_s) + 1
    last = local_day(int(end.timestamp()), RULES.utc_offset_s)
    for day in range(first, last):
        # From the day after an announcement its plan asks; on that day what had begun before.
        noon = datetime.fromtimestamp(day * 86_400 - RULES.utc_offset_s, begin.tzinfo)
        plan = plan_at(case, noon)
        for from_s, until_s in check_in_windows(
            *(whose, day, plan), seed=RULES.check_in_seed, utc_offset_s=RULES.utc_offset_s
        ):
            window = Span(
                datetime.fromtimestamp(from_s, begin.tzinfo),
                datetime.fromtimestamp(until_s, begin.tzinfo),
            )
            upto_s = until_s + plan.check_in_grace_s
            upto = datetime.fromtimestamp(upto_s, begin.tzinfo)
            if not any(noon < since < upto for since in known[1:] if since.date() == noon.date()):
                yield window, upto


@pytest.mark.parametrize("case", CASES)
def test_a_window_is_missed_where_no_check_in_of_it_came_in_time(case: str) -> None:
    checks = [(at(e["time"]), at(e["received"])) for e in lines(case) if e["type"] == "check_in"]
    assert len(checks) > 20
    wanted = [
        window
        for window, upto in owed(case)
        if window.until
        and not any(window.since <= t <= window.until and came < upto for t, came in checks)
    ]
    said = {
        (window["from"], window["until"])
        for alert in told(case)
        if alert["data"]["kind"] == "missed_check_in"
        for window in alert["data"]["detail"]["windows"]
    }
    assert sorted(Span(at(since), at(until)) for since, until in said) == wanted
    # Each has a cause in the script: the phone was switched off, empty, or out of coverage then.
    troubles = [w for d in build(case).devices for w in (*d.off, *(g.window for g in d.gaps))]
    empty = spans(case, "low_battery")
    for since, until in wanted:
        assert until is not None
        assert any(w.start < until and since < w.end for w in troubles) or any(
            low.since < until and (low.until is None or since < low.until) for low in empty
        )


def test_a_check_in_kept_by_a_phone_without_coverage_is_late() -> None:
    """In case B one was made in the window and arrived, coverage back, when it had been told."""
    late = [alert["data"] for alert in told("B") if alert["data"]["reason"] == "late_check_in"]
    [data] = late
    [window] = data["detail"]["windows"]
    made = data["detail"]["checked_in"]
    assert window["from"] < made < window["until"] < data["detected"]
    assert data["phase"] == "updated"


@pytest.mark.parametrize("case", CASES)
def test_the_line_is_neared_on_the_road_alone(case: str) -> None:
    zones = zones_for("440300")
    journey = build(case).journey
    for near in spans(case, "border_approach"):
        here = journey.at(near.since)
        assert here.by == "road"
        [distance_m] = zones.classify([here.spot.lon], [here.spot.lat]).distance_m
        assert -1_600 < distance_m < 0
    if case == "C":
        first, _ = spans(case, "border_approach")
        left = at(expected()["C"]["left_city"])
        assert timedelta(0) < left - first.since < 5 * MINUTE  # told of before it was crossed


def test_an_absence_after_a_hint_says_that_it_follows_from_it() -> None:
    [hint, *_] = [a for a in told("C") if a["data"]["kind"] == "border_approach"]
    causes = {a["data"]["cause"] for a in told("C") if a["data"]["kind"] == "leave_city"}
    assert causes == {hint["data"]["episode"]}
