"""The fixes of a whole batch, an array a field: what can only be done well for many at once."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from geomon import decoding, events
from geomon.core.evidence import DEFAULT_ACCURACY_M, SOURCE_CODE
from geomon.core.person import Clue, LastFix
from geomon.core.spoofing import JUMP_DEGREES

__all__ = ["Clues", "Columns", "Placed", "columns_of", "jumps_in", "newest_in", "trouble_in"]

#: A position whose longitude reads as a latitude of China, and the other way round.
_CHINA_LON, _CHINA_LAT = (73.0, 136.0), (3.0, 54.0)


class Columns(NamedTuple):
    """The fixes of a batch, an array a field."""

    fixes: list[events.Fix]
    time_s: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    source: NDArray[np.intp]


class Placed(NamedTuple):
    """A batch of fixes with all that was worked out about them."""

    columns: Columns
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    distance_m: NDArray[np.float64]
    weight: NDArray[np.float64]
    places: dict[int, str]


class Clues(msgspec.Struct, frozen=True, gc=False):
    """The fixes of one upload, at [begin, end) of a batch."""

    batch: Placed
    upload: events.Upload
    begin: int
    end: int

    def __call__(self) -> list[Clue]:
        """Give them as received and as judged.

        As plain values, so that a clue kept in a person's state keeps no batch alive.
        """
        batch, columns = self.batch, self.batch.columns
        part = slice(self.begin, self.end)
        datum, device = str(self.upload.datum), self.upload.device
        return [
            Clue(
                time_s,
                fix.lon,
                fix.lat,
                datum,
                accuracy_m,
                fix.source,
                device,
                round(distance_m, 1),
                weight,
                round(lon, 6),
                round(lat, 6),
                batch.places.get(at, ""),
            )
            for at, fix, time_s, accuracy_m, distance_m, weight, lon, lat in zip(
                range(self.begin, self.end),
                columns.fixes[part],
                columns.time_s[part].tolist(),
                columns.accuracy_m[part].tolist(),
                batch.distance_m[part].tolist(),
                batch.weight[part].tolist(),
                batch.lon[part].tolist(),
                batch.lat[part].tolist(),
                strict=True,
            )
        ]


def columns_of(fixes: list[events.Fix]) -> Columns:
    source = np.array([SOURCE_CODE[fix.source] for fix in fixes], dtype=np.intp)
    stated = [fix.accuracy_m for fix in fixes]
    accuracy_m = np.array(stated, dtype=np.float64)  # None becomes NaN
    if None in stated:
        missing = np.array([value is None for value in stated])
        accuracy_m[missing] = DEFAULT_ACCURACY_M[source[missing]]
    return Columns(
        fixes,
        np.array(decoding.posix_s([fix.time for fix in fixes]), dtype=np.int64),
        np.array([fix.lon for fix in fixes], dtype=np.float64),
        np.array([fix.lat for fix in fixes], dtype=np.float64),
        accuracy_m,
        source,
    )


def trouble_in(columns: Columns, latest_s: NDArray[np.int64]) -> dict[int, str]:
    """Find fixes that cannot be accepted: index -> reason. The first reason found stands."""
    time_s, lon, lat, accuracy_m = columns.time_s, columns.lon, columns.lat, columns.accuracy_m
    with np.errstate(invalid="ignore"):
        checks = (
            ("faked_position", np.array([fix.mock is True for fix in columns.fixes])),
            ("not_finite", ~(np.isfinite(lon) & np.isfinite(lat) & np.isfinite(accuracy_m))),
            (
                "swapped_lon_lat",
                (lat > _CHINA_LON[0])
                & (lat < _CHINA_LON[1])
                & (lon > _CHINA_LAT[0])
                & (lon < _CHINA_LAT[1]),
            ),
            ("lat_out_of_range", np.abs(lat) > 90),
            ("lon_out_of_range", np.abs(lon) > 180),
            ("null_island", (lon == 0) & (lat == 0)),
            ("accuracy_not_positive", accuracy_m <= 0),
            ("impossible_time", (time_s < events.FIRST_S) | (time_s >= events.LAST_S)),
            ("fix_in_future", time_s > latest_s),
        )
    trouble: dict[int, str] = {}
    for reason, wrong in checks:
        if wrong.any():
            for at in np.flatnonzero(wrong).tolist():
                trouble.setdefault(at, reason)
    return trouble


def newest_in(
    placed: Placed, begins: NDArray[np.intp], newest_s: NDArray[np.int64], counts: NDArray[np.intp]
) -> list[LastFix]:
    """Give the newest fix of each upload; of several at one time, the last in it."""
    columns = placed.columns
    at = np.arange(len(columns.time_s))
    at = np.where(columns.time_s == np.repeat(newest_s, counts), at, -1)
    newest = np.maximum.reduceat(at, begins)
    rows = zip(
        columns.time_s[newest].tolist(),
        np.round(placed.lon[newest], 6).tolist(),
        np.round(placed.lat[newest], 6).tolist(),
        columns.accuracy_m[newest].tolist(),
        columns.source[newest].tolist(),
        np.round(placed.distance_m[newest], 1).tolist(),
        strict=True,
    )
    return [LastFix(*row) for row in rows]


def jumps_in(placed: Placed, begins: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Say of each upload whether positions that follow one another in it are far apart."""
    far = np.zeros(len(placed.lon), dtype=bool)
    far[1:] = np.abs(np.diff(placed.lon)) + np.abs(np.diff(placed.lat)) >= JUMP_DEGREES
    far[begins] = False
    found: NDArray[np.bool_] = np.logical_or.reduceat(far, begins)
    return found
