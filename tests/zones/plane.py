"""Places on a plane about 114 E 22.5 N, and distances there by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import shapely
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geomon.zones.boundary import NEAR_M, Boundary
from geomon.zones.files import ZoneFeature, write_zone_file

__all__ = [
    "CITY",
    "DISTRICTS",
    "KM_LAT",
    "KM_LON",
    "PEN",
    "PLACES",
    "Floats",
    "assert_true_to",
    "at",
    "box",
    "brute_distance_m",
    "cities",
    "write_city",
]

Floats = NDArray[np.float64]

# One degree of latitude at 22.5 N, metres; of longitude at 22.5 N: 102,900.
KM_LAT = 1 / 110.75
KM_LON = 1 / 102.90


def box(west_km: float, south_km: float, east_km: float, north_km: float) -> BaseGeometry:
    """A rectangle in kilometres east and north of 114 E 22.5 N."""
    return shapely.box(
        114 + west_km * KM_LON,
        22.5 + south_km * KM_LAT,
        114 + east_km * KM_LON,
        22.5 + north_km * KM_LAT,
    )


def at(east_km: float, north_km: float) -> tuple[float, float]:
    return 114 + east_km * KM_LON, 22.5 + north_km * KM_LAT


def brute_distance_m(geometry: BaseGeometry, lon: Floats, lat: Floats) -> Floats:
    """Signed distance by other means: every edge, in a transverse Mercator about the polygon."""
    west, south, east, north = geometry.bounds
    project = pyproj.Transformer.from_crs(
        "EPSG:4326",
        f"+proj=tmerc +lon_0={(west + east) / 2} +lat_0={(south + north) / 2} +ellps=WGS84",
        always_xy=True,
    ).transform
    line = shapely.transform(
        shapely.segmentize(geometry.boundary, 0.01),
        lambda xy: np.column_stack(project(xy[:, 0], xy[:, 1])),
    )
    size_m = shapely.distance(shapely.points(*project(lon, lat)), line)
    inside = shapely.contains_xy(geometry, lon, lat)
    signed_m: Floats = np.where(inside, -size_m, size_m)
    return signed_m


def assert_true_to(geometry: BaseGeometry, boundary: Boundary, lon: Floats, lat: Floats) -> None:
    """The promise of `signed_distance_m`, against brute force (itself good to 0.05 %)."""
    told_m, true_m = boundary.signed_distance_m(lon, lat), brute_distance_m(geometry, lon, lat)
    told, true = np.abs(told_m), np.abs(true_m)
    on_line = true < 0.05  # either side will do
    assert (on_line | (np.sign(told_m) == np.sign(true_m))).all()
    assert ((told < NEAR_M) | (true > NEAR_M * 0.999)).all()
    assert (true[told < NEAR_M] < NEAR_M * 1.001).all()
    near = told < NEAR_M
    assert (np.abs(told - true)[near] <= 0.05 + 0.001 * true[near]).all()
    assert (told[~near] <= true[~near] * 1.001).all(), "a bound above the truth"
    west, south, east, north = geometry.bounds
    in_grid = ~near & (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    assert (told[in_grid] >= 0.74 * true[in_grid]).all(), "a bound too far below the truth"


@st.composite
def cities(draw: st.DrawFn) -> BaseGeometry:
    """A jagged city of 1 to 40 km somewhere in China, at times with a hole or an island."""
    lon, lat = draw(st.floats(75, 134)), draw(st.floats(4, 53))
    radius = draw(st.floats(0.01, 0.2))
    reaches = np.array(draw(st.lists(st.floats(0.2, 1.0), min_size=3, max_size=40)))
    turns = np.linspace(0, 2 * np.pi, len(reaches), endpoint=False)
    ring = np.column_stack(
        [lon + radius * reaches * np.cos(turns), lat + radius * reaches * np.sin(turns)]
    )
    city = shapely.make_valid(shapely.Polygon(ring))
    if draw(st.booleans()):
        city = city.difference(shapely.Point(lon, lat).buffer(radius * 0.1))
    if draw(st.booleans()):
        city = city.union(shapely.Point(lon + 1.3 * radius, lat).buffer(radius * 0.2))
    return city


CITY = box(-10, -5, 10, 5)
# The simplified list has the city 200 m too wide on all sides, its neighbours too narrow.
PLACES = [
    ZoneFeature("990000", "省", "province", "100000", box(-60, -5.2, 60, 60)),
    ZoneFeature("990100", "本市", "city", "990000", box(-10.2, -5.2, 10.2, 5.2)),
    ZoneFeature("990200", "北市", "city", "990000", box(-10.2, 5.2, 10.2, 30)),
    ZoneFeature("810000", "港", "province", "100000", box(-10, -30, 10, -12)),
]
DISTRICTS = [
    ZoneFeature("990101", "西区", "district", "990100", box(-10, -5, 0, 5)),
    ZoneFeature("990102", "东区", "district", "990100", box(0, -5, 10, 5)),
]
PEN = box(20, 10, 24, 14)  # an exclave of the city, in the province


def write_city(folder: Path) -> Path:
    """Zone files of a small city, two areas beside them."""
    source = {"package_version": "1.0"}
    home = [ZoneFeature("990100", "本市", "city", "990000", CITY)]
    write_zone_file(folder / "city-990100.geojson", "city", home, source)
    write_zone_file(folder / "districts-990100.geojson", "districts", DISTRICTS, source)
    write_zone_file(folder / "places.geojson", "places", PLACES, source)
    (folder / "pen.geojson").write_text(shapely.to_geojson(PEN))
    (folder / "loop.geojson").write_text(shapely.to_geojson(box(4, 4, 6, 6)))
    return folder
