"""From bytes to events for the core: what is taken and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from arrivals import (
    BAND,
    BY_THE_RIVER,
    DONGGUAN,
    GUANGMING,
    NOON_S,
    PHONE,
    day_of_everything,
    fix,
    heard,
    lines,
    raw,
    refusals,
    taken,
    told,
    upload,
)

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
from geomon.datum import from_wgs84
from geomon.decoding import decode
from geomon.errors import Refusal
from geomon.events import Upload
from geomon.intake import Arrival, Intake, Rejected
from geomon.zones.index import ZoneIndex


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


def test_a_message_under_another_key_is_refused(zones: ZoneIndex) -> None:
    assert taken(zones, upload(fix(0)), key=b"SZ-0001")
    arrivals, rejected = Intake(zones).take([raw(upload(fix(0)), key=b"SZ-0002")])
    assert arrivals == []
    assert refusals(rejected) == [("key_mismatch", -1)]


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
        for state in (heartbeat, observed):
            assert (state.device, state.battery_pct, state.flags) == (which, 41.0, flags)


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


def test_a_heartbeat_is_heard_and_is_no_position(zones: ZoneIndex) -> None:
    assert taken(zones, upload()) == [heard(NOON_S + 1_800)]
    assert taken(zones, upload(device="phone")) == [heard(NOON_S + 1_800, PHONE)]
    assert taken(zones, upload(received=None), arrived_s=NOON_S) == [heard(NOON_S)]
    arrivals, rejected = Intake(zones).take(lines(upload(received=None)))
    assert arrivals == []
    assert refusals(rejected) == [("missing_field", -1)]


def test_ids_are_checked_however_often_they_come() -> None:
    for _ in range(2):
        event, _ = decode(json.dumps(upload(fix(0))).encode())
        assert isinstance(event, Upload)
        with pytest.raises(Refusal, match="bad_id: device_id"):
            decode(json.dumps(upload(fix(0), device_id="band 17")).encode())
