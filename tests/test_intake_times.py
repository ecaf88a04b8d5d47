"""When an event counts as heard, whatever is said of its times."""

from __future__ import annotations

import json
from typing import Any

import pytest
from arrivals import (
    NOON_S,
    PERMIT,
    TAMPER,
    THAT_YEAR,
    at,
    event,
    fix,
    heard,
    lines,
    raw,
    refusals,
    taken,
    upload,
)

from geomon.core.observed import (
    Announced,
    CheckedIn,
    ClockAt,
    Disposed,
    Observed,
    PermitSet,
    ReportedBack,
    Sanctioned,
)
from geomon.core.person import Sanction
from geomon.decoding import decode, parse_time
from geomon.errors import Refusal
from geomon.intake import Intake
from geomon.zones.index import ZoneIndex


@pytest.mark.parametrize(
    "fields", [{"datum": None}, {"datum": "mars"}, {"fixes": [fix(1, lat=91), fix(2, lon=181)]}]
)
def test_without_received_it_is_heard_from_when_its_newest_fix_was_taken(
    zones: ZoneIndex, fields: dict[str, Any]
) -> None:
    said = upload(**({"fixes": [fix(2), fix(1)], "received": None} | fields))
    (arrival,), rejected = Intake(zones).take(lines(said))
    assert arrival.event == heard(NOON_S + 120)
    assert len(rejected) == 2
    # A device's clock that runs ahead does not take the person's clock along.
    late = raw(said, arrived_s=NOON_S - 600)
    (arrival,), _ = Intake(zones).take([late])
    assert arrival.event == heard(NOON_S - 600)


def test_a_fix_five_minutes_ahead_is_taken_and_a_later_one_refused(zones: ZoneIndex) -> None:
    (arrival,), rejected = Intake(zones).take(lines(upload(fix(35), fix(36))))
    assert refusals(rejected) == [("fix_in_future", 1)]
    assert isinstance(arrival.event, Observed)
    assert arrival.event.newest_s == NOON_S + 35 * 60
    # Without `received`, what the broker says stands for it.
    message = raw(upload(fix(35), fix(36), received=None), arrived_s=NOON_S + 1_800)
    (arrival,), rejected = Intake(zones).take([message])
    assert refusals(rejected) == [("fix_in_future", 1)]
    assert arrival.event.at_s == NOON_S + 35 * 60


def test_an_arrival_a_day_after_the_broker_had_it_is_refused(zones: ZoneIndex) -> None:
    said = upload(fix(0))
    arrived_s = NOON_S + 1_800 - 86_400
    assert taken(zones, said, arrived_s=arrived_s)
    arrivals, rejected = Intake(zones).take([raw(said, arrived_s=arrived_s - 1)])
    assert arrivals == []
    assert refusals(rejected) == [("arrival_in_future", -1)]


def test_the_recordings_of_2007_are_taken_and_the_20th_century_is_not(zones: ZoneIndex) -> None:
    old = {"received": "2007-04-12T10:31:12Z"}
    (observed,) = taken(zones, upload(fix(0, time="2007-04-12T10:31:09Z"), **old))
    assert observed.newest_s == 1_176_373_869
    first, last = "2000-01-01T08:00:00+08:00", "2000-01-01T07:59:59+08:00"
    (arrival,), rejected = Intake(zones).take(lines(upload(fix(time=first), fix(time=last))))
    assert refusals(rejected) == [("impossible_time", 1)]
    assert isinstance(arrival.event, Observed)
    assert decode(json.dumps(upload(received=first)).encode())
    for time in (last, "2100-01-01T00:00:00Z"):
        with pytest.raises(Refusal, match="impossible_time: received"):
            decode(json.dumps(upload(received=time)).encode())


@pytest.mark.parametrize(
    ("time", "after_noon_s"),
    [
        ("2024-02-13T12:00:07+08:00", 7),
        ("2024-02-13T04:00:07Z", 7),
        ("2024-02-13T04:00:07.999999Z", 7),
        ("2024-02-13T09:30:07+05:30", 7),
        ("2024-02-12T23:00:07-05:00", 7),
        ("2024-02-13t04:00:07z", 7),
    ],
)
def test_times_of_any_offset_are_the_same_second(
    zones: ZoneIndex, time: str, after_noon_s: int
) -> None:
    heartbeat, observed = taken(zones, upload(received=time), upload(fix(time=time)))
    assert heartbeat == heard(NOON_S + after_noon_s)
    assert observed.newest_s == NOON_S + after_noon_s


def test_24_00_is_the_end_of_the_day(zones: ZoneIndex) -> None:
    midnight = parse_time("2024-02-10T00:00:00+08:00")
    for text in ("2024-02-09T24:00:00+08:00", "2024-02-09T24:00+08:00", "2024-02-09T16:00:00Z"):
        assert parse_time(text) == midnight
    (permit,) = taken(zones, PERMIT)
    assert permit.permit.until_s == int(midnight.timestamp())
    for text in ("2024-02-09T24:00:01+08:00", "2024-02-09T25:00:00+08:00", "2024-02-09T24:00:00"):
        with pytest.raises(Refusal, match="bad_time"):
            parse_time(text)


def test_without_received_the_newest_time_inside_stands_for_it(zones: ZoneIndex) -> None:
    returned = event("return", permit_id="L-88", time=at(9))
    assert taken(
        zones,
        upload(fix(5), fix(8), fix(6), received=None),
        event("check_in", device_id="phone-3", time=at(7)),
        event("disposal", episode=TAMPER, officer="o-12", time=at(8)),
        event("sanction", sanction_id="P-1", kind="warning", time=at(8)),
        returned,
        returned | {"received": at(30)},
    )[1:] == [
        CheckedIn(NOON_S + 420, NOON_S + 420, verified=False),
        Disposed(NOON_S + 480, "tamper", NOON_S + 300, NOON_S + 480),
        Sanctioned(NOON_S + 480, Sanction("P-1", "warning", NOON_S + 480)),
        ReportedBack(NOON_S + 540, "L-88", NOON_S + 540),
        ReportedBack(NOON_S + 1_800, "L-88", NOON_S + 540),
    ]
    (observed,) = taken(zones, upload(fix(5), fix(8), fix(6), received=None))
    assert observed.at_s == NOON_S + 480


@pytest.mark.parametrize("received", [None, at(30)])
def test_an_office_that_mistypes_the_year_takes_no_clock_along(
    zones: ZoneIndex, received: str | None
) -> None:
    """As the contract's own examples have it, without `received`; and with it."""
    papers = [
        event("return", permit_id="L-88"),
        event("disposal", episode=TAMPER, officer="o-12"),
        event("sanction", sanction_id="P-1", kind="warning"),
    ]
    said = [paper | ({"received": received} if received else {}) for paper in papers]
    soon = [paper | {"time": at(35)} for paper in said]
    assert len(taken(zones, *soon, arrived_s=NOON_S + 1_800)) == len(papers)
    for time in (at(35, 1), at(30).replace("2024", "2025")):
        messages = [raw(paper | {"time": time}, arrived_s=NOON_S + 1_800) for paper in said]
        arrivals, rejected = Intake(zones).take(messages)
        assert arrivals == []
        assert refusals(rejected) == [("arrival_in_future", -1)] * len(papers)
        assert {refusal.detail for refusal in rejected} == {"time"}


def test_a_check_in_dated_ahead_is_heard_when_it_arrived_and_counts_for_nothing(
    zones: ZoneIndex,
) -> None:
    evening = event("check_in", device_id="phone-3", time=at(480), verified=True)
    assert taken(zones, evening, arrived_s=NOON_S) == [
        CheckedIn(NOON_S, NOON_S + 480 * 60, verified=True)
    ]
    # Some minutes ahead is what a phone's clock may be.
    soon = evening | {"time": at(5)}
    assert taken(zones, soon, arrived_s=NOON_S) == [
        CheckedIn(NOON_S + 300, NOON_S + 300, verified=True)
    ]


def test_without_received_a_plan_leaves_the_persons_clock_where_it_is(zones: ZoneIndex) -> None:
    supervised = event("supervisee", **THAT_YEAR)
    permit, cancelled, announced, later = taken(
        zones,
        PERMIT,
        PERMIT | {"status": "cancelled"},
        supervised,
        supervised | {"received": at(0)},
    )
    assert isinstance(permit, PermitSet)
    assert isinstance(announced, Announced)
    assert (permit.at_s, permit.cancelled) == (0, False)
    assert (cancelled.at_s, cancelled.cancelled) == (0, True)
    assert (announced.at_s, later.at_s) == (0, NOON_S)


def test_without_received_a_plan_arrived_when_the_broker_had_it(zones: ZoneIndex) -> None:
    """Else it arrived when the person was last looked at, which a worker and a replay do apart."""
    supervised = event("supervisee", **THAT_YEAR)
    permit, announced, later = taken(
        zones, PERMIT, supervised, supervised | {"received": at(0)}, arrived_s=NOON_S + 600
    )
    assert (permit.at_s, announced.at_s, later.at_s) == (NOON_S + 600, NOON_S + 600, NOON_S)


def test_a_clock_event_needs_its_time(zones: ZoneIndex) -> None:
    assert taken(zones, event("clock", received=at(0))) == [ClockAt(NOON_S)]
    arrivals, rejected = Intake(zones).take([raw(event("clock"), arrived_s=NOON_S)])
    assert arrivals == []
    assert refusals(rejected) == [("missing_field", -1)]
