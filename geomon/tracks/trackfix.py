"""One position read from a recorded track, and one that could not be read.

A reader of a format yields `TrackFix` and `BadRow` in the order of the file. It knows nothing of
events, people or datums: those are declared by whoever converts the track.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from geomon.errors import GeomonError

__all__ = [
    "BadRow",
    "TrackFix",
    "Unusable",
    "checked_fix",
    "number",
    "number_if_any",
    "source_named",
]


class TrackFix(NamedTuple):
    """One position as recorded.

    `time` is aware UTC. `lon` and `lat` are degrees in the datum of the file (which only its owner
    knows), `accuracy_m` a radius in metres, `heading_deg` clockwise from north. What the file does
    not say is None. `track_id` tells several carriers in one file apart.
    """

    track_id: str | None
    time: datetime
    lon: float
    lat: float
    accuracy_m: float | None = None
    source: str | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None


class BadRow(NamedTuple):
    """One row, point or record that holds no usable position.

    `where` is its place in the file ("line 12"), `reason` one clause without the position itself:
    reasons are counted, and movement data has no business in a log.
    """

    where: str
    reason: str


class Unusable(GeomonError):  # noqa: N818  (a verdict on one row, not an error of the program)
    """What is wrong with one row; readers turn it into a `BadRow`."""


# What files call the origin of a position -> what the contract calls it.
_SOURCES = {
    "gps": "gnss",
    "gnss": "gnss",
    "beidou": "gnss",
    "satellite": "gnss",
    "wifi": "wifi",
    "wi-fi": "wifi",
    "wlan": "wifi",
    "cell": "cell",
    "cellular": "cell",
    "lbs": "cell",
    # Android's providers that mix origins.
    "network": "unknown",
    "fused": "unknown",
    "unknown": "unknown",
}


def source_named(word: str | None, otherwise: str | None = "unknown") -> str | None:
    """The contract's name (gnss, wifi, cell, unknown) of a file's word; None where it is empty.

    A word we do not know becomes `otherwise`: an explicit `unknown` by default, because such a
    position must not be given the small default radius of a satellite fix.
    """
    word = (word or "").strip().lower()
    return _SOURCES.get(word, otherwise) if word else None


def number(text: str | None, name: str) -> float | None:
    """`text` as a float; None where it is empty. Raises `Unusable` naming the field `name`."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        if not text.strip():
            return None
        raise Unusable(f"{name} is not a number") from None


def number_if_any(text: str | None) -> float | None:
    """`text` as a float, None where it is none: for what only accompanies a position."""
    try:
        return number(text, "")
    except Unusable:
        return None


def checked_fix(
    time: datetime,
    lon: float | None,
    lat: float | None,
    *,
    track_id: str | None = None,
    accuracy_m: float | None = None,
    source: str | None = None,
    speed_mps: float | None = None,
    heading_deg: float | None = None,
    altitude_m: float | None = None,
) -> TrackFix:
    """A `TrackFix` of values that can be true; raises `Unusable` where they cannot.

    Time, position and accuracy decide what a fix means: a wrong one makes it unusable. Speed,
    heading and altitude only accompany it: a wrong one (phones write -1 for "unknown") is left out.
    An accuracy of 0 is a device's way to say that it has none.
    """
    if lon is None or lat is None:
        raise Unusable("no position")
    # NaN fails every comparison, so these tests refuse it too.
    if not -90.0 <= lat <= 90.0:
        if 90.0 < abs(lat) <= 180.0 and abs(lon) <= 90.0:
            raise Unusable("lat is beyond ±90 (lon and lat exchanged?)")
        raise Unusable("lat is not between -90 and 90")
    if not -180.0 <= lon <= 180.0:
        raise Unusable("lon is not between -180 and 180")
    if lon == 0.0 and lat == 0.0:
        # What receivers write before their first fix; nobody is supervised in the Gulf of Guinea.
        raise Unusable("lon and lat are both 0 (no fix yet)")
    if accuracy_m is not None:
        if not 0.0 <= accuracy_m < math.inf:
            raise Unusable("accuracy is not a length")
        accuracy_m = accuracy_m or None
    if speed_mps is not None and not 0.0 <= speed_mps < math.inf:
        speed_mps = None
    if heading_deg is not None and not 0.0 <= heading_deg <= 360.0:
        heading_deg = None
    if altitude_m is not None and not math.isfinite(altitude_m):
        altitude_m = None
    return TrackFix(
        track_id, time, lon, lat, accuracy_m, source, speed_mps, heading_deg, altitude_m
    )
