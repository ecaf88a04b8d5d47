"""The sixteen taxis of the recorded tracks, and how their file is laid out."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from geomon.tracks.formats import read_track
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import time_reader, zone_named
from geomon.tracks.trackfile import open_track
from geomon.tracks.trackfix import TrackFix

__all__ = ["TAXIS", "taxi_fixes"]

TAXIS = "shenzhen_taxis_16.csv.gz"


@cache
def taxi_fixes(path: Path) -> tuple[TrackFix, ...]:
    """Read the fixes of all taxis, as they lie in the file: times of day without a date."""
    layout = Layout(
        time="t",
        track_id="id",
        speed="speed",
        speed_unit="kmh",
        read_time=time_reader("iso", zone_named("+08:00"), date(2013, 10, 22)),
    )
    with open_track(path) as track:
        return tuple(f for f in read_track(track, "csv", layout) if isinstance(f, TrackFix))
