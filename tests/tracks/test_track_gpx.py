"""GPX 1.0 and 1.1 as loggers write it."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import pytest

from geomon.errors import TrackError
from geomon.tracks.gpx import read_gpx
from geomon.tracks.layout import Layout
from geomon.tracks.trackfix import BadRow, TrackFix

GPX_10 = b"""<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.0" creator="GPSLogger" xmlns="http://www.topografix.com/GPX/1/0">
<time>2024-02-13T01:00:00Z</time>
<trk><trkseg>
<trkpt lat="22.543100" lon="114.057900"><ele>31.5</ele><time>2024-02-13T01:30:00.250Z</time>
<course>270.5</course><speed>1.25</speed><src>gps</src><sat>9</sat><hdop>0.9</hdop></trkpt>
<trkpt lat="22.543200" lon="114.058000"><time>2024-02-13T09:30:10+08:00</time>
<src>network</src></trkpt>
</trkseg></trk></gpx>"""

GPX_11 = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="µ" xmlns="http://www.topografix.com/GPX/1/1"
 xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
 xmlns:ulogger="https://github.com/bfabiszewski/ulogger-android/1">
<metadata><time>2020-01-01T00:00:00Z</time></metadata>
<wpt lat="22.5" lon="114.0"><time>2024-02-13T01:00:00Z</time><name>莲花街道</name></wpt>
<rte><rtept lat="22.6" lon="114.1"><time>2024-02-13T01:10:00</time></rtept></rte>
<trk><name>morning</name><src>eTrex 10</src><trkseg>
<trkpt lat="22.7" lon="114.2"><time> 2024-02-13T01:20:00Z </time><hdop>4.2</hdop>
 <extensions><gpxtpx:TrackPointExtension><gpxtpx:speed>2.5</gpxtpx:speed>
 <gpxtpx:course>90</gpxtpx:course></gpxtpx:TrackPointExtension>
 <ulogger:accuracy>8.5</ulogger:accuracy></extensions></trkpt>
</trkseg></trk></gpx>""".encode()


class OneByteAtATime(io.BytesIO):
    def read(self, _: int | None = -1) -> bytes:
        return super().read(1)


def read(content: bytes) -> list[TrackFix | BadRow]:
    return list(read_gpx(io.BytesIO(content), Layout()))


def at(hour: int, minute: int, second: float = 0) -> datetime:
    micro = round(second % 1 * 1_000_000)
    return datetime(2024, 2, 13, hour, minute, int(second), micro, tzinfo=timezone.utc)


def point(inside: str, place: str = 'lat="22.5" lon="114"') -> bytes:
    return f"<gpx><trk><trkseg>\n<trkpt {place}>{inside}</trkpt></trkseg></trk></gpx>".encode()


def test_a_gpx_10_point_has_its_speed_course_and_source_as_children() -> None:
    assert read(GPX_10) == [
        TrackFix(None, at(1, 30, 0.25), 114.0579, 22.5431, None, "gnss", 1.25, 270.5, 31.5),
        TrackFix(None, at(1, 30, 10), 114.058, 22.5432, None, "unknown"),
    ]


def test_waypoints_routes_and_tracks_of_gpx_11_are_read_with_their_extensions() -> None:
    assert read(GPX_11) == [
        TrackFix(None, at(1, 0), 114.0, 22.5),
        TrackFix(None, at(1, 10), 114.1, 22.6),
        TrackFix(None, at(1, 20), 114.2, 22.7, 8.5, None, 2.5, 90.0),
    ]


def test_hdop_is_never_an_accuracy() -> None:
    (fix,) = read(point("<time>2024-02-13T01:00:00Z</time><hdop>1.5</hdop>"))
    assert isinstance(fix, TrackFix)
    assert fix.accuracy_m is None


def test_points_come_out_the_same_however_the_bytes_arrive() -> None:
    for content in (GPX_10, GPX_11):
        assert list(read_gpx(OneByteAtATime(content), Layout())) == read(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (point(""), "no time"),
        (point("<time>yesterday</time>"), "time is not ISO 8601"),
        (point("<time>2024-02-30T00:00:00Z</time>"), "time is impossible"),
        (point("<time>2024-02-13T01:00:00Z</time>", 'lat="22.5"'), "no position"),
        (point("<time>2024-02-13T01:00:00Z</time>", 'lat="NaN" lon="114"'), "lat is not between"),
        (point("<time>2024-02-13T01:00:00Z</time>", 'lat="91" lon="-114"'), "lat is not between"),
        (point("<time>2024-02-13T01:00:00Z</time>", 'lat="114" lon="22.5"'), "exchanged?"),
        (point("<time>2024-02-13T01:00:00Z</time>", 'lat="0" lon="0"'), "both 0"),
        (point("<time>2024-02-13T01:00:00Z</time><fix>none</fix>"), "no fix"),
    ],
)
def test_an_unusable_point_is_told_with_its_line(content: bytes, reason: str) -> None:
    (row,) = read(content)
    assert isinstance(row, BadRow)
    assert row.where == "line 2"
    assert reason in row.reason


def test_a_logger_that_died_while_writing_still_gives_its_whole_points() -> None:
    reading = read_gpx(io.BytesIO(GPX_10[: GPX_10.index(b"<src>network")]), Layout())
    assert isinstance(next(reading), TrackFix)
    with pytest.raises(TrackError, match="not well-formed XML at line 8"):
        next(reading)


def test_other_xml_is_not_gpx() -> None:
    with pytest.raises(TrackError, match="<kml>, not <gpx>"):
        read(b'<kml xmlns="http://www.opengis.net/kml/2.2"><Document/></kml>')


def test_entities_are_refused_before_they_grow() -> None:
    bomb = b'<!DOCTYPE gpx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><gpx>&b;</gpx>'
    with pytest.raises(TrackError, match="entities"):
        read(bomb)
