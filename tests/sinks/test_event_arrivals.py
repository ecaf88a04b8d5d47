"""How far a recording that is sent lets the clocks run on: as far as a replay in process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geomon.decoding import decode
from geomon.intake import Intake, Raw
from geomon.sinks.events import _arrived_s, _dated
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


@pytest.mark.parametrize("received", ["", ',"received":null'])
@pytest.mark.parametrize(
    ("clock_s", "wanted_s"), [(NOON_S, NOON_S), (0, 946_684_800)], ids=["later", "first of all"]
)
def test_an_old_paper_that_is_sent_does_not_take_the_persons_clock_to_today(
    zones: ZoneIndex, received: str, clock_s: int, wanted_s: int
) -> None:
    """As the contract has permits, without `received`; the broker has them years later."""
    said = json.dumps({"type": "supervisee", "supervisee_id": "SZ-0001", **TERM})
    line = f"{said[:-1]}{received}}} \n".encode()
    event, _ = decode(line)
    sent = Raw(_dated(line, event, clock_s), "test:1", arrived_s=NOON_S + 900 * 86_400)
    [arrival], _ = Intake(zones).take([sent])
    assert arrival.event.at_s == wanted_s
