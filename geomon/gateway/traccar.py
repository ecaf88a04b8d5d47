"""The JSON that Traccar Client sends from version 9 on.

Facts from https://www.traccar.org/osmand/, the source of the client
(https://github.com/traccar/traccar-client, lib/preferences.dart) and the documentation of the
library inside it (https://pub.dev/documentation/flutter_background_geolocation, HttpEvent):

- A POST has one object: `device_id`, and `location` with `timestamp` (ISO 8601), `coords`
  (`latitude`, `longitude`, `accuracy`, `speed` in m/s, `heading`, `altitude`), `battery` (`level`
  from 0 to 1, `is_charging`), `is_moving`, `event`, `activity.type`, `odometer` and `extras`. Where
  the library is told to send in batches, `location` is a list of these.
- What the phone does not know is -1.
- The library destroys a record when the answer is 200, 201 or 204, and keeps it after any other:
  as with the older client, a refusal would come again for ever.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from geomon import decoding
from geomon.errors import Refusal
from geomon.gateway import values
from geomon.gateway.reports import Position, RefusedPart, Report, check_pieces

__all__ = ["device_id", "device_id_in", "read", "reports_of"]

_DEVICE_ID = re.compile(rb'"device_id"\s*:\s*"([^"\\]{1,64})"')
#: Words of a location that are kept as the device's own.
_SIGNS = ("event", "is_moving", "is_heartbeat", "odometer")


def read(body: bytes) -> dict[str, Any]:
    """Read the JSON of a request. Raises `Refusal` when it is none, or no object.

    NaN and Infinity, which are not JSON, may be in it: the client writes numbers as it has them.
    """
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = decoding.parse_json(body)
    if not isinstance(parsed, dict):
        raise Refusal("not_an_object", type(parsed).__name__)
    return parsed


def device_id_in(body: bytes) -> str:
    """Give the id in a body that is not JSON as a whole; empty when it is not to be found."""
    found = _DEVICE_ID.search(body)
    return found[1].decode("utf-8", "replace") if found else ""


def device_id(upload: dict[str, Any]) -> str:
    """Give the id that the device calls itself by; empty when it gives none."""
    given = upload.get("device_id")
    return given if isinstance(given, str) else str(given) if isinstance(given, int) else ""


def reports_of(upload: dict[str, Any]) -> list[Report]:
    """Give a report for each location. What cannot be read of it is in its `refused`.

    Raises `Refusal` when there is no `location` in it.
    """
    locations = upload.get("location")
    if locations is None:
        raise Refusal("missing_field", "location")
    if not isinstance(locations, list):
        locations = [locations]
    check_pieces(locations)
    return [_report(location, number) for number, location in enumerate(locations)] or [Report()]


def _report(location: Any, number: int) -> Report:
    if not isinstance(location, dict):
        return Report(refused=[RefusedPart("wrong_type", "location", number)])
    battery, extras = _dict(location.get("battery")), _dict(location.get("extras"))
    charging = battery.get("is_charging")
    signs = [values.sign(n, location[n]) for n in _SIGNS if _is_plain(location.get(n))]
    activity = _dict(location.get("activity")).get("type")
    if _is_plain(activity):
        signs.append(values.sign("activity", activity))
    signs += [values.sign(name, value) for name, value in extras.items() if _is_plain(value)]
    report = Report(
        battery_pct=values.percent(battery.get("level"), whole=1.0),
        charging=charging if isinstance(charging, bool) else None,
        signs=signs,
    )
    try:
        report.positions = [_position(location)]
    except Refusal as refusal:
        report.refused = [RefusedPart(refusal.reason, refusal.detail, number)]
    return report


def _position(location: dict[str, Any]) -> Position:
    coords = location.get("coords")
    if not isinstance(coords, dict):
        raise Refusal("missing_field", "coords")
    for name, of in (("timestamp", location), ("longitude", coords), ("latitude", coords)):
        if of.get(name) is None:
            raise Refusal("missing_field", name)
    mock = location.get("mock", coords.get("mock"))
    return Position(
        time=values.instant(location["timestamp"], "timestamp"),
        lon=values.number(coords["longitude"], "longitude"),
        lat=values.number(coords["latitude"], "latitude"),
        accuracy_m=values.positive(coords.get("accuracy")),
        speed_mps=values.unsigned(coords.get("speed")),
        heading_deg=values.unsigned(coords.get("heading")),
        altitude_m=values.number_or_none(coords.get("altitude")),
        mock=mock if isinstance(mock, bool) else None,
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)
