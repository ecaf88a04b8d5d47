"""OwnTracks' JSON, written after https://owntracks.org/booklet/tech/json/ (see the module)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from readings import NOON, NOON_S, only, position, refused

from geomon.errors import Refusal
from geomon.gateway import owntracks
from geomon.gateway.reports import AccessPoint, Position, Report

LOCATION = {
    "_type": "location",
    "acc": 14,
    "alt": 12,
    "batt": 71,
    "bs": 2,
    "cog": 93,
    "conn": "w",
    "created_at": NOON_S + 3,
    "inregions": ["Home"],
    "lat": 22.5431,
    "lon": 114.0579,
    "m": 1,
    "SSID": "a network",
    "BSSID": "0:14:22:1:23:45",
    "t": "u",
    "tid": "p3",
    "topic": "owntracks/phone-3/android",
    "tst": NOON_S,
    "vac": 3,
    "vel": 36,
}


def told(message: Any) -> list[Report]:
    return owntracks.reports_of(json.dumps(message).encode())


def test_a_location_of_owntracks() -> None:
    report = only(told({**LOCATION, "BSSID": "00:14:22:01:23:45"}))
    found = position(report)
    assert found.speed_mps == pytest.approx(10)  # 36 km/h
    assert found == Position(
        time=NOON,
        lon=114.0579,
        lat=22.5431,
        accuracy_m=14,
        speed_mps=found.speed_mps,
        heading_deg=93,
        altitude_m=12,
    )
    assert (report.battery_pct, report.charging) == (71, True)
    assert report.access_points == [AccessPoint("00:14:22:01:23:45")]
    assert {"t=u", "conn=w", "m=1", "SSID=a network", "inregions=Home"} <= set(report.signs)


def test_a_message_of_no_bytes_is_ignored() -> None:
    assert owntracks.reports_of(b"") == []


def test_a_bssid_that_is_none_is_left_out() -> None:
    assert only(told(LOCATION)).access_points == []


def test_entering_a_region_is_a_position_where_one_is_given() -> None:
    entered = {
        "_type": "transition",
        "wtst": NOON_S - 9_000,
        "lat": 22.54,
        "lon": 114.05,
        "tst": NOON_S,
        "acc": 30,
        "event": "enter",
        "desc": "Home",
        "t": "c",
    }
    report = only(told(entered))
    assert position(report) == Position(NOON, 114.05, 22.54, accuracy_m=30)
    assert {"event=enter", "desc=Home"} <= set(report.signs)
    beacon = {k: v for k, v in entered.items() if k not in ("lat", "lon")}
    assert only(told(beacon)).positions == []


@pytest.mark.parametrize("kind", ["waypoint", "waypoints", "status", "card", "steps", "beacon"])
def test_the_place_of_a_region_is_no_position_of_the_phone(kind: str) -> None:
    report = only(told({"_type": kind, "lat": 1.0, "lon": 2.0, "tst": NOON_S, "desc": "Home"}))
    assert (report.positions, report.signs) == ([], [f"_type={kind}"])


def test_of_a_last_will_nobody_was_heard_from() -> None:
    assert told({"_type": "lwt", "tst": NOON_S}) == []


@pytest.mark.parametrize("trigger", ["l", "L"])
def test_a_last_known_position_is_none_of_now(trigger: str) -> None:
    assert only(told({**LOCATION, "t": trigger})).positions == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"_type": "encrypted", "data": "…"}, "not_of_protocol"),
        ({"_type": "something else"}, "not_of_protocol"),
        ({"lat": 1}, "not_of_protocol"),
        (3, "not_an_object"),
    ],
)
def test_what_is_no_message_of_owntracks(message: Any, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        told(message)
    assert refusal.value.reason == reason


def test_a_location_without_its_time_is_refused_and_the_phone_heard_from() -> None:
    report = only(told({"_type": "location", "lat": 22.5, "lon": 114.0, "batt": 4}))
    assert refused(report) == "missing_field"
    assert report.battery_pct == 4
