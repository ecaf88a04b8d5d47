"""Bad input is expected: one clear reason each, and everything else goes on."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from geomon.decoding import parse_json
from geomon.intake import Intake, Raw, Rejected
from geomon.refusals import REASONS
from geomon.rejections import rejection_record
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

RULES = rules_from(Settings())
FIX = {
    "time": "2024-02-13T09:30:00+08:00",
    "lon": 114.0579,
    "lat": 22.5431,
    "accuracy_m": 12,
    "source": "gnss",
}
UPLOAD = {
    "type": "upload",
    "supervisee_id": "SZ-0001",
    "device_id": "band-17",
    "device": "wristband",
    "datum": "wgs84",
    "received": "2024-02-13T09:30:05+08:00",
    "fixes": [FIX],
}
PERMIT = {
    "type": "permit",
    "supervisee_id": "SZ-0001",
    "permit_id": "L-88",
    "kind": "leave",
    "from": "2024-02-03T00:00:00+08:00",
    "until": "2024-02-09T24:00:00+08:00",
    "destinations": ["410000"],
    "status": "granted",
}


TERM = {"from": "2024-02-01T00:00:00+08:00", "until": "2024-02-29T24:00:00+08:00"}
ZONE = {
    "type": "zone",
    "supervisee_id": "SZ-0001",
    "zone_id": "Z-1",
    "kind": "exclusion",
    "datum": "wgs84",
    "circle": {"lon": 114.05, "lat": 22.54, "radius_m": 150},
    **TERM,
}
PLAN = {"type": "check_in_plan", "supervisee_id": "SZ-0001", **TERM}
ORDER = {
    "type": "authorisation",
    "supervisee_id": "SZ-0001",
    "authorisation_id": "A-1",
    "ground": 2,
    **TERM,
}
SANCTION = {
    "type": "sanction",
    "supervisee_id": "SZ-0001",
    "sanction_id": "P-1",
    "kind": "warning",
    "time": "2024-02-13T09:00:00+08:00",
}
DISPOSAL = {
    "type": "disposal",
    "supervisee_id": "SZ-0001",
    "episode": "SZ-0001/tamper/2024-02-13T01:00:00Z",
    "officer": "o-12",
    "time": "2024-02-13T09:20:00+08:00",
}


def changed(event: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({**event, **changes}).encode()


def upload(**changes: Any) -> bytes:
    return json.dumps({**UPLOAD, **changes}).encode()


def fix(**changes: Any) -> bytes:
    """An upload with one good fix and one that is changed."""
    return upload(fixes=[FIX, {**FIX, **changes}])


def without(event: dict[str, Any], field: str) -> bytes:
    return json.dumps({k: v for k, v in event.items() if k != field}).encode()


# The whole event is refused.
EVENTS = {
    "not JSON": (b'{"type":"upload",', "broken_json"),
    "an empty object": (b"{}", "missing_field"),
    "a list": (b"[1,2]", "not_an_object"),
    "a number": (b"7", "not_an_object"),
    "wrong UTF-8": (b'{"type":"\xff\xfe"}', "not_utf8"),
    "a byte order mark": (b"\xef\xbb\xbf" + upload(), "broken_json"),
    "deep nesting": (b'{"type":"upload","x":' + b"[" * 100_000, "too_deep"),
    "deep nesting of objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    "10 MB": (upload(note="x" * 10_000_000), "too_large"),
    "an unknown type": (upload(type="ping"), "unknown_type"),
    "a type that is no text": (upload(type=[1]), "unknown_type"),
    "no type": (without(UPLOAD, "type"), "missing_field"),
    "no device": (without(UPLOAD, "device"), "missing_field"),
    "an unknown device": (upload(device="drone"), "bad_value"),
    "fixes that are no list": (upload(fixes="many"), "wrong_type"),
    "5,000 fixes": (upload(fixes=[FIX] * 5_000), "too_many_fixes"),
    "an empty id": (upload(supervisee_id=""), "bad_id"),
    "an id with a space": (upload(supervisee_id="SZ 0001"), "bad_id"),
    "a canary's id": (upload(supervisee_id="geomon-canary-0"), "reserved_id"),
    "an id with a slash": (upload(supervisee_id="SZ/0001"), "bad_id"),
    "an id of 1,000 characters": (upload(supervisee_id="x" * 1_000), "bad_id"),
    "an id with a line break": (upload(supervisee_id="SZ-0001\n"), "bad_id"),
    "an id that is a number": (upload(supervisee_id=1), "wrong_type"),
    "an arrival without offset": (upload(received="2024-02-13T09:30:05"), "bad_time"),
    "an arrival in 2100": (upload(received="2100-06-01T00:00:00+08:00"), "impossible_time"),
    "a heartbeat without any time": (
        json.dumps({**UPLOAD, "fixes": [], "received": None}).encode(),
        "missing_field",
    ),
    "a permit that ends before it begins": (
        json.dumps({**PERMIT, "until": "2024-02-02T00:00:00+08:00"}).encode(),
        "ends_before_it_begins",
    ),
    "a permit that ends as it begins": (
        json.dumps({**PERMIT, "until": PERMIT["from"]}).encode(),
        "ends_before_it_begins",
    ),
    "a destination in words": (
        json.dumps({**PERMIT, "destinations": ["Henan"]}).encode(),
        "bad_destination",
    ),
    "a permit until the 30th of February": (
        json.dumps({**PERMIT, "until": "2024-02-30T00:00:00+08:00"}).encode(),
        "bad_time",
    ),
    "a permit of an unknown kind": (json.dumps({**PERMIT, "kind": "picnic"}).encode(), "bad_value"),
    "a return from no leave": (
        json.dumps(
            {
                "type": "return",
                "supervisee_id": "SZ-0001",
                "permit_id": "L-1",
                "time": "2024-02-09T18:00:00+08:00",
            }
        ).encode(),
        "unknown_permit",
    ),
    "a leave approved by nobody known": (changed(PERMIT, approved_by="province"), "bad_value"),
    "a housing that is ajar": (upload(case="ajar"), "bad_value"),
    "a power that is neither on nor off": (upload(power="low"), "bad_value"),
    "a strap that is yes": (upload(strap=True), "wrong_type"),
    "a battery in words": (upload(battery_pct="full"), "wrong_type"),
    "a zone of no kind known": (changed(ZONE, kind="playground"), "bad_value"),
    "a zone without an id": (without(ZONE, "zone_id"), "missing_field"),
    "a zone whose id has a space": (changed(ZONE, zone_id="Z 1"), "bad_id"),
    "a zone without a shape": (without(ZONE, "circle"), "bad_zone"),
    "a zone with two shapes": (
        changed(ZONE, polygon=[[114.0, 22.5], [114.1, 22.5], [114.0, 22.6]]),
        "bad_zone",
    ),
    "a zone of two corners": (
        changed(ZONE, circle=None, polygon=[[114.0, 22.5], [114.1, 22.5]]),
        "bad_zone",
    ),
    "a corner with a height": (
        changed(ZONE, circle=None, polygon=[[114.0, 22.5, 3], [114.1, 22.5], [114.0, 22.6]]),
        "wrong_type",
    ),
    "a zone of one metre": (
        changed(ZONE, circle={"lon": 114.0, "lat": 22.5, "radius_m": 1}),
        "bad_zone",
    ),
    "a zone without datum": (without(ZONE, "datum"), "datum_undeclared"),
    "a zone of an unknown datum": (changed(ZONE, datum="beijing54"), "datum_unknown"),
    "a zone around NaN": (
        changed(ZONE, circle={"lon": float("nan"), "lat": 22.5, "radius_m": 150}),
        "not_finite",
    ),
    "a zone beyond the pole": (
        changed(ZONE, circle={"lon": 114.0, "lat": 91, "radius_m": 150}),
        "lat_out_of_range",
    ),
    "a zone off the map": (
        changed(ZONE, circle={"lon": 181, "lat": 22.5, "radius_m": 150}),
        "lon_out_of_range",
    ),
    "a zone that ends before it begins": (
        changed(ZONE, until=TERM["from"]),
        "ends_before_it_begins",
    ),
    "a schedule on the eighth day": (
        changed(ZONE, schedule=[{"days": [8], "from": "22:00", "until": "06:00"}]),
        "bad_schedule",
    ),
    "a schedule at half past noon": (
        changed(ZONE, schedule=[{"from": "half past noon", "until": "13:00"}]),
        "bad_schedule",
    ),
    "a check-in window without an end": (changed(PLAN, windows=[{"from": "8"}]), "missing_field"),
    "a check-in window at 25:00": (
        changed(PLAN, windows=[{"from": "23:00", "until": "25:00"}]),
        "bad_schedule",
    ),
    "an order on the sixth ground": (changed(ORDER, ground=6), "bad_value"),
    "an order on no ground": (without(ORDER, "ground"), "missing_field"),
    "an order on half a ground": (changed(ORDER, ground=1.5), "wrong_type"),
    "an order whose id is empty": (changed(ORDER, authorisation_id=""), "bad_id"),
    "an order until the year 2100": (
        changed(ORDER, until="2100-06-01T00:00:00+08:00"),
        "impossible_time",
    ),
    "an order for ever": (changed(ORDER, until="9999-12-31T24:00:00+08:00"), "impossible_time"),
    "a string of quotes that does not end": (b'{"x":"' + b'\\"' * 500_000, "broken_json"),
    "an id with half a character": (
        upload().replace(b'"SZ-0001"', rb'"SZ-\ud83d"'),
        "bad_id",
    ),
    "a type that is half a character": (
        upload().replace(b'"upload"', rb'"\ud83d"'),
        "unknown_type",
    ),
    "a sanction that is a fine": (changed(SANCTION, kind="fine"), "bad_value"),
    "a sanction without a time": (without(SANCTION, "time"), "missing_field"),
    "a sanction of 1999": (changed(SANCTION, time="1999-12-31T00:00:00Z"), "impossible_time"),
    "a disposal of somebody else's episode": (
        changed(DISPOSAL, episode="SZ-0002/tamper/2024-02-13T01:00:00Z"),
        "bad_episode",
    ),
    "a disposal of an alert, not its episode": (
        changed(DISPOSAL, episode="SZ-0001/tamper/2024-02-13T01:00:00Z#1"),
        "bad_episode",
    ),
    "a disposal of a kind that there is not": (
        changed(DISPOSAL, episode="SZ-0001/sneezing/2024-02-13T01:00:00Z"),
        "bad_episode",
    ),
    "a disposal of what is not open": (changed(DISPOSAL), "unknown_episode"),
    "a check-in that is nearly verified": (
        json.dumps(
            {
                "type": "check_in",
                "supervisee_id": "SZ-0001",
                "device_id": "phone-3",
                "time": "2024-02-13T09:00:00+08:00",
                "verified": "nearly",
            }
        ).encode(),
        "wrong_type",
    ),
    "a clock without a time": (b'{"type":"clock","supervisee_id":"SZ-0001"}', "missing_field"),
}

# One fix is refused, and its neighbour is judged.
FIXES = {
    "a longitude in words": (fix(lon="east"), "wrong_type"),
    "no latitude": (fix(lat=None), "wrong_type"),
    "NaN": (fix(lat=float("nan")), "not_finite"),
    "infinity": (fix(lon=float("inf")), "not_finite"),
    "latitude 91": (fix(lat=91), "lat_out_of_range"),
    "longitude 181": (fix(lon=181), "lon_out_of_range"),
    "0/0": (fix(lon=0, lat=0), "null_island"),
    "longitude and latitude swapped": (fix(lon=22.5431, lat=114.0579), "swapped_lon_lat"),
    "negative accuracy": (fix(accuracy_m=-5), "accuracy_not_positive"),
    "accuracy 0": (fix(accuracy_m=0), "accuracy_not_positive"),
    "accuracy NaN": (fix(accuracy_m=float("nan")), "not_finite"),
    "the year 1970": (fix(time="1970-01-01T00:00:00Z"), "impossible_time"),
    "the year 2100": (fix(time="2100-02-13T09:30:00+08:00"), "impossible_time"),
    "tomorrow": (fix(time="2024-02-14T09:30:00+08:00"), "fix_in_future"),
    "a time without offset": (fix(time="2024-02-13T09:30:00"), "bad_time"),
    "a time that is a number": (fix(time=1707788012), "wrong_type"),
    "a source of its own": (fix(source="sonar"), "bad_value"),
    "a fix that is no object": (upload(fixes=[FIX, 7]), "wrong_type"),
    "a position that is said to be faked": (fix(mock=True), "faked_position"),
    "a faked position off the map": (fix(mock=True, lat=91), "faked_position"),
    "a position that may be faked": (fix(mock="maybe"), "wrong_type"),
    "last week, before the horizon": (fix(time="2024-02-06T09:30:00+08:00"), "too_late"),
}


def replayed(zones: ZoneIndex, *lines: bytes) -> tuple[Replay, list[Rejected]]:
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), RULES, rejected.append)
    list(replay.feed(Raw(line, f"test:{number}") for number, line in enumerate(lines, 1)))
    list(replay.finish())
    return replay, rejected


@pytest.mark.parametrize("name", EVENTS)
def test_a_bad_event_has_one_reason_and_the_next_is_judged(zones: ZoneIndex, name: str) -> None:
    line, reason = EVENTS[name]
    replay, rejected = replayed(zones, line, upload())
    assert [refusal.reason for refusal in rejected] == [reason]
    assert rejected[0].fix == -1
    assert rejected[0].raw.where == "test:1"
    assert replay.counts["fixes"] == 1
    assert replay.rejections == {reason: 1}


@pytest.mark.parametrize("name", FIXES)
def test_a_bad_fix_is_refused_alone(zones: ZoneIndex, name: str) -> None:
    line, reason = FIXES[name]
    replay, rejected = replayed(zones, line)
    assert [refusal.reason for refusal in rejected] == [reason]
    assert rejected[0].fix == (1 if reason != "too_late" else -1)
    assert replay.people["SZ-0001"].newest_s > 0  # the good one beside it was judged


@pytest.mark.parametrize(
    ("datum", "reason"),
    [
        (None, "datum_undeclared"),
        ("", "datum_unknown"),
        ("beijing54", "datum_unknown"),
        (4326, "datum_unknown"),
    ],
)
def test_a_position_without_a_known_datum_is_never_judged(
    zones: ZoneIndex, datum: object, reason: str
) -> None:
    outside = {**FIX, "lon": 114.0, "lat": 24.0}
    replay, rejected = replayed(zones, upload(datum=datum, fixes=[outside, outside]))
    assert [refusal.reason for refusal in rejected] == [reason, reason]
    person = replay.people["SZ-0001"]
    _, band = person.devices
    assert band.heard_s > 0  # heard from
    assert (band.fix, band.cell, person.newest_s) == (None, None, 0)  # and nothing known of where
    assert not replay.alerts


HALF = {
    "in a word of its own": (rb'"note":"\ud83d"', "\ufffd"),
    "the second half": (rb'"note":"\uDE00 home"', "\ufffd home"),
    "between others": (rb'"note":"\ud83d\ude00\ud83d!"', "\U0001f600\ufffd!"),
    "after a backslash that is written": (rb'"note":"\\ud83d \ud83d"', "\\ud83d \ufffd"),
    "a whole one alone": (rb'"note":"\ud83d\ude00","half":NaN', "\U0001f600"),
}


@pytest.mark.parametrize("name", HALF)
def test_half_a_character_in_words_loses_no_position(zones: ZoneIndex, name: str) -> None:
    """An emoji that a phone cut in two is no UTF-8 that could ever be written."""
    written, read = HALF[name]
    line = upload()[:-1] + b"," + written + b"}"
    assert parse_json(line)["note"] == read
    replay, rejected = replayed(zones, line)
    assert not rejected
    assert replay.counts["fixes"] == 1


def test_every_reason_that_an_event_or_a_fix_can_be_refused_for_is_tried_here() -> None:
    tried = {reason for _, reason in (*EVENTS.values(), *FIXES.values())}
    # These three need a broker, its clock, or a defect; see test_intake.py and the stream's tests.
    elsewhere = {"arrival_in_future", "key_mismatch", "internal_error"}
    # And these come of what devices send, and of devices: see the gateway's tests.
    elsewhere |= {"bad_secret", "not_of_protocol", "bad_checksum", "bad_length", "not_its_time"}
    assert set(REASONS) - tried == elsewhere


def test_every_refusal_says_where_it_came_from_and_what_it_was(zones: ZoneIndex) -> None:
    lines = [line for line, _ in (*EVENTS.values(), *FIXES.values())]
    _, rejected = replayed(zones, *lines)
    records = [rejection_record(refusal) for refusal in rejected]
    assert len(records) == len(lines)
    assert {record["reason"] for record in records} <= set(REASONS)
    for record in records:
        assert msgspec.json.decode(msgspec.json.encode(record)) == record  # as the worker sends it
        assert record["meaning"]
        assert record["where"].startswith("test:")
        assert len(record["message"]) <= 4_096
