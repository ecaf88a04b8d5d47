"""The JSON of Traccar Client 9, as its source writes it (see the module)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from readings import NOON, only, position, refused

from geomon.errors import Refusal
from geomon.gateway import traccar
from geomon.gateway.reports import Position, RefusedPart, Report


def traccar_body(**location: Any) -> dict[str, Any]:
    """A request of Traccar Client 9, as its template writes it."""
    return {
        "location": {
            "timestamp": "2024-02-13T04:00:00.000Z",
            "coords": {
                "latitude": 22.5431,
                "longitude": 114.0579,
                "accuracy": 14.2,
                "speed": 0.4,
                "heading": 93.1,
                "altitude": 12.5,
            },
            "is_moving": False,
            "odometer": 1200,
            "event": "motionchange",
            "battery": {"level": 0.71, "is_charging": True},
            "activity": {"type": "still"},
            "extras": {},
            "_": "&id=phone-3&lat=22.5431&lon=114.0579&timestamp=2024-02-13T04:00:00.000Z&",
            **location,
        },
        "device_id": "phone-3",
    }


def reports_of(body: Any) -> list[Report]:
    return traccar.reports_of(traccar.read(json.dumps(body).encode()))


def test_traccar_client_9() -> None:
    report = only(reports_of(traccar_body()))
    assert position(report) == Position(
        time=NOON,
        lon=114.0579,
        lat=22.5431,
        accuracy_m=14.2,
        speed_mps=0.4,
        heading_deg=93.1,
        altitude_m=12.5,
    )
    assert report.battery_pct == pytest.approx(71)
    assert report.charging is True
    assert report.signs == [
        *("event=motionchange", "is_moving=false", "odometer=1200", "activity=still")
    ]
    assert traccar.device_id(traccar_body()) == "phone-3"


def test_what_the_library_does_not_know_is_minus_one() -> None:
    coords = {"latitude": 22.5, "longitude": 114.0, "accuracy": -1, "speed": -1, "heading": -1}
    body = traccar_body(coords=coords, battery={"level": -1, "is_charging": False})
    report = only(reports_of(body))
    assert position(report) == Position(NOON, 114.0, 22.5)
    assert report.battery_pct is None


def test_a_batch_is_one_report_for_each_location_and_its_bad_one_is_refused_alone() -> None:
    one = traccar_body()["location"]
    good, bad, faked = reports_of(
        {"device_id": "phone-3", "location": [one, {"coords": {}}, {**one, "mock": True}]}
    )
    assert position(good).mock is None
    assert bad.refused == [RefusedPart("missing_field", "timestamp", 1)]
    assert position(faked).mock is True


def test_numbers_that_are_no_json_are_refused_where_they_stand() -> None:
    body = json.dumps(traccar_body()).replace("0.4", "NaN").encode()
    report = only(traccar.reports_of(traccar.read(body)))
    assert position(report).speed_mps is None
    body = json.dumps(traccar_body()).replace("22.5431, ", "NaN, ").encode()
    assert refused(only(traccar.reports_of(traccar.read(body)))) == "not_finite"


def test_of_a_body_that_is_no_json_at_least_the_device_is_found() -> None:
    body = json.dumps(traccar_body()).replace("0.4", "nan").encode()
    with pytest.raises(Refusal):
        traccar.read(body)
    assert traccar.device_id_in(body) == "phone-3"
    assert traccar.device_id_in(b'{"device_id": ') == ""


def test_an_alarm_that_a_person_raises_is_kept() -> None:
    report = only(reports_of(traccar_body(extras={"alarm": "sos"})))
    assert "alarm=sos" in report.signs


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "broken_json"),
        (b"{", "broken_json"),
        (b"[]", "not_an_object"),
        (b"[" * 5_000, "too_deep"),
        (b"{}", "missing_field"),
    ],
)
def test_what_is_no_upload_of_traccar_client(body: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        traccar.reports_of(traccar.read(body))
    assert refusal.value.reason == reason
