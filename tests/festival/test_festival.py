"""The festival of a sample of the city, replayed: fifteen breaches, and as near to nothing else.

Five hundred people with every breach and every other part of the city among them; the whole city is
`tests/benchmarks/bench_festival.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
import pytest

from geomon.core.person import freeze
from geomon.decoding import decode
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.report import summarise
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex, zones_for

from .almanac import BEGIN_S, END_S
from .roles import BREACHES
from .sampling import record_all, sample_plans
from .stream import through_faust
from .verdict import ABSENCES, Verdict, episodes_of, facts_of, judge

PEOPLE, SEED = 500, 1
PERSON_DAYS = PEOPLE * (END_S - BEGIN_S) / 86_400
#: People of the sample that also go through broker, worker and Redis, the breaches first.
STREAMED = 40


@lru_cache(maxsize=1)
def festival() -> tuple[list[bytes], list[dict[str, Any]], dict[str, str]]:
    """Lines in order of arrival, the truth, and everybody's level."""
    plans = sample_plans(PEOPLE, SEED)
    lines, truth = record_all(plans)
    return lines, truth, {plan.supervisee_id: plan.level for plan in plans}


def replay_of(lines: Iterable[bytes], zones: ZoneIndex) -> tuple[Replay, list[dict[str, Any]]]:
    replay = Replay(Intake(zones), rules_from(Settings()))
    raws = (Raw(line, f"festival:{number}") for number, line in enumerate(lines, 1))
    return replay, [*replay.feed(raws), *replay.finish()]


@lru_cache(maxsize=1)
def replayed() -> tuple[Replay, list[dict[str, Any]]]:
    return replay_of(festival()[0], zones_for("440300"))


@lru_cache(maxsize=1)
def verdict() -> Verdict:
    return judge(facts_of(festival()[1]), episodes_of(replayed()[1]))


def test_every_line_is_understood() -> None:
    for line in festival()[0][::97]:
        decode(line)
    refused = replayed()[0].rejections
    assert set(refused) <= {"faked_position", "too_late"}, "the phone says so; or it came too late"


def test_the_report_says_8_6_and_1_for_exactly_those_fifteen() -> None:
    report = summarise(replayed()[1], BEGIN_S, END_S, PEOPLE)
    told = {
        category: sorted(breach.supervisee_id for breach in breaches)
        for category, breaches in report.total.breaches.items()
    }
    true: dict[str, list[str]] = {}
    for fact in festival()[1]:
        if fact["breach"]:
            true.setdefault(fact["kind"], []).append(fact["supervisee_id"])
    assert len(true["leave_city"]) == 8
    assert len(true["overdue_return"]) == 6
    assert len(true["out_of_supervision"]) == 1
    assert sorted(told.values()) == sorted(sorted(people) for people in true.values())
    assert sum(map(len, told.values())) == len(BREACHES) == 15


@pytest.mark.parametrize("kind", ABSENCES)
def test_nobody_else_is_said_to_be_away(kind: str) -> None:
    assert verdict().false[kind] == []


@pytest.mark.parametrize(
    "kind",
    [
        *("leave_city", "overdue_return", "out_of_supervision", "off_itinerary"),
        *("tamper", "separation", "lost_contact", "exclusion_zone", "curfew", "missed_check_in"),
        *("low_battery", "no_fix"),
    ],
)
def test_nothing_true_is_missed(kind: str) -> None:
    assert verdict().found[kind], "not in the sample"
    assert verdict().missed[kind] == []


def test_faked_positions_are_found_where_anything_gives_them_away() -> None:
    """One who fakes being at home is given away by the cells; here hardly any was reported."""
    missed = [fact.note for fact in verdict().missed["spoofing"]]
    assert set(missed) <= {"disagree"}
    assert {fact.note for fact, _ in verdict().found["spoofing"]} >= {"mock", "frozen", "teleport"}
    assert verdict().false["spoofing"] == []


def test_tampering_separation_and_zones_are_told_of_nobody_else() -> None:
    for kind in ("tamper", "separation", "exclusion_zone", "curfew"):
        assert verdict().false[kind] == [], kind


def test_alarms_stay_below_one_in_twenty_person_days() -> None:
    """A vendor calls 1.25 a person and day normal, Wisconsin had 6.7."""
    others = sum(n for kind, n in verdict().alarms.items() if kind not in ABSENCES)
    assert others / PERSON_DAYS < 0.05


def test_state_stays_small() -> None:
    sizes = sorted(len(freeze(person)) for person in replayed()[0].people.values())
    assert sizes[len(sizes) // 2] < 2_000
    assert sizes[-1] < 48_000


def test_broker_faust_and_redis_tell_the_same(zones: ZoneIndex) -> None:
    """The log in Redis is what the replay gives, of some people with all breaches among them."""
    plans = sample_plans(STREAMED, SEED)
    lines, truth = record_all(plans)
    assert sum(fact["breach"] for fact in truth) == len(BREACHES)
    replay, wanted = replay_of(lines, zones)
    end_s = replay.end_s + Settings().settle_s
    told = asyncio.run(asyncio.wait_for(through_faust(lines, zones, end_s=end_s), 900))
    assert sorted(alert["id"] for alert in told) == sorted(alert["id"] for alert in wanted)
    as_sent = msgspec.json.decode(msgspec.json.encode(wanted))
    assert {a["id"]: a["data"] for a in told} == {a["id"]: a["data"] for a in as_sent}
