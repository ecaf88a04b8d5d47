"""OwnTracks' JSON, which is the same over HTTP and MQTT.

Facts from https://owntracks.org/booklet/tech/json/ and https://owntracks.org/booklet/tech/http/,
the source of the Android app (https://github.com/owntracks/android, HttpMessageProcessorEndpoint)
and https://github.com/owntracks/ios/issues/663:

- `_type` says what a message is. In a `location`, `tst` is the time of the fix in seconds, `acc` in
  metres, `vel` in km/h, `cog` in degrees, `alt` in metres, `batt` in percent, `bs` 1 unplugged,
  2 charging, 3 full. A `transition` has the position at which a region was entered or left.
  `waypoint` and `waypoints` have positions of regions, not of the phone. An `lwt` comes from the
  broker when it has lost contact: nobody was heard from.
- Over HTTP the app POSTs one message, with basic authentication, and the headers X-Limit-U and
  X-Limit-D for user and device. Both apps keep a message and send it again until the answer is 2xx,
  and nothing behind it meanwhile; the answer's body is a JSON array of messages for the app. A
  message of no bytes says that a friend was deleted, and is to be ignored.
"""

from __future__ import annotations

from typing import Any

import msgspec

from geomon.decoding import parse_json
from geomon.errors import Refusal
from geomon.gateway import values
from geomon.gateway.reports import Position, RefusedPart, Report, check_pieces

__all__ = ["ANSWER", "reports_of"]

#: What an app is told when its message is safe: there is nothing for it.
ANSWER = b"[]"

#: Other kinds of message: the phone was heard from, and no more.
_OTHER = frozenset(
    (
        *("beacon", "card", "cmd", "configuration", "dump", "request", "status", "steps"),
        *("waypoint", "waypoints"),
    )
)
#: `t` of trackers that send what they knew last.
_LAST_KNOWN = ("l", "L")
_SIGNS = ("t", "conn", "m", "SSID", "event", "desc", "tag", "poi", "created_at")
_CHARGING = {1: False, 2: True, 3: True}


def reports_of(raw: bytes) -> list[Report]:
    """Read a message, or an array of them; none comes of one that says nobody was heard from.

    What cannot be read of a message is in its report's `refused`. Raises `Refusal` when it is no
    message of OwnTracks at all, or is encrypted.
    """
    if not raw:
        return []
    try:
        parsed = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = parse_json(raw)
    messages = parsed if isinstance(parsed, list) else [parsed]
    check_pieces(messages)
    reports = []
    for number, message in enumerate(messages):
        report = _report(message, number)
        if report is not None:
            reports.append(report)
    return reports


def _report(message: Any, number: int) -> Report | None:
    if not isinstance(message, dict):
        raise Refusal("not_an_object", type(message).__name__)
    kind = message.get("_type")
    if kind in ("location", "transition"):
        return _of_place(message, number)
    if kind == "lwt":
        return None
    if isinstance(kind, str) and kind in _OTHER:
        return Report(signs=[values.sign("_type", kind)])
    if kind == "encrypted":
        raise Refusal("not_of_protocol", "encrypted: messages must be sent in the clear over TLS")
    raise Refusal("not_of_protocol", "_type")


def _of_place(message: dict[str, Any], number: int) -> Report:
    status = message.get("bs")
    signs = [
        values.sign(name, message[name])
        for name in _SIGNS
        if isinstance(message.get(name), str | int | float)
    ]
    regions = message.get("inregions")
    if isinstance(regions, list):
        signs += [values.sign("inregions", r) for r in regions if isinstance(r, str)]
    point = values.access_point(message.get("BSSID"))
    report = Report(
        battery_pct=values.percent(message.get("batt")),
        charging=_CHARGING.get(status) if isinstance(status, int) else None,
        access_points=[] if point is None else [point],
        signs=signs,
    )
    if message["_type"] == "transition" and message.get("lat") is None:
        return report  # of a beacon: without a position
    if message.get("t") in _LAST_KNOWN:
        return report
    try:
        report.positions = [_position(message)]
    except Refusal as refusal:
        report.refused = [RefusedPart(refusal.reason, refusal.detail, number)]
    return report


def _position(message: dict[str, Any]) -> Position:
    for name in ("tst", "lon", "lat"):
        if message.get(name) is None:
            raise Refusal("missing_field", name)
    return Position(
        time=values.instant(message["tst"], "tst"),
        lon=values.number(message["lon"], "lon"),
        lat=values.number(message["lat"], "lat"),
        accuracy_m=values.positive(message.get("acc")),
        speed_mps=values.unsigned(message.get("vel"), values.KMH),
        heading_deg=values.unsigned(message.get("cog")),
        altitude_m=values.number_or_none(message.get("alt")),
    )
