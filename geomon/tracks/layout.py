"""What a file without a fixed form calls its columns or properties, and how it writes values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from geomon.tracks.timestamps import ReadTime, time_reader
from geomon.tracks.trackfix import (
    TrackFix,
    Unusable,
    checked_fix,
    number,
    number_if_any,
    source_named,
)

__all__ = ["SPEED_UNITS", "Layout"]

#: Name of a speed unit -> how many m/s it is. The knot is exactly 1,852 m an hour.
SPEED_UNITS = {"kmh": 1 / 3.6, "knots": 1852 / 3600, "mps": 1.0}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Names of columns (CSV) or properties (GeoJSON), and the form of what stands there.

    None = the file has no such column. GeoJSON needs no `lon` and `lat`: its geometry has them.
    Without a `header` the names are column numbers from 1. An empty `delimiter` means: the
    likeliest of comma, semicolon, tab and bar by the first line. An id that does not match
    `id_pattern` makes its row unusable.
    """

    time: str = "time"
    lon: str = "lon"
    lat: str = "lat"
    track_id: str | None = None
    accuracy: str | None = None
    source: str | None = None
    speed: str | None = None
    heading: str | None = None
    altitude: str | None = None
    speed_unit: str = "mps"
    id_pattern: re.Pattern[str] | None = None
    read_time: ReadTime = field(default_factory=time_reader)
    delimiter: str = ""
    header: bool = True
    encoding: str = "utf-8-sig"

    def fix(
        self,
        value: Callable[[str], str],
        *,
        time: str | None = None,
        lonlat: tuple[float, float] | None = None,
        altitude_m: float | None = None,
    ) -> TrackFix:
        """The fix of one row, whose text under a name is `value(name)`; raises `Unusable`.

        `time`, `lonlat` and `altitude_m` are given where they stand outside the named values.
        """

        def amount(name: str | None, called: str) -> float | None:
            return None if name is None else number(value(name), called)

        def aside(name: str | None) -> float | None:
            return None if name is None else number_if_any(value(name))

        track_id = None
        if self.track_id is not None:
            track_id = value(self.track_id).strip()
            if not track_id:
                raise Unusable("no id")
            if "\N{REPLACEMENT CHARACTER}" in track_id:
                # Two people whose ids differ only in lost characters would become one.
                raise Unusable(f"id is not text in {self.encoding.removesuffix('-sig')}")
            if self.id_pattern is not None and not self.id_pattern.fullmatch(track_id):
                raise Unusable("id has spaces, slashes or #, or is too long")
        speed = aside(self.speed)
        if lonlat is None:
            lon, lat = amount(self.lon, "lon"), amount(self.lat, "lat")
        else:
            lon, lat = lonlat
        return checked_fix(
            self.read_time(value(self.time) if time is None else time),
            lon,
            lat,
            track_id=track_id,
            accuracy_m=amount(self.accuracy, "accuracy"),
            source=None if self.source is None else source_named(value(self.source)),
            speed_mps=None if speed is None else round(speed * SPEED_UNITS[self.speed_unit], 3),
            heading_deg=aside(self.heading),
            altitude_m=aside(self.altitude) if altitude_m is None else altitude_m,
        )
