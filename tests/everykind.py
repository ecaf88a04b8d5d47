"""A recording in which everything happens once: every type of event, every kind of alert.

Invented people in Shenzhen, February 2024, each with one trouble or two. Lines are in order of
arrival. What is refused is in `BAD`, one line for every reason of the newer events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from geomon.intake import Raw

__all__ = ["BAD", "everything"]

CHINA = timezone(timedelta(hours=8))
YEAR = {"from": "2024-01-01T00:00:00+08:00", "until": "2024-12-31T24:00:00+08:00"}
#: Deep inside the city, nearer to its edge, and outside.
GUANGMING, LONGGANG, DONGGUAN = (113.93, 22.75), (114.33, 22.72), (113.75, 23.02)
#: Two kilometres from the first.
DOWN_THE_ROAD = (113.95, 22.75)

Event = dict[str, Any]


def at(text: str, minutes: float = 0) -> str:
    """A time in February 2024, "13 09:30", some minutes later."""
    time = datetime.strptime(f"2024 02 {text}", "%Y %m %d %H:%M").replace(tzinfo=CHINA)
    return (time + timedelta(minutes=minutes)).isoformat()


def sent(
    whose: str,
    time: str,
    place: tuple[float, float] | None = GUANGMING,
    *,
    device: str = "phone",
    source: str = "gnss",
    mock: bool | None = None,
    **fields: Any,
) -> Event:
    """An upload of one fix, or without a place a heartbeat."""
    fixes: list[Event] = []
    if place is not None:
        # A receiver at rest wanders: not twice the very same position.
        wander = (sum(map(ord, time)) * 7919 % 97) * 1e-6
        fix = {"time": time, "lon": place[0] + wander, "lat": place[1], "accuracy_m": 12}
        fixes.append(fix | {"source": source} | ({} if mock is None else {"mock": mock}))
    return {
        "type": "upload",
        "supervisee_id": whose,
        "device_id": f"{device}-{whose}",
        "device": device,
        "datum": "wgs84",
        "received": time,
        "battery_pct": 80,
        **fields,
        "fixes": fixes,
    }


def paper(tag: str, whose: str, received: str, **fields: Any) -> Event:
    return {"type": tag, "supervisee_id": whose, "received": received, **fields}


def announced(whose: str, level: str = "normal", received: str = "12 08:00") -> Event:
    terms = {"district": "440311", "street": "光明街道", "level": level, **YEAR}
    return paper("supervisee", whose, at(received), **terms)


def exempt(whose: str) -> Event:
    """No check-ins are asked of this person, so that the other trouble stands alone."""
    return paper("check_in_plan", whose, at("12 08:00"), **YEAR)


def order(whose: str, until: str = "2024-03-31T24:00:00+08:00", **fields: Any) -> Event:
    terms = {"authorisation_id": "A-1", "ground": 2, "until": until}
    terms["from"] = "2024-01-15T00:00:00+08:00"
    return paper("authorisation", whose, at("12 08:00"), **terms, **fields)


def every(
    whose: str, begin: str, minutes: float, step: float, *args: Any, **fields: Any
) -> Iterator[Event]:
    """The same upload again and again."""
    count = int(minutes / step) + 1
    return (sent(whose, at(begin, i * step), *args, **fields) for i in range(count))


def _away() -> Iterator[Event]:
    """Out of the city for two days without leave, sanctioned before, back in the end."""
    yield announced("SZ-0101")
    yield exempt("SZ-0101")
    for number, time in (("P-1", "12 09:00"), ("P-2", "12 10:00")):
        yield paper(
            "sanction", "SZ-0101", at(time), sanction_id=number, kind="admonition", time=at(time)
        )
    yield from every("SZ-0101", "12 20:00", 60, 10)
    yield from every("SZ-0101", "13 08:00", 2 * 1440, 60, DONGGUAN)
    yield from every("SZ-0101", "15 10:00", 120, 10)


def _on_leave() -> Iterator[Event]:
    """On leave to Henan, elsewhere, and not back when it ends."""
    yield announced("SZ-0102")
    yield exempt("SZ-0102")
    leave = {"permit_id": "L-1", "kind": "leave", "destinations": ["410000"]}
    term = {"from": at("12 18:00"), "until": at("15 00:00")}
    yield paper("permit", "SZ-0102", at("12 09:00"), **leave, **term)
    yield from every("SZ-0102", "12 12:00", 60, 10)
    yield from every("SZ-0102", "12 22:00", 3 * 1440, 60, DONGGUAN)
    yield paper("return", "SZ-0102", at("16 09:00"), permit_id="L-1", time=at("16 08:30"))
    yield from every("SZ-0102", "16 09:00", 60, 10)


def _run_down() -> Iterator[Event]:
    """A battery runs low, the phone falls silent, and is heard again; windows are missed."""
    yield announced("SZ-0103")
    yield from every("SZ-0103", "12 09:00", 60, 10)
    yield sent("SZ-0103", at("12 10:10"), battery_pct=3)
    yield from every("SZ-0103", "14 09:00", 60, 10, charging=True)
    checked = {"device_id": "phone-SZ-0103", "time": at("14 10:30"), "verified": True}
    yield paper("check_in", "SZ-0103", at("14 10:30"), **checked)


def _tampered() -> Iterator[Event]:
    """A wristband without positions; then opened, closed, dealt with, switched off."""
    yield announced("SZ-0104", "strict")
    yield exempt("SZ-0104")
    yield order("SZ-0104")
    yield from every("SZ-0104", "12 09:00", 20, 1, device="wristband", strap="closed")
    yield from every("SZ-0104", "12 09:21", 60, 3, None, device="wristband", strap="closed")
    # Then its strap and case are opened, closed again, and an officer comes.
    yield sent("SZ-0104", at("12 10:30"), device="wristband", strap="open")
    yield sent("SZ-0104", at("12 10:31"), device="wristband", strap="open", case="open")
    yield sent("SZ-0104", at("12 10:40"), device="wristband", strap="closed", case="closed")
    began = datetime.fromisoformat(at("12 10:30")).astimezone(timezone.utc)
    episode = f"SZ-0104/tamper/{began:%Y-%m-%dT%H:%M:%SZ}"
    disposal = {"episode": episode, "officer": "o-12", "time": at("12 11:00"), "result": "warned"}
    yield paper("disposal", "SZ-0104", at("12 11:00"), **disposal)
    # Switched off, and lost.
    yield sent("SZ-0104", at("12 11:05"), device="wristband", strap="closed", power="off")


def _apart() -> Iterator[Event]:
    """The phone lies at home, the wristband is elsewhere."""
    yield announced("SZ-0105", "strict")
    yield exempt("SZ-0105")
    yield order("SZ-0105")
    for minute in range(0, 60, 2):
        place = GUANGMING if minute < 10 else DOWN_THE_ROAD
        yield sent("SZ-0105", at("12 09:00", minute), place, device="wristband", strap="closed")
        yield sent("SZ-0105", at("12 09:00", minute + 0.5))


def _faking() -> Iterator[Event]:
    """A phone that says itself that it fakes."""
    yield announced("SZ-0106")
    yield exempt("SZ-0106")
    yield sent("SZ-0106", at("12 09:00"))
    yield sent("SZ-0106", at("12 09:10"), mock=True)
    yield sent("SZ-0106", at("12 09:20"), mock=False)


def _in_zones() -> Iterator[Event]:
    """A forbidden zone entered by day; a home left by night; the zone taken back."""
    yield announced("SZ-0107")
    yield exempt("SZ-0107")
    school = {"lon": GUANGMING[0] + 0.01, "lat": GUANGMING[1], "radius_m": 200}
    home = {"lon": GUANGMING[0], "lat": GUANGMING[1], "radius_m": 200}
    night = [{"from": "22:00", "until": "06:00"}]
    for zone_id, kind, circle, schedule in (
        ("Z-1", "exclusion", school, []),
        ("Z-2", "curfew", home, night),
    ):
        zone = {"zone_id": zone_id, "kind": kind, "datum": "wgs84", "schedule": schedule, **YEAR}
        yield paper("zone", "SZ-0107", at("12 08:00"), circle=circle, **zone)
    at_school = (school["lon"], school["lat"])
    yield from every("SZ-0107", "12 09:00", 60, 10)
    yield from every("SZ-0107", "12 10:10", 40, 5, at_school)
    yield from every("SZ-0107", "12 11:00", 10 * 60, 30)
    yield from every("SZ-0107", "12 22:05", 90, 10, DOWN_THE_ROAD)
    yield from every("SZ-0107", "12 23:40", 60, 10)
    taken_back = {"zone_id": "Z-1", "kind": "exclusion", "status": "removed", **YEAR}
    yield paper("zone", "SZ-0107", at("13 09:00"), **taken_back)


def _near_the_line() -> Iterator[Event]:
    """On the motorway towards the line, and home again."""
    yield announced("SZ-0108")
    yield exempt("SZ-0108")
    yield from every("SZ-0108", "12 09:00", 60, 10, LONGGANG)
    for minute, lon in ((0, 114.375), (1, 114.388)):
        yield sent("SZ-0108", at("12 10:10", minute), (lon, LONGGANG[1]))
    yield from every("SZ-0108", "12 10:20", 60, 10, LONGGANG)


def _papers() -> Iterator[Event]:
    """Papers that nobody looked after."""
    yield announced("SZ-0109")
    yield exempt("SZ-0109")
    yield order("SZ-0109", until="2024-02-17T24:00:00+08:00")
    standing = {"permit_id": "S-1", "kind": "standing", "destinations": ["441900"]}
    spring = {"from": "2024-01-01T00:00:00+08:00", "until": "2024-02-16T24:00:00+08:00"}
    yield paper("permit", "SZ-0109", at("12 08:00"), **standing, **spring)
    long = {"permit_id": "L-9", "kind": "leave", "destinations": ["410000"]}
    term = {"from": at("20 00:00"), "until": "2024-03-05T00:00:00+08:00"}
    yield paper("permit", "SZ-0109", at("12 09:00"), **long, **term, approved_by="street")
    yield from every("SZ-0109", "12 09:00", 60, 2, device="wristband", strap="closed")
    yield paper("clock", "SZ-0109", at("18 00:00"))


LIVES = (
    _away,
    _on_leave,
    _run_down,
    _tampered,
    _apart,
    _faking,
    _in_zones,
    _near_the_line,
    _papers,
)


def everything() -> list[Raw]:
    """Give the lines, in order of arrival."""
    said = sorted(
        (e for life in LIVES for e in life()),
        key=lambda event: datetime.fromisoformat(event["received"]),
    )
    return [Raw(json.dumps(event).encode(), f"life:{n}") for n, event in enumerate(said, 1)]


ZONE = {"zone_id": "Z-9", "kind": "exclusion", "datum": "wgs84", **YEAR}
NINE = at("12 09:00")
#: What is refused, and why.
BAD: list[tuple[Event, str]] = [
    (paper("zone", "SZ-0199", NINE, **ZONE), "bad_zone"),
    (
        paper(
            "check_in_plan", "SZ-0199", NINE, windows=[{"from": "8:00", "until": "9:00"}], **YEAR
        ),
        "bad_schedule",
    ),
    (
        paper("disposal", "SZ-0199", NINE, episode="SZ-0102/tamper/x", officer="o", time=NINE),
        "bad_episode",
    ),
    (
        paper(
            *("disposal", "SZ-0199", NINE),
            episode="SZ-0199/tamper/2024-02-12T00:00:00Z",
            officer="o-12",
            time=NINE,
        ),
        "unknown_episode",
    ),
    (sent("SZ-0199", NINE, mock=True), "faked_position"),
    (paper("return", "SZ-0199", NINE, permit_id="L-7", time=NINE), "unknown_permit"),
    (
        paper("authorisation", "SZ-0199", NINE, authorisation_id="A-9", ground=9, **YEAR),
        "bad_value",
    ),
    (paper("sanction", "SZ-0199", NINE, sanction_id="P 9", kind="warning", time=NINE), "bad_id"),
]
