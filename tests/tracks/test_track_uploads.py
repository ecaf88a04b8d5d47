"""Fixes become upload events of the contract."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from geomon.errors import UserError
from geomon.tracks.trackfix import TrackFix
from geomon.tracks.uploads import Carrier, uploads

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)
ONE = Carrier(datum="gcj02", person="SZ-0001", device="wristband", device_id="band-17")
MANY = Carrier(datum="wgs84", person_prefix="taxi-", source="gnss")


def fix(track_id: str | None, second: int, **more: Any) -> TrackFix:
    return TrackFix(track_id, T + timedelta(seconds=second), 114.1, 22.5, **more)


def events(fixes: list[TrackFix], carrier: Carrier, n: int = 1) -> list[Any]:
    return [json.loads(event) for event in uploads(fixes, carrier, fixes_per_upload=n)]


def test_an_upload_has_the_names_of_the_contract_and_says_nothing_unknown() -> None:
    full = fix(
        None, 0, accuracy_m=12.0, source="wifi", speed_mps=0.4, heading_deg=90.0, altitude_m=3.5
    )
    assert events([full, fix(None, 1)], ONE, 2) == [
        {
            "type": "upload",
            "supervisee_id": "SZ-0001",
            "device_id": "band-17",
            "device": "wristband",
            "datum": "gcj02",
            "fixes": [
                {
                    "time": "2024-02-13T01:30:00Z",
                    "lon": 114.1,
                    "lat": 22.5,
                    "accuracy_m": 12.0,
                    "source": "wifi",
                    "speed_mps": 0.4,
                    "heading_deg": 90.0,
                    "altitude_m": 3.5,
                },
                {"time": "2024-02-13T01:30:01Z", "lon": 114.1, "lat": 22.5},
            ],
        }
    ]


def test_the_order_of_fixes_is_the_order_of_arrival() -> None:
    times = [e["fixes"][0]["time"][-3:] for e in events([fix(None, s) for s in (5, 3, 4)], ONE)]
    assert times == ["05Z", "03Z", "04Z"]


def test_each_id_is_a_person_with_a_device_of_its_own() -> None:
    found = events([fix("1", 0), fix("2", 1)], MANY)
    assert [(e["supervisee_id"], e["device_id"], e["fixes"][0]["source"]) for e in found] == [
        ("taxi-1", "phone-taxi-1", "gnss"),
        ("taxi-2", "phone-taxi-2", "gnss"),
    ]


def test_an_upload_leaves_when_it_is_full_and_the_rest_at_the_end() -> None:
    arriving = [fix(i, s) for s, i in enumerate("12121131")]
    found = [
        (e["supervisee_id"][-1], [f["time"][-2] for f in e["fixes"]])
        for e in events(arriving, MANY, 3)
    ]
    assert found == [("1", ["0", "2", "4"]), ("2", ["1", "3"]), ("1", ["5", "7"]), ("3", ["6"])]


@pytest.mark.parametrize("n", [0, 1001])
def test_the_contract_limits_the_fixes_of_an_upload(n: int) -> None:
    with pytest.raises(UserError, match="between 1 and 1000"):
        events([], ONE, n)


def test_a_track_without_ids_needs_its_person() -> None:
    with pytest.raises(UserError, match="--person"):
        events([fix(None, 0)], MANY)
