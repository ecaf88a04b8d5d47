"""Telling formats apart; the same walk in every format."""

from __future__ import annotations

import gzip
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from geomon.errors import TrackError
from geomon.tracks.formats import FORMATS, read_track, sniff
from geomon.tracks.layout import Layout
from geomon.tracks.trackfile import open_track
from geomon.tracks.trackfix import BadRow, TrackFix

WALK = [
    TrackFix(None, datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc), 114.0579, 22.5431),
    TrackFix(None, datetime(2024, 2, 13, 1, 31, 5, tzinfo=timezone.utc), 114.0581, 22.544),
]

# format -> (usual name, the walk in it)
SAMPLES = {
    "csv": (
        "walk.csv",
        "time,lon,lat\n2024-02-13T01:30:00Z,114.0579,22.5431\n2024-02-13T01:31:05Z,114.0581,22.544\n",
    ),
    "geojson": (
        "walk.json",
        '{"type":"FeatureCollection","features":[{"type":"Feature","geometry":{"type":"LineString",'
        '"coordinates":[[114.0579,22.5431],[114.0581,22.544]]},"properties":{"coordTimes":'
        '["2024-02-13T01:30:00Z","2024-02-13T01:31:05Z"]}}]}',
    ),
    "gpx": (
        "walk.gpx",
        '<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        '<trkpt lat="22.5431" lon="114.0579"><time>2024-02-13T01:30:00Z</time></trkpt>'
        '<trkpt lat="22.544" lon="114.0581"><time>2024-02-13T01:31:05Z</time></trkpt>'
        "</trkseg></trk></gpx>",
    ),
    "plt": (
        "20240213013000.plt",
        "Geolife trajectory\nWGS 84\nAltitude is in Feet\nReserved 3\n"
        "0,2,255,My Track,0,0,2,8421376\n0\n"
        "22.5431,114.0579,0,-777,45335.0625,2024-02-13,01:30:00\n"
        "22.544,114.0581,0,-777,45335.06325,2024-02-13,01:31:05\n",
    ),
    "takeout": (
        "Records.json",
        '{"locations":[{"timestampMs":"1707787800000","latitudeE7":225431000,"longitudeE7":1140579000},'
        '{"timestamp":"2024-02-13T01:31:05Z","latitudeE7":225440000,"longitudeE7":1140581000}]}',
    ),
}


def read(path: Path) -> list[TrackFix | BadRow]:
    with open_track(path) as track:
        return list(read_track(track, sniff(path), Layout()))


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == set(FORMATS)


@pytest.mark.parametrize("form", sorted(SAMPLES))
def test_the_same_walk_in_every_format(form: str, tmp_path: Path) -> None:
    name, content = SAMPLES[form]
    plain, packed, nameless = tmp_path / name, tmp_path / f"{name}.gz", tmp_path / "track"
    plain.write_text(content)
    packed.write_bytes(gzip.compress(content.encode()))
    nameless.write_text("\ufeff" + content)
    for path in (plain, packed, nameless):
        assert sniff(path) == form
        assert read(path) == WALK


def test_content_outweighs_the_name(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(SAMPLES["gpx"][1])
    assert sniff(path) == "gpx"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR,", "cannot tell its format"),
        (b"just words", "cannot tell its format"),
        (b'{"a": 1}', "cannot tell its format"),
        (b"<kml><Document/></kml>", "cannot tell its format"),
        (b"\x1f\x8b\x08\0\0\0", "gzip ends in the middle"),
    ],
)
def test_what_is_no_track_is_one_line_with_its_name(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mystery"
    path.write_bytes(content)
    with pytest.raises(TrackError, match=message) as refused:
        sniff(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gpx", tmp_path):
        with pytest.raises(TrackError, match=str(path)):
            sniff(path)


def test_a_pipe_is_not_looked_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("-")):
        with pytest.raises(TrackError, match="give --format"):
            sniff(path)


def test_a_damaged_gzip_gives_what_was_whole_and_then_says_so(tmp_path: Path) -> None:
    rows = "".join(
        f"2024-02-13T01:{n // 60 % 60:02}:{n % 60:02}Z,114.{n * 7919 % 10007},22.5\n"
        for n in range(50_000)
    )
    packed = gzip.compress(("time,lon,lat\n" + rows).encode())
    path = tmp_path / "walk.csv.gz"
    for damaged, message in (
        (packed[: len(packed) // 2], "ends in the middle"),
        (
            packed[: len(packed) // 2] + b"\xff" * 500 + packed[len(packed) // 2 + 500 :],
            "damaged|CRC",
        ),
    ):
        path.write_bytes(damaged)
        with open_track(path) as track:
            reading = read_track(track, "csv", Layout())
            assert isinstance(next(reading), TrackFix)
            with pytest.raises(TrackError, match=message):
                list(reading)
