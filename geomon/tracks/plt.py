"""Tracks in PLT, the form of Microsoft Research's GeoLife collection.

Six lines of header, then one fix a line:
`latitude,longitude,0,altitude in feet,days since 1899-12-30,date,time`, times in GMT
(GeoLife GPS Trajectories, User Guide 1.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from geomon.errors import TrackError
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import parse_iso
from geomon.tracks.trackfile import decoded
from geomon.tracks.trackfix import BadRow, TrackFix, Unusable, checked_fix, number, number_if_any

__all__ = ["read_plt"]

_HEADER_LINES = 6
_FEET_UNKNOWN = -777.0
_METRES_PER_FOOT = 0.3048


def read_plt(stream: BinaryIO, layout: Layout) -> Iterator[TrackFix | BadRow]:  # noqa: ARG001
    """Fixes of a PLT file in the order of its lines. Raises `TrackError` where it has no header."""
    with decoded(stream, "utf-8-sig") as text:
        header = [text.readline() for _ in range(_HEADER_LINES)]
        if not header[-1] or header[0].count(",") >= 6 or "\0" in header[0]:
            raise TrackError(f"it has no {_HEADER_LINES} lines of PLT header")
        for line_number, line in enumerate(text, _HEADER_LINES + 1):
            if not line.strip():
                continue
            try:
                yield _fix(line.split(","))
            except Unusable as error:
                yield BadRow(f"line {line_number}", str(error))


def _fix(fields: list[str]) -> TrackFix:
    if len(fields) < 7:
        raise Unusable("too few columns")
    feet = number_if_any(fields[3])
    return checked_fix(
        parse_iso(f"{fields[5].strip()}T{fields[6].strip()}Z"),
        number(fields[1], "lon"),
        number(fields[0], "lat"),
        altitude_m=(
            None if feet is None or feet == _FEET_UNKNOWN else round(feet * _METRES_PER_FOOT, 1)
        ),
    )
