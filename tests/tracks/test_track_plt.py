"""GeoLife PLT."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import pytest

from geomon.errors import TrackError
from geomon.tracks.layout import Layout
from geomon.tracks.plt import read_plt
from geomon.tracks.trackfix import BadRow, TrackFix

HEADER = (
    "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n"
    "0,2,255,My Track,0,0,2,8421376\r\n0\r\n"
)


def read(lines: str) -> list[TrackFix | BadRow]:
    return list(read_plt(io.BytesIO((HEADER + lines).encode()), Layout()))


def test_a_line_is_latitude_first_in_gmt_with_feet() -> None:
    assert read("22.531800,114.113700,0,492,39744.1201851852,2008-10-23,02:53:04\r\n") == [
        TrackFix(
            None,
            datetime(2008, 10, 23, 2, 53, 4, tzinfo=timezone.utc),
            114.1137,
            22.5318,
            altitude_m=150.0,  # 492 ft
        )
    ]


def test_minus_777_feet_is_no_altitude() -> None:
    (fix,) = read("22.5318,114.1137,0,-777,39744.12,2008-10-23,02:53:04\n\n")
    assert isinstance(fix, TrackFix)
    assert fix.altitude_m is None


def test_bad_lines_are_told_by_their_number_in_the_file() -> None:
    rows = read(
        # The collection itself holds a latitude of 400.
        "400.166666666667,116.3,0,-777,39744.12,2008-10-23,02:53:04\n"
        "22.5318,114.1137,0,1,39744.12,2008-10-23\n"
        "22.5318,,0,1,39744.12,2008-10-23,02:53:04\n"
        "22.5318,114.1137,0,1,39744.12,,\n"
    )
    assert rows == [
        BadRow("line 7", "lat is not between -90 and 90"),
        BadRow("line 8", "too few columns"),
        BadRow("line 9", "no position"),
        BadRow("line 10", "time is not ISO 8601"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"Geolife trajectory\nWGS 84\n",
        b"22.5,114.1,0,1,39744.12,2008-10-23,02:53:04\n" * 8,
    ],
)
def test_a_file_without_the_header_is_not_plt(content: bytes) -> None:
    with pytest.raises(TrackError, match="6 lines of PLT header"):
        list(read_plt(io.BytesIO(content), Layout()))


def test_reading_leaves_the_stream_to_its_owner() -> None:
    stream = io.BytesIO((HEADER + "22.5,114.1,0,1,39744.12,2008-10-23,02:53:04\n").encode())
    assert len(list(read_plt(stream, Layout()))) == 1
    assert not stream.closed
