"""The words of these tests: what one person's devices send and officers enter, as it arrives.

Times are China time in 2024: "02-13 09:30". Every function gives one event as it lies on the topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from geomon.dossier import Dossier, Record, dossier_of
from geomon.intake import Intake, Raw
from geomon.settings import Settings, rules_from
from geomon.zones.index import ZoneIndex

__all__ = [
    "CHINA",
    "DONGGUAN",
    "HENAN",
    "HOME",
    "WHO",
    "authorisation",
    "check_in",
    "check_in_plan",
    "clock",
    "composed",
    "disposal",
    "iso",
    "leave",
    "moment",
    "raw",
    "returned",
    "said",
    "sanction",
    "supervised",
    "text",
    "upload",
    "uploads",
    "zone",
]

CHINA = timezone(timedelta(hours=8))
WHO = "SZ-0001"
HOME = (114.0545, 22.5445)
DONGGUAN = (113.75, 23.02)
HENAN = (113.65, 34.75)

Event = dict[str, Any]


def moment(when: str) -> int:
    """POSIX seconds of a time of these tests."""
    form = "%Y-%m-%d %H:%M:%S" if when.count(":") == 2 else "%Y-%m-%d %H:%M"
    return int(datetime.strptime(f"2024-{when}", form).replace(tzinfo=CHINA).timestamp())


def text(time_s: int) -> str:
    """The other way round; "" for 0."""
    return f"{datetime.fromtimestamp(time_s, CHINA):%m-%d %H:%M}" if time_s else ""


def iso(when: str) -> str:
    """A time as events have it."""
    return datetime.fromtimestamp(moment(when), CHINA).isoformat()


def raw(event: Mapping[str, Any], who: str = WHO) -> Raw:
    """An event as it arrives; `who` is whose, unless it says so."""
    return Raw(msgspec.json.encode({"supervisee_id": who, **event}), "test")


def _event(type_: str, told: str, /, **fields: Any) -> Event:
    return {"type": type_, "received": iso(told), **fields}


def _paper(type_: str, told: str, begin: str, end: str, /, **fields: Any) -> Event:
    return _event(type_, told, **{"from": iso(begin), "until": iso(end)}, **fields)


def supervised(told: str, level: str = "normal", end: str = "12-31 00:00") -> Event:
    return _paper(
        *("supervisee", told, "01-01 00:00", end),
        **{"level": level, "district": "440304", "street": "莲花街道"},
    )


def leave(told: str, begin: str, end: str, **fields: Any) -> Event:
    standard = {"permit_id": "L-1", "kind": "leave", "destinations": ["410000"]}
    return _paper("permit", told, begin, end, **{**standard, **fields})


def authorisation(told: str, begin: str, end: str, **fields: Any) -> Event:
    standard = {"authorisation_id": "A-1", "ground": 2}
    return _paper("authorisation", told, begin, end, **{**standard, **fields})


def zone(told: str, **fields: Any) -> Event:
    lon, lat = HOME
    standard = {
        "zone_id": "Z-1",
        "kind": "exclusion",
        "datum": "wgs84",
        "circle": {"lon": lon, "lat": lat, "radius_m": 150},
    }
    return _paper("zone", told, "01-01 00:00", "12-31 00:00", **{**standard, **fields})


def check_in_plan(told: str, *windows: tuple[str, str]) -> Event:
    weekly = [{"from": begin, "until": end} for begin, end in windows]
    return _paper("check_in_plan", told, "01-01 00:00", "12-31 00:00", windows=weekly)


def returned(told: str, permit_id: str = "L-1") -> Event:
    return _event("return", told, permit_id=permit_id, time=iso(told))


def check_in(when: str, *, verified: bool = True) -> Event:
    return _event("check_in", when, device_id="phone-1", time=iso(when), verified=verified)


def sanction(when: str, sanction_id: str, kind: str = "admonition") -> Event:
    return _event("sanction", when, sanction_id=sanction_id, kind=kind, time=iso(when))


def disposal(when: str, episode: str, **fields: Any) -> Event:
    standard = {"officer": "o-12", "reason": "checked", "result": "strap replaced"}
    return _event("disposal", when, episode=episode, time=iso(when), **{**standard, **fields})


def clock(when: str) -> Event:
    return _event("clock", when)


def upload(
    told: str,
    at: tuple[float, float] | None = HOME,
    *,
    taken: Sequence[str] = (),
    device: str = "phone",
    **fields: Any,
) -> Event:
    """An upload with a fix taken then (or at the times given); `at` None: a heartbeat."""
    fixes = []
    if at is not None:
        lon, lat = at
        for when in taken or [told]:
            # No two positions of a receiver are the very same.
            wander = moment(when) // 60 % 7 * 1e-5
            fix = {"time": iso(when), "lon": lon + wander, "lat": lat, "accuracy_m": 12}
            fixes.append({**fix, "source": "gnss"})
    standard = {"device_id": f"{device}-1", "device": device, "datum": "wgs84", "fixes": fixes}
    return _event("upload", told, **{**standard, **fields})


def uploads(
    begin: str, end: str, at: tuple[float, float] | None = HOME, *, every_min: int = 60, **more: Any
) -> list[Event]:
    """Uploads every so often, from `begin` to before `end`."""
    return [
        upload(f"{datetime.fromtimestamp(t, CHINA):%m-%d %H:%M}", at, **more)
        for t in range(moment(begin), moment(end), every_min * 60)
    ]


def composed(
    zones: ZoneIndex,
    events: Iterable[Mapping[str, Any]],
    *,
    begin: str = "",
    end: str = "",
    record: Record | None = None,
) -> Dossier:
    """The dossier of what has arrived."""
    found = dossier_of(
        WHO,
        [raw(event) for event in events],
        Intake(zones),
        rules_from(Settings()),
        from_s=moment(begin) if begin else 0,
        until_s=moment(end) if end else 0,
        record=record,
    )
    assert found is not None
    return found


def said(dossier: Dossier, section: str, *fields: str) -> list[tuple[Any, ...]]:
    """Fields of a section's entries, times as these tests write them."""
    rows = []
    for entry in dossier.sections[section]:
        values = [getattr(entry, name) for name in fields]
        rows.append(
            tuple(
                text(value) if name.endswith("_s") and name not in {"age_s", "left_s"} else value
                for name, value in zip(fields, values, strict=True)
            )
        )
    return rows
