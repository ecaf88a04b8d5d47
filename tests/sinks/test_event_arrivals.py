"""How far a recording that is sent lets the clocks run on: as far as a replay in process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geomon.decoding import decode
from geomon.intake import Intake, Raw
from geomon.sinks.events import _arrived_s
from geomon.zones.index import ZoneIndex

NOON = "2024-02-13T12:00:00+08:00"
NOON_S = 1_707_796_800
TERM = {"from": "2024-02-01T00:00:00+08:00", "until": "2024-02-29T24:00:00+08:00"}
FIX = {"time": NOON, "lon": 114.05, "lat": 22.54}
UPLOAD = {"device_id": "band-1", "device": "wristband", "datum": "wgs84"}
TAMPER = "SZ-0001/tamper/2024-02-13T01:00:00Z"


@pytest.mark.parametrize(
    ("tag", "fields", "arrived_s"),
    [
        ("upload", UPLOAD | {"fixes": [FIX]}, NOON_S),
        ("upload", UPLOAD | {"fixes": [FIX], "datum": "mars"}, NOON_S),
        ("return", {"permit_id": "L-1", "time": NOON}, NOON_S),
        ("check_in", {"device_id": "phone-1", "time": NOON}, NOON_S),
        ("sanction", {"sanction_id": "P-1", "kind": "warning", "time": NOON}, NOON_S),
        ("disposal", {"episode": TAMPER, "officer": "o-12", "time": NOON}, NOON_S),
        ("supervisee", TERM, 0),
        ("permit", {"permit_id": "L-1", "kind": "leave", "destinations": [], **TERM}, 0),
        ("check_in_plan", TERM, 0),
        ("authorisation", {"authorisation_id": "A-1", "ground": 1, **TERM}, 0),
        ("zone", {"zone_id": "Z-1", "kind": "curfew", "status": "removed", **TERM}, 0),
    ],
)
def test_the_sender_and_the_intake_agree_when_an_event_arrived(
    zones: ZoneIndex, tag: str, fields: dict[str, Any], arrived_s: int
) -> None:
    for received, wanted_s in ((None, arrived_s), ("2024-02-13T13:00:00+08:00", NOON_S + 3_600)):
        said = {"type": tag, "supervisee_id": "SZ-0001", **fields}
        if received:
            said["received"] = received
        line = json.dumps(said).encode()
        event, _ = decode(line)
        [arrival], _ = Intake(zones).take([Raw(line, "test:1")])
        assert _arrived_s(event) == arrival.event.at_s == wanted_s
