"""Bad input is expected: one clear reason each, and everything else goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geomon.core.rules import Rules
from geomon.events import REASONS
from geomon.intake import Intake, Raw, Rejected
from geomon.rejections import rejection_record
from geomon.replay import Replay
from geomon.zones.index import ZoneIndex

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
    "last week, before the horizon": (fix(time="2024-02-06T09:30:00+08:00"), "too_late"),
}


def replayed(zones: ZoneIndex, *lines: bytes) -> tuple[Replay, list[Rejected]]:
    rejected: list[Rejected] = []
    replay = Replay(Intake(zones), Rules(), rejected.append)
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
    assert person.heard_s > 0  # heard from
    assert person.newest_s == 0  # and nothing known of where
    assert not replay.alerts


def test_every_refusal_says_where_it_came_from_and_what_it_was(zones: ZoneIndex) -> None:
    lines = [line for line, _ in (*EVENTS.values(), *FIXES.values())]
    _, rejected = replayed(zones, *lines)
    records = [rejection_record(refusal) for refusal in rejected]
    assert len(records) == len(lines)
    assert {record["reason"] for record in records} <= set(REASONS)
    for record in records:
        json.dumps(record)
        assert record["meaning"]
        assert record["where"].startswith("test:")
        assert len(record["message"]) <= 4_096
