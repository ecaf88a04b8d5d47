"""Events as they arrive, and what an intake makes of them."""

from __future__ import annotations

import json
from typing import Any

from geomon.core.observed import Heard, Observed
from geomon.intake import Arrival, Intake, Raw, Rejected
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

__all__ = [
    "BAND",
    "BY_THE_RIVER",
    "CIRCLE",
    "CIVIC_CENTRE",
    "DONGGUAN",
    "GUANGMING",
    "NOON_S",
    "PERMIT",
    "PHONE",
    "RULES",
    "TAMPER",
    "THAT_YEAR",
    "at",
    "day_of_everything",
    "event",
    "fix",
    "heard",
    "lines",
    "raw",
    "refusals",
    "taken",
    "told",
    "upload",
]

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
