"""The OsmAnd protocol, as Traccar Client up to version 8 and OsmAnd speak it: a query or a form.

Facts from https://www.traccar.org/osmand/ and from the source of the client
(https://github.com/traccar/traccar-client-android, ProtocolFormatter, RequestManager and
TrackingController):

- One request, of any method, is one position. The parameters are in the query; where the body is a
  form, they may be there as well.
- `timestamp` is in seconds, in milliseconds or ISO 8601; `speed` is in knots; `batt` is in percent;
  `mock` is there only when the phone says that the position is faked.
- The client drops a position when the answer is below 400. After any other, or none within 15 s, it
  sends the same one again every 30 s, and nothing behind it: a position that is refused with 4xx
  blocks its queue for ever. So one that cannot be taken is kept elsewhere and answered with 200.
- It can set no header: the device's token is the parameter `token` of the URL typed into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import unquote_plus, urlencode

from geomon.errors import Refusal
from geomon.gateway import values
from geomon.gateway.reports import AccessPoint, Position, RefusedPart, Report, Tower

__all__ = ["Asked", "device_id", "parameters_of", "read", "token", "without_token"]

Asked = Sequence[tuple[str, str]]

_IDS = ("id", "deviceid")
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_HANDLED = frozenset(
    (
        *(*_IDS, "token", "timestamp", "lat", "lon", "location", "speed", "bearing", "heading"),
        *("altitude", "accuracy", "batt", "battery", "charge", "mock", "cell", "wifi"),
    )
)

_MOST_PARAMETERS = 200


def parameters_of(*queries: str) -> Asked:
    """Read queries as they are written in a URL or a form. Raises `Refusal` for too many."""
    asked: list[tuple[str, str]] = []
    for query in queries:
        if query.count("&") >= _MOST_PARAMETERS:
            raise Refusal("not_of_protocol", f"more than {_MOST_PARAMETERS} parameters")
        # As `parse_qsl` does it, which takes three times as long.
        quoted = "%" in query or "+" in query
        for field in query.split("&"):
            if field:
                name, _, value = field.partition("=")
                if quoted:
                    name, value = unquote_plus(name), unquote_plus(value)
                asked.append((name, value))
    return asked


def device_id(parameters: Asked) -> str:
    """Give the id that the device calls itself by; empty when it gives none."""
    return next((value for name, value in parameters if name in _IDS), "")


def token(parameters: Asked) -> str:
    """Give the token in the URL; empty when there is none."""
    return next((value for name, value in parameters if name == "token"), "")


def without_token(parameters: Asked) -> bytes:
    """Give the parameters as they may be kept."""
    return urlencode([(name, value) for name, value in parameters if name != "token"]).encode()


def read(parameters: Asked) -> Report:
    """Read one request. What cannot be read of it is in the report's `refused`."""
    given = dict(reversed(parameters))
    report = Report(
        battery_pct=values.percent(given.get("batt", given.get("battery"))),
        charging=_flag(given.get("charge")),
        towers=_towers(value for name, value in parameters if name == "cell"),
        access_points=_points(value for name, value in parameters if name == "wifi"),
        signs=[values.sign(n, v) for n, v in parameters if n not in _HANDLED],
    )
    # Traccar's clients send valid=false with the last position they had: it is none of now.
    if not {"lat", "lon", "location"} & given.keys() or _flag(given.get("valid")) is False:
        return report
    try:
        report.positions = [_position(given)]
    except Refusal as refusal:
        report.refused = [RefusedPart(refusal.reason, refusal.detail, 0)]
    return report


def _position(given: dict[str, str]) -> Position:
    lat, lon = given.get("lat"), given.get("lon")
    if "location" in given:
        lat, _, lon = given["location"].partition(",")
    for name, value in (("lat", lat), ("lon", lon), ("timestamp", given.get("timestamp"))):
        if not value:
            raise Refusal("missing_field", name)
    heading = given.get("bearing", given.get("heading"))
    return Position(
        time=values.instant(given["timestamp"], "timestamp"),
        lon=values.number(lon, "lon"),
        lat=values.number(lat, "lat"),
        accuracy_m=values.positive(given.get("accuracy")),
        speed_mps=values.unsigned(given.get("speed"), values.KNOTS),
        heading_deg=values.unsigned(heading),
        altitude_m=values.number_or_none(given.get("altitude")),
        mock=_flag(given.get("mock")),
    )


def _flag(text: str | None) -> bool | None:
    lower = (text or "").lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def _towers(texts: Iterable[str]) -> list[Tower]:
    """Read mcc,mnc,lac,cell[,dBm]; what is none is left out."""
    towers = []
    for text in texts:
        parts = text.split(",")
        try:
            mcc, mnc, lac, cell = (int(part) for part in parts[:4])
            signal = int(parts[4]) if len(parts) > 4 else None
        except ValueError:
            continue
        if all(0 <= n < 1 << 36 for n in (mcc, mnc, lac, cell)):
            towers.append(Tower(mcc, mnc, lac, cell, signal_dbm=signal))
    return towers


def _points(texts: Iterable[str]) -> list[AccessPoint]:
    """Read mac,dBm; what is none is left out."""
    points = []
    for text in texts:
        bssid, _, signal = text.partition(",")
        point = values.access_point(bssid.strip(), signal or None)
        if point is not None:
            points.append(point)
    return points
