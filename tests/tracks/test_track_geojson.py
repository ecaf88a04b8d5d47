"""GeoJSON tracks: points with a time, lines with times."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from geomon.errors import TrackError
from geomon.tracks.geojsontrack import read_geojson
from geomon.tracks.layout import Layout
from geomon.tracks.timestamps import time_reader
from geomon.tracks.trackfix import BadRow, TrackFix

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)
TIMES = ["2024-02-13T01:30:00Z", "2024-02-13T09:30:30+08:00"]
LINE = [[114.1, 22.5, 30], [114.2, 22.6, 31]]
LINE_FIXES = [
    TrackFix(None, T, 114.1, 22.5, altitude_m=30.0),
    TrackFix(None, T + timedelta(seconds=30), 114.2, 22.6, altitude_m=31.0),
]


def feature(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def read(*features: Any, layout: Layout | None = None) -> list[TrackFix | BadRow]:
    document = {"type": "FeatureCollection", "name": "track", "features": list(features)}
    content = json.dumps(document).encode()
    return list(read_geojson(io.BytesIO(content), layout or Layout()))


def test_a_point_takes_its_values_from_properties() -> None:
    layout = Layout(
        time="when",
        track_id="who",
        accuracy="radius",
        speed="v",
        speed_unit="kmh",
        source="by",
        read_time=time_reader("epoch"),
    )
    point = feature("Point", [114.1, 22.5], when=T.timestamp(), who=17, radius=20, v=3.6, by="WIFI")
    assert read(point, layout=layout) == [TrackFix("17", T, 114.1, 22.5, 20.0, "wifi", 1.0)]


@pytest.mark.parametrize(
    "properties",
    [
        {"coordTimes": TIMES},
        {"times": TIMES},
        {"time": TIMES},
        {"coordinateProperties": {"times": TIMES}},
    ],
)
def test_a_line_has_its_times_beside_it(properties: dict[str, Any]) -> None:
    assert read(feature("LineString", LINE, **properties)) == LINE_FIXES


def test_the_lines_of_a_multi_line_follow_each_other() -> None:
    split = feature("MultiLineString", [LINE[:1], LINE[1:]], coordTimes=[TIMES[:1], TIMES[1:]])
    flat = feature("MultiLineString", [LINE[:1], LINE[1:]], coordTimes=TIMES)
    assert read(split) == read(flat) == LINE_FIXES


def test_a_single_feature_is_a_track_too() -> None:
    content = b"\xef\xbb\xbf" + json.dumps(feature("LineString", LINE, times=TIMES)).encode()
    assert list(read_geojson(io.BytesIO(content), Layout())) == LINE_FIXES


def test_what_is_no_fix_is_told_by_feature_and_position() -> None:
    rows = read(
        feature("Point", [114.1, 22.5]),
        feature("Point", [], time=TIMES[0]),
        feature("Point", ["114.1", 22.5], time=TIMES[0]),
        {"type": "Feature", "geometry": None, "properties": {}},
        feature("Polygon", [[LINE]], time=TIMES[0]),
        feature("LineString", LINE),
        feature("LineString", LINE, times=TIMES[:1]),
        feature("LineString", LINE, times=[TIMES[0], None]),
        feature("MultiLineString", LINE[0], times=TIMES),
        None,
        feature("Point", [114.1, 22.5], time=TIMES[0]),
    )
    assert rows == [
        BadRow("feature 1", "no time"),
        BadRow("feature 2", "no position"),
        BadRow("feature 3", "a coordinate is not a number"),
        BadRow("feature 4", "no geometry"),
        BadRow("feature 5", "geometry is neither points nor lines"),
        BadRow("feature 6", "no times for its positions"),
        BadRow("feature 7", "not as many times as positions"),
        LINE_FIXES[0],
        BadRow("feature 8, position 2", "no time"),
        BadRow("feature 9", "coordinates are not lines"),
        BadRow("feature 10", "not a feature: Expected `object`, got `null`"),
        TrackFix(None, T, 114.1, 22.5),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"type":"Topology"}', "neither a GeoJSON feature nor"),
        (b'{"type":"FeatureCollection","features":[', "in the middle"),
        (b'{"type":"FeatureCollection","features":{}}', "no list 'features'"),
    ],
)
def test_other_json_is_one_clear_line(content: bytes, message: str) -> None:
    with pytest.raises(TrackError, match=message):
        list(read_geojson(io.BytesIO(content), Layout()))
