"""A phone's location history as Google exports it.

Two forms: `Records.json` of Takeout, an object with the list `locations` (times as `timestampMs`
until 2022, as `timestamp` in ISO 8601 since), and the newer export made on the phone, whose list
`rawSignals` holds positions among other signals. Both run to hundreds of megabytes, so records are
cut out of the file one by one (`geomon.tracks.jsonstream`): memory holds one record.

`accuracy` is a radius in metres, `velocity` m/s, `source` GPS, WIFI, CELL or UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from geomon.tracks.jsonstream import elements
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import parse_iso, time_reader
from geomon.tracks.trackfix import (
    BadRow,
    TrackFix,
    Unusable,
    checked_fix,
    number,
    source_named,
)

__all__ = ["read_takeout"]

_E7 = 10_000_000
_read_epoch_ms = time_reader("epoch-ms")


class _Record(
    msgspec.Struct,
    rename={"lat_e7": "latitudeE7", "lon_e7": "longitudeE7", "time_ms": "timestampMs"},
):
    lat_e7: int | None = None
    lon_e7: int | None = None
    time_ms: str | int | None = None
    timestamp: str | None = None
    accuracy: float | None = None
    source: str | None = None
    velocity: float | None = None
    heading: float | None = None
    altitude: float | None = None


class _Position(msgspec.Struct, rename="camel"):
    latlon: str = msgspec.field(name="LatLng", default="")
    timestamp: str = ""
    accuracy_meters: float | None = None
    source: str | None = None
    speed_meters_per_second: float | None = None
    altitude_meters: float | None = None


class _Signal(msgspec.Struct):
    position: _Position | None = None


_decode_record = msgspec.json.Decoder(_Record).decode
_decode_signal = msgspec.json.Decoder(_Signal).decode


def read_takeout(stream: BinaryIO, layout: Layout) -> Iterator[TrackFix | BadRow]:  # noqa: ARG001
    """Fixes of a location history in the order of its records.

    Signals that are not positions (scans, activities) are passed over; a record without a position
    is a bad row. Raises `TrackError` where the file is not JSON or holds neither list.
    """
    for count, (name, raw) in enumerate(elements(stream, ("locations", "rawSignals")), 1):
        try:
            if name == "locations":
                yield _recorded(_decode_record(raw))
            elif position := _decode_signal(raw).position:
                yield _signalled(position)
        except Unusable as error:
            yield BadRow(f"record {count}", str(error))
        except msgspec.MsgspecError as error:
            yield BadRow(f"record {count}", _refusal(error))


def _recorded(record: _Record) -> TrackFix:
    if record.timestamp is not None:
        time = parse_iso(record.timestamp)
    else:
        time = _read_epoch_ms("" if record.time_ms is None else str(record.time_ms))
    return checked_fix(
        time,
        _degrees(record.lon_e7, 1_800_000_000),
        _degrees(record.lat_e7, 900_000_000),
        accuracy_m=record.accuracy,
        source=source_named(record.source),
        speed_mps=record.velocity,
        heading_deg=record.heading,
        altitude_m=record.altitude,
    )


def _degrees(e7: int | None, greatest: int) -> float | None:
    if e7 is None:
        return None
    if greatest < e7 < 1 << 32:
        # Some exports wrote negative values as unsigned 32-bit numbers.
        e7 -= 1 << 32
    return e7 / _E7


def _signalled(position: _Position) -> TrackFix:
    lat, comma, lon = position.latlon.replace("°", "").partition(",")
    if not comma:
        raise Unusable("no position")
    return checked_fix(
        parse_iso(position.timestamp),
        number(lon, "lon"),
        number(lat, "lat"),
        accuracy_m=position.accuracy_meters,
        source=source_named(position.source),
        speed_mps=position.speed_meters_per_second,
        altitude_m=position.altitude_meters,
    )


def _refusal(error: msgspec.MsgspecError) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"not a location record: {error}"
    # The message counts bytes: as a reason it would be another one for every record.
    return "not a location record: malformed JSON"
