"""Tracks in GeoJSON (RFC 7946): points with a time property, or lines with a list of times.

A Point feature is one fix; its time, and what else the layout names, stands in its properties. A
LineString, MultiPoint or MultiLineString has its times in `coordTimes`, `times` or
`coordinateProperties.times` (as togeojson writes them) or under the layout's name of the time. A
feature collection is read feature by feature.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import msgspec

from geomon.errors import TrackError
from geomon.tracks.jsonstream import ELEMENT_LIMIT_BYTES, elements
from geomon.tracks.layout import Layout
from geomon.tracks.trackfix import BadRow, TrackFix, Unusable

__all__ = ["read_geojson"]

_HEAD_BYTES = 1 << 16
_LINES = frozenset({"LineString", "MultiPoint"})


class _Geometry(msgspec.Struct):
    type: str
    coordinates: list[Any] = []


class _Feature(msgspec.Struct):
    geometry: _Geometry | None = None
    properties: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Feature)


def read_geojson(stream: BinaryIO, layout: Layout) -> Iterator[TrackFix | BadRow]:
    """Fixes of a GeoJSON file in the order of its features and, within one, of its positions.

    Raises `TrackError` where it is not JSON or neither a feature nor a collection of features.
    """
    head = stream.read(_HEAD_BYTES)
    features: Iterator[bytes]
    if b'"features"' in head:
        features = (raw for _, raw in elements(stream, ("features",), head))
    else:
        # A single feature: there is no array to follow, so it is read whole.
        whole = head + stream.read(ELEMENT_LIMIT_BYTES)
        if b'"geometry"' not in whole:
            raise TrackError("it is neither a GeoJSON feature nor a collection of features")
        features = iter([whole.removeprefix(b"\xef\xbb\xbf")])
    for count, raw in enumerate(features, 1):
        where = f"feature {count}"
        try:
            feature = _decoder.decode(raw)
        except msgspec.MsgspecError as error:
            yield BadRow(where, _refusal(error))
            continue
        yield from _fixes(feature, where, layout)


def _fixes(feature: _Feature, where: str, layout: Layout) -> Iterator[TrackFix | BadRow]:
    properties = feature.properties or {}

    def value(name: str) -> str:
        return _text(properties.get(name))

    geometry = feature.geometry
    if geometry is None:
        yield BadRow(where, "no geometry")
        return
    if geometry.type == "Point":
        try:
            yield _fix(layout, value, geometry.coordinates, value(layout.time))
        except Unusable as error:
            yield BadRow(where, str(error))
        return
    times = _times(properties, layout)
    positions = geometry.coordinates
    if geometry.type == "MultiLineString":
        if not all(isinstance(line, list) for line in positions):
            yield BadRow(where, "coordinates are not lines")
            return
        positions = list(chain.from_iterable(positions))
        if any(isinstance(part, list) for part in times):
            times = list(chain.from_iterable(p if isinstance(p, list) else [p] for p in times))
    elif geometry.type not in _LINES:
        yield BadRow(where, "geometry is neither points nor lines")
        return
    if len(times) != len(positions):
        # Which time belongs to which position is anybody's guess; guesses are not evidence.
        reason = "not as many times as positions" if times else "no times for its positions"
        yield BadRow(where, reason)
        return
    for count, (position, time) in enumerate(zip(positions, times, strict=True), 1):
        try:
            yield _fix(layout, value, position, _text(time))
        except Unusable as error:
            yield BadRow(f"{where}, position {count}", str(error))


def _fix(layout: Layout, value: Any, position: Any, time: str) -> TrackFix:
    if not isinstance(position, list) or len(position) < 2:
        raise Unusable("no position")
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in position[:3]):
        raise Unusable("a coordinate is not a number")
    altitude_m = float(position[2]) if len(position) > 2 else None
    return layout.fix(
        value,
        time=time,
        lonlat=(float(position[0]), float(position[1])),
        altitude_m=altitude_m,
    )


def _times(properties: dict[str, Any], layout: Layout) -> list[Any]:
    nested = properties.get("coordinateProperties")
    candidates = [
        properties.get(layout.time),
        properties.get("coordTimes"),
        properties.get("times"),
        nested.get("times") if isinstance(nested, dict) else None,
    ]
    return next((times for times in candidates if isinstance(times, list)), [])


def _text(value: Any) -> str:
    """A JSON value as the text a CSV would hold: "" for null, digits for a number."""
    return "" if value is None else str(value)


def _refusal(error: msgspec.MsgspecError) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"not a feature: {error}"
    # The message counts bytes: as a reason it would be another one for every record.
    return "not a feature: malformed JSON"
