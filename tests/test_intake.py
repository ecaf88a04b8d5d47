"""From bytes to events for the core: what is taken, what is refused, when it counts as heard."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from geomon.core.evidence import SOURCE_CODE
from geomon.core.observed import (
    CASE_CLOSED,
    CASE_OPEN,
    CHARGING,
    MOCK,
    ODD,
    POWER_OFF,
    STRAP_CLOSED,
    STRAP_OPEN,
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Heard,
    Observed,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.person import Sanction
from geomon.datum import from_wgs84
from geomon.errors import Refusal, TrackError
from geomon.events import MAX_BYTES, Upload, decode, parse_time
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.replay import Replay, batches, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

CIVIC_CENTRE = (114.0545, 22.5445)
GUANGMING = (113.93, 22.75)  # deeper in the city: the river is 3 km from the civic centre
DONGGUAN = (113.75, 23.02)
#: On the Shenzhen side of the river, some 200 m from it.
BY_THE_RIVER = (114.1133, 22.5318)

NOON_S = 1_707_796_800  # 2024-02-13T12:00:00+08:00
PHONE, BAND = 0, 1
RULES = rules_from(Settings())
#: A year of supervision, as a paper says it.
THAT_YEAR = {"from": "2024-01-01T00:00:00+08:00", "until": "2024-12-31T00:00:00+08:00"}


def at(minute: int, second: int = 0) -> str:
    """A time on 2024-02-13 after noon, as a device in Shenzhen writes it."""
    return f"2024-02-13T{12 + minute // 60}:{minute % 60:02}:{second:02}+08:00"


def fix(
    minute: int = 0, place: tuple[float, float] = CIVIC_CENTRE, **fields: Any
) -> dict[str, Any]:
    lon, lat = place
    return {"time": at(minute), "lon": lon, "lat": lat, "accuracy_m": 12, "source": "gnss"} | fields


def upload(*fixes: Any, **fields: Any) -> dict[str, Any]:
    event = {
        "type": "upload",
        "supervisee_id": "SZ-0001",
        "device_id": "band-17",
        "device": "wristband",
        "datum": "wgs84",
        "received": at(30),
        "fixes": list(fixes),
    }
    return {k: v for k, v in (event | fields).items() if v is not None}


def event(tag: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": tag, "supervisee_id": "SZ-0001"} | fields


PERMIT = event(
    "permit",
    permit_id="L-88",
    kind="leave",
    destinations=["410000"],
    **{"from": "2024-02-03T00:00:00+08:00", "until": "2024-02-09T24:00:00+08:00"},
)


def raw(event: dict[str, Any], number: int = 1, **message: Any) -> Raw:
    return Raw(json.dumps(event).encode(), f"test:{number}", **message)


def lines(*events: dict[str, Any]) -> list[Raw]:
    return [raw(event, number) for number, event in enumerate(events, 1)]


def heard(at_s: int, device: int = BAND) -> Heard:
    """A heartbeat that says nothing of the device's state."""
    return Heard(at_s, device, at_s)


def taken(zones: ZoneIndex, *events: dict[str, Any], **message: Any) -> list[Any]:
    """The core's events of a batch in which nothing is refused."""
    arrivals, rejected = Intake(zones).take([raw(event, **message) for event in events])
    assert rejected == []
    return [arrival.event for arrival in arrivals]


def told(arrival: Arrival) -> tuple[Any, ...]:
    """All that an arrival says, its clues spelled out, so that two can be compared."""
    said = arrival.event
    if not isinstance(said, Observed):
        return (arrival.supervisee_id, arrival.raw.where, said)
    fields = [getattr(said, name) for name in said.__struct_fields__ if name != "clues"]
    return (arrival.supervisee_id, arrival.raw.where, *fields, said.clues())


def refusals(rejected: list[Rejected]) -> list[tuple[str, int]]:
    return [(refusal.reason, refusal.fix) for refusal in rejected]


# -- batches -----------------------------------------------------------------------------------


CIRCLE = {"lon": 114.0545, "lat": 22.5445, "radius_m": 150}
TAMPER = "SZ-0001/tamper/2024-02-13T04:05:00Z"


def day_of_everything() -> list[Raw]:
    """Every datum, source and kind of event, good and bad, near the line and far from it."""
    places = (CIVIC_CENTRE, DONGGUAN, BY_THE_RIVER, (114.2, 22.35))
    said: list[dict[str, Any]] = [PERMIT | {"received": at(0)}]
    for number in range(24):
        datum = ("wgs84", "gcj02", "bd09", "cgcs2000", "mars", None)[number % 6]
        some = [
            fix(number, places[number % 4]),
            fix(number + 1, places[(number + 1) % 4], source="cell", accuracy_m=800),
            fix(number + 2, places[number % 3], accuracy_m=None),
        ]
        if number % 5 == 1:
            some.insert(1, fix(number, lat=91))
        if number % 5 == 2:
            some.insert(0, fix(number, lon="east"))
        if number % 7 == 3:
            some = [fix(number, (0.0, 0.0))]
        if number % 6 == 3:
            some.append(fix(number, mock=True))
        whose = f"SZ-{number % 5:04}"
        state = ({}, {"strap": "open"}, {"battery_pct": 7, "power": "off"}, {"stored": True})[
            number % 4
        ]
        said.append(
            upload(*some, supervisee_id=whose, received=at(number + 2, 5), datum=datum, **state)
        )
    said += [
        event("check_in", device_id="phone-3", time=at(40)),
        event("nonsense"),
        event("supervisee", **THAT_YEAR),
        event("zone", zone_id="Z-1", kind="exclusion", datum="gcj02", circle=CIRCLE, **THAT_YEAR),
        event("zone", zone_id="Z-2", kind="curfew", datum="wgs84", **THAT_YEAR),
        event("check_in_plan", windows=[{"from": "08:00", "until": "24:00"}], **THAT_YEAR),
        event("check_in_plan", windows=[{"from": "8", "until": "9"}], **THAT_YEAR),
        event("authorisation", authorisation_id="A-1", ground=2, **THAT_YEAR),
        event("sanction", sanction_id="P-1", kind="admonition", time=at(20)),
        event("return", permit_id="L-88", time=at(21)),
        event("disposal", episode=TAMPER, officer="o-12", time=at(22)),
        event("disposal", episode="SZ-0002/tamper/x", officer="o-12", time=at(22)),
        event("clock", received=at(40)),
    ]
    return lines(*said)


@pytest.mark.parametrize("size", [1, 2, 7, 20])
def test_a_batch_may_be_cut_anywhere(zones: ZoneIndex, size: int) -> None:
    day = day_of_everything()
    whole, refused = Intake(zones).take(day)
    arrivals: list[Arrival] = []
    rejected: list[Rejected] = []
    for begin in range(0, len(day), size):
        some, others = Intake(zones).take(day[begin : begin + size])
        arrivals += some
        rejected += others
    assert [told(arrival) for arrival in arrivals] == [told(arrival) for arrival in whole]
    assert rejected == refused
    whole_messages = [refusal for refusal in refused if refusal.fix < 0]
    assert [refusal.reason for refusal in whole_messages] == [
        *("unknown_type", "bad_zone", "bad_schedule", "bad_episode")
    ]
    assert len(whole) == len(day) - len(whole_messages)
    assert {refusal.reason for refusal in refused if refusal.fix >= 0} == {
        *("lat_out_of_range", "wrong_type", "null_island", "faked_position"),
        *("datum_unknown", "datum_undeclared"),
    }
    assert {type(arrival.event) for arrival in whole} == {
        *(Announced, Authorised, CheckedIn, ClockAt, Disposed, Heard, Observed),
        *(PermitSet, PlanSet, ReportedBack, Sanctioned, ZoneSet),
    }


def test_datums_mixed_in_one_batch_come_to_the_same_positions(zones: ZoneIndex) -> None:
    said = []
    for number, datum in enumerate(("gcj02", "wgs84", "bd09", "gcj02", "cgcs2000", "bd09")):
        name = "wgs84" if datum == "cgcs2000" else datum
        lon, lat = (float(v) for v in from_wgs84(*BY_THE_RIVER, name))
        said.append(upload(*[fix(number, (lon, lat))] * (number + 1), datum=datum))
    observed = taken(zones, *said)
    clues = [clue for o in observed for clue in o.clues()]
    assert [o.fixes for o in observed] == [1, 2, 3, 4, 5, 6]
    assert {clue.datum for clue in clues} == {"wgs84", "gcj02", "bd09", "cgcs2000"}
    for clue in clues:
        assert (clue.lon_wgs84, clue.lat_wgs84) == pytest.approx(BY_THE_RIVER, abs=1e-6)
        assert clue.distance_m == pytest.approx(clues[0].distance_m, abs=0.2)
        assert -300 < clue.distance_m < -100


def test_an_upload_says_how_many_fixes_are_not_plainly_inside(zones: ZoneIndex) -> None:
    inside, mixed = taken(
        zones,
        upload(fix(3), fix(1, GUANGMING), fix(2)),
        upload(fix(1), fix(2, DONGGUAN), device="phone", stored=True),
    )
    assert (inside.singles, inside.fixes, inside.device, inside.stored) == (0, 3, 1, False)
    minutes = [NOON_S // 60 + minute for minute in (3, 1, 2)]
    assert inside.plain == [2 * minutes[0], 2 * minutes[1] + 1, 2 * minutes[2]]
    assert (inside.oldest_s, inside.newest_s) == (NOON_S + 60, NOON_S + 180)
    assert (mixed.singles, mixed.fixes, mixed.device, mixed.stored) == (1, 2, 0, True)
    assert mixed.plain == []
    home, away = mixed.clues()
    assert (home.place, away.place) == ("", "441900")
    assert home.weight < 0 < away.weight


def test_a_clue_is_of_plain_values_and_keeps_no_batch_alive(zones: ZoneIndex) -> None:
    (observed,) = taken(zones, upload(fix(1, DONGGUAN), fix(2, BY_THE_RIVER)))
    kinds = {type(value) for clue in observed.clues() for value in clue}
    assert kinds == {int, float, str}


def test_a_fix_without_accuracy_is_taken_for_as_good_as_its_source(zones: ZoneIndex) -> None:
    sources = ("gnss", "wifi", "cell", "unknown")
    (observed,) = taken(zones, upload(*(fix(0, source=s, accuracy_m=None) for s in sources)))
    assert [clue.accuracy_m for clue in observed.clues()] == [15.0, 60.0, 1_000.0, 50.0]


# -- what is refused, and what is not for that -------------------------------------------------


def test_a_refused_fix_leaves_the_others(zones: ZoneIndex) -> None:
    bad = (
        fix(0, lon="east"),  # found while decoding
        fix(1),
        fix(2, lat=91),  # found when all fixes of the batch are checked
        fix(3, time="yesterday"),
        fix(4),
        fix(5, (0.0, 0.0)),
    )
    arrivals, rejected = Intake(zones).take(lines(upload(*bad), upload(fix(6), fix(7, lon=181))))
    first, second = (arrival.event for arrival in arrivals)
    assert isinstance(first, Observed)
    assert isinstance(second, Observed)
    assert [clue.time_s - NOON_S for clue in first.clues()] == [60, 240]
    assert (first.fixes, second.fixes) == (2, 1)
    # Each by its place in the upload as sent.
    assert refusals(rejected) == [
        ("wrong_type", 0),
        ("lat_out_of_range", 2),
        ("bad_time", 3),
        ("null_island", 5),
        ("lon_out_of_range", 1),
    ]
    assert {refusal.supervisee_id for refusal in rejected} == {"SZ-0001"}


def test_fixes_of_an_unknown_datum_are_refused_by_their_place_as_sent(zones: ZoneIndex) -> None:
    said = upload(fix(0), 7, fix(2), datum="mars")
    (arrival,), rejected = Intake(zones).take(lines(said))
    assert refusals(rejected) == [("datum_unknown", 0), ("wrong_type", 1), ("datum_unknown", 2)]
    assert arrival.event == heard(NOON_S + 1_800)


@pytest.mark.parametrize(
    "said",
    [
        upload(fix(0, lat=91), fix(1, lon=181)),
        upload(fix(0, lat="north"), fix(1, lon=181)),
        upload(fix(0, lat="north")),
        upload(fix(0), fix(1), datum=None),
        upload(fix(0), datum={"name": "wgs84"}),
    ],
)
def test_an_upload_without_a_usable_fix_is_still_heard_from(
    zones: ZoneIndex, said: dict[str, Any]
) -> None:
    (arrival,), rejected = Intake(zones).take(lines(said))
    assert arrival.event == heard(NOON_S + 1_800)
    assert len(rejected) == len(said["fixes"])


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


def test_a_message_under_another_key_is_refused(zones: ZoneIndex) -> None:
    assert taken(zones, upload(fix(0)), key=b"SZ-0001")
    arrivals, rejected = Intake(zones).take([raw(upload(fix(0)), key=b"SZ-0002")])
    assert arrivals == []
    assert refusals(rejected) == [("key_mismatch", -1)]


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


# -- what an upload says of its device -----------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, 0),
        ({"charging": True}, CHARGING),
        ({"charging": False, "power": "on", "seq": 7}, 0),
        ({"strap": "closed"}, STRAP_CLOSED),
        ({"strap": "open"}, STRAP_OPEN),
        ({"case": "closed"}, CASE_CLOSED),
        ({"case": "open", "strap": "closed"}, CASE_OPEN | STRAP_CLOSED),
        ({"power": "off"}, POWER_OFF),
        (
            {"charging": True, "strap": "open", "case": "open", "power": "off"},
            CHARGING | STRAP_OPEN | CASE_OPEN | POWER_OFF,
        ),
    ],
)
def test_the_state_of_a_device_is_told_with_and_without_a_position(
    zones: ZoneIndex, fields: dict[str, Any], flags: int
) -> None:
    for device, which in (("phone", PHONE), ("wristband", BAND)):
        heartbeat, observed = taken(
            zones,
            upload(device=device, battery_pct=41, **fields),
            upload(fix(5), device=device, battery_pct=41, **fields),
        )
        for told in (heartbeat, observed):
            assert (told.device, told.battery_pct, told.flags) == (which, 41.0, flags)


@pytest.mark.parametrize(
    ("said", "battery_pct"),
    [(0, 0.0), (100, 100.0), (3.5, 3.5), (None, -1.0), (-1, -1.0), (101, -1.0), (1e300, -1.0)],
)
def test_a_battery_that_cannot_be_is_not_said(
    zones: ZoneIndex, said: float | None, battery_pct: float
) -> None:
    heartbeat, observed = taken(zones, upload(battery_pct=said), upload(fix(5), battery_pct=said))
    assert (heartbeat.battery_pct, observed.battery_pct) == (battery_pct, battery_pct)


def test_a_state_from_memory_was_read_when_its_newest_fix_was_taken(zones: ZoneIndex) -> None:
    live, stored, empty = taken(
        zones,
        upload(fix(3), fix(9)),
        upload(fix(9), fix(3), stored=True),
        upload(stored=True),
    )
    assert (live.at_s, live.read_s) == (NOON_S + 1_800, NOON_S + 1_800)
    assert (stored.at_s, stored.read_s) == (NOON_S + 1_800, NOON_S + 9 * 60)
    assert empty.read_s == NOON_S + 1_800  # nothing in it says when
    # Fixes that were refused tell when it was, too.
    (arrival,), _ = Intake(zones).take(lines(upload(fix(9, lat=91), stored=True)))
    assert isinstance(arrival.event, Heard)
    assert (arrival.event.at_s, arrival.event.read_s) == (NOON_S + 1_800, NOON_S + 9 * 60)


def test_a_position_said_to_be_faked_is_refused_and_its_word_is_kept(zones: ZoneIndex) -> None:
    said = lines(
        upload(fix(1), fix(2, mock=True), fix(3, mock=False), device="phone", charging=True),
        upload(fix(4, mock=True), device="phone"),
        upload(fix(5, mock=False), device="phone"),
    )
    arrivals, rejected = Intake(zones).take(said)
    assert refusals(rejected) == [("faked_position", 1), ("faked_position", 0)]
    mixed, alone, honest = (arrival.event for arrival in arrivals)
    assert isinstance(mixed, Observed)
    assert isinstance(honest, Observed)
    assert (mixed.fixes, mixed.flags) == (2, CHARGING | MOCK)
    assert alone == Heard(NOON_S + 1_800, PHONE, NOON_S + 1_800, flags=MOCK)
    assert honest.flags == 0


def test_an_upload_says_where_its_newest_position_is(zones: ZoneIndex) -> None:
    lon, lat = (float(v) for v in from_wgs84(*GUANGMING, "gcj02"))
    (observed,) = taken(
        zones,
        upload(fix(1), fix(7, (lon, lat), source="wifi", accuracy_m=40), fix(3), datum="gcj02"),
    )
    last = observed.last
    assert (last.time_s, last.accuracy_m) == (NOON_S + 7 * 60, 40.0)
    assert last.source == SOURCE_CODE["wifi"]
    assert (last.lon, last.lat) == pytest.approx(GUANGMING, abs=1e-5)
    assert last.distance_m == observed.clues()[1].distance_m < 0


def test_positions_far_apart_in_one_upload_are_to_be_looked_at(zones: ZoneIndex) -> None:
    # 20 km are 0.18 degrees at least, longitude and latitude together; it is looked at from there.
    lon, lat = GUANGMING
    near, far, after = taken(
        zones,
        upload(fix(1, (lon, lat)), fix(2, (lon + 0.10, lat - 0.07))),
        upload(fix(1, (lon, lat)), fix(2, (lon + 0.12, lat - 0.07))),
        upload(fix(3, (lon, lat))),  # far from the one before, but that was another upload
    )
    assert [o.flags & ODD for o in (near, far, after)] == [0, ODD, 0]


# -- times -------------------------------------------------------------------------------------


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


def test_a_heartbeat_is_heard_and_is_no_position(zones: ZoneIndex) -> None:
    assert taken(zones, upload()) == [heard(NOON_S + 1_800)]
    assert taken(zones, upload(device="phone")) == [heard(NOON_S + 1_800, PHONE)]
    assert taken(zones, upload(received=None), arrived_s=NOON_S) == [heard(NOON_S)]
    arrivals, rejected = Intake(zones).take(lines(upload(received=None)))
    assert arrivals == []
    assert refusals(rejected) == [("missing_field", -1)]


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


def test_a_clock_event_needs_its_time(zones: ZoneIndex) -> None:
    assert taken(zones, event("clock", received=at(0))) == [ClockAt(NOON_S)]
    arrivals, rejected = Intake(zones).take([raw(event("clock"), arrived_s=NOON_S)])
    assert arrivals == []
    assert refusals(rejected) == [("missing_field", -1)]


def test_ids_are_checked_however_often_they_come() -> None:
    for _ in range(2):
        event, _ = decode(json.dumps(upload(fix(0))).encode())
        assert isinstance(event, Upload)
        with pytest.raises(Refusal, match="bad_id: device_id"):
            decode(json.dumps(upload(fix(0), device_id="band 17")).encode())


# -- recordings --------------------------------------------------------------------------------


def test_lines_are_numbered_and_empty_ones_left_out() -> None:
    stream = io.BytesIO(b'{"a":1}\r\n\n\r\n{"b":2}\n{"c":3}')
    assert list(read_recording(stream, "x")) == [
        Raw(b'{"a":1}', "x:1"),
        Raw(b'{"b":2}', "x:4"),
        Raw(b'{"c":3}', "x:5"),
    ]


def test_lines_are_whole_wherever_a_block_ends() -> None:
    said = [json.dumps({"n": n, "pad": "x" * (n * 37 % 5_000)}).encode() for n in range(200)]
    stream = io.BytesIO(b"\n".join(said) + b"\n")
    assert [line.data for line in read_recording(stream, "x")] == said


@pytest.mark.parametrize("end", [b"", b"\n", b'\n{"b":2}\n'])
def test_an_endless_line_is_cut_and_refused_and_the_next_one_read(
    zones: ZoneIndex, end: bytes
) -> None:
    stream = io.BytesIO(b"{" + b"x" * (5 * MAX_BYTES) + end)
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), RULES, rejected.append)
    found = list(read_recording(stream, "x"))
    assert len(found[0].data) < 2 * MAX_BYTES
    assert list(replay.feed(found)) == []
    assert [(r.reason, r.raw.where) for r in rejected][:1] == [("too_large", "x:1")]
    assert [line.where for line in found[1:]] == ["x:2"] * end.count(b"b")


def test_a_packed_recording_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = tmp_path / "recording.ndjson.gz"
    packed = gzip.compress(b"".join(b'{"n":%d}\n' % n for n in range(100_000)))
    path.write_bytes(packed[: len(packed) // 2])
    with open_recording(str(path)) as stream, pytest.raises(TrackError, match=r"gz: line \d+: "):
        list(read_recording(stream, str(path)))


def test_batches_hold_few_long_lines_or_many_short_ones() -> None:
    short = [Raw(b"x" * 200, "") for _ in range(10_000)]
    long = [Raw(b"x" * 100_000, "") for _ in range(40)]
    for sent in (short, long):
        found = list(batches(iter(sent)))
        assert [line for batch in found for line in batch] == sent
        assert len(found) > 1
        sizes = [sum(len(line.data) for line in batch) for batch in found]
        assert max(sizes) < 500_000


def test_a_replay_counts_every_fix_as_taken_or_refused(zones: ZoneIndex) -> None:
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), RULES, rejected.append)
    day = day_of_everything()
    list(replay.feed(day))
    sent = sum(len(json.loads(line.data).get("fixes", ())) for line in day)
    assert replay.counts["events"] == len(day)
    assert replay.counts["fixes"] + sum(refusal.fix >= 0 for refusal in rejected) == sent
    assert replay.end_s == NOON_S + 40 * 60
    assert len(replay.people) == 5
