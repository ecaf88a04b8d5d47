"""The distance to a boundary: true near it, a bound far away, the same in any batch."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plane import assert_true_to, at, box, cities
from shapely.geometry.base import BaseGeometry

from geomon.zones.boundary import CELL_M, MARGIN_M, NEAR_M, Boundary
from geomon.zones.index import SHORE_M, ZoneIndex


@settings(max_examples=30, deadline=None)
@given(cities(), st.integers(0, 2**32 - 1))
def test_distances_agree_with_brute_force_everywhere(city: BaseGeometry, seed: int) -> None:
    boundary = Boundary(city)
    rng = np.random.default_rng(seed)
    west, south, east, north = city.bounds
    lon, lat = rng.uniform(west - 0.2, east + 0.2, 300), rng.uniform(south - 0.2, north + 0.2, 300)
    # about the line: on its vertices, on its edges, and within metres of them
    corners = shapely.get_coordinates(city.boundary)
    on_edges = shapely.get_coordinates(
        city.boundary.interpolate(rng.uniform(0, 1, 50), normalized=True)
    )
    close = np.concatenate([corners, on_edges])
    close = np.concatenate([close, close + rng.normal(0, 1e-4, close.shape)])
    # exactly on the edges and corners of cells, as computed and one float beside
    columns, rows = rng.integers(0, boundary._columns, 200), rng.integers(0, boundary._rows, 200)
    edge_lon = boundary._west + columns * boundary._cell_lon
    edge_lat = boundary._south + rows * boundary._cell_lat
    for lon_1, lat_1 in (
        (lon, lat),
        (close[:, 0], close[:, 1]),
        (edge_lon, edge_lat),
        (edge_lon, rng.permutation(lat)[:200]),
        (np.nextafter(edge_lon, 0), np.nextafter(edge_lat, 90)),
    ):
        assert_true_to(city, boundary, lon_1, lat_1)


def test_the_distance_of_someone_on_leave_far_away_is_a_bound_and_exactly_known_on_demand() -> None:
    city = box(-10, -5, 10, 5)
    index = ZoneIndex(city, [], [], "test")
    geod = pyproj.Geod(ellps="WGS84")
    line = shapely.get_coordinates(shapely.segmentize(city.boundary, 1e-3))
    for lon, lat in [(114.3, 22.9), (116.4, 39.9), (87.6, 43.8), (121.5, 25.0), (-73.9, 40.7)]:
        everywhere = np.full(len(line), lon), np.full(len(line), lat)
        true_m = min(geod.inv(*everywhere, line[:, 0], line[:, 1])[2])
        assert index.boundary_distance_m(lon, lat) == pytest.approx(true_m, rel=1e-3)
        assert NEAR_M <= index.classify([lon], [lat]).distance_m[0] <= true_m


def test_beyond_the_grid_every_direction_is_bounded() -> None:
    city = box(-10, -5, 10, 5)
    boundary = Boundary(city)
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(-180, 180, 2000), rng.uniform(-90, 90, 2000)
    lon[:1000], lat[:1000] = rng.uniform(113, 115, 1000), rng.uniform(21.5, 23.5, 1000)
    told_m = boundary.signed_distance_m(lon, lat)
    corners = shapely.get_coordinates(shapely.segmentize(city.boundary, 5e-3))
    geod = pyproj.Geod(ellps="WGS84")
    outside = told_m >= NEAR_M
    for lon_1, lat_1, bound_m in zip(lon[outside], lat[outside], told_m[outside], strict=True):
        here = np.full(len(corners), lon_1), np.full(len(corners), lat_1)
        assert bound_m <= min(geod.inv(*here, corners[:, 0], corners[:, 1])[2])


def test_a_square_with_known_distances() -> None:
    index = ZoneIndex(box(-10, -5, 10, 5), [], [], "test")
    lon, lat = np.transpose([at(0, 4.0), at(0, 5.25), at(9.5, 0), at(10.3, 5.4), at(0, 0)])
    placement = index.classify(lon, lat)
    assert placement.distance_m[:4] == pytest.approx([-1000, 250, -500, 500], rel=0.003)
    assert -5000 * 1.003 < placement.distance_m[4] <= -NEAR_M
    assert placement.inside.tolist() == [True, False, True, False, True]


def test_a_long_straight_edge_is_straight_in_degrees() -> None:
    """RFC 7946: 200 km along a parallel stay on the parallel, where a geodesic is 250 m off."""
    city = shapely.Polygon([(113, 25), (115, 25), (115, 26), (113, 26)])
    distance_m = ZoneIndex(city, [], [], "test").classify([114.0, 114.0], [24.999, 25.001])
    assert distance_m.distance_m == pytest.approx([110.8, -110.8], abs=0.3)


def test_an_answer_does_not_depend_on_the_batch() -> None:
    index = ZoneIndex(box(-10, -5, 10, 5), [], [], "test")
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(113.8, 114.2, 40_000), rng.uniform(22.4, 22.6, 40_000)
    lon[::100] += 30.0
    together = index.classify(lon, lat).distance_m
    for k in rng.integers(0, len(lon), 300):
        assert index.classify(lon[k : k + 1], lat[k : k + 1]).distance_m[0] == together[k]
    assert index.classify([], []).distance_m.shape == (0,)
    assert index.places([], []) == []


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        (math.nan, 22.5),
        (114.0, math.nan),
        (math.inf, 22.5),
        (114.0, -math.inf),
        (22.5, 114.0),
        (200.0, 22.5),
    ],
)
def test_what_is_no_position_is_refused(lon: float, lat: float) -> None:
    index = ZoneIndex(box(-10, -5, 10, 5), [], [], "test")
    for ask in (index.classify, index.places):
        with pytest.raises(ValueError, match="position"):
            ask([114.0, lon], [22.5, lat])
    with pytest.raises(ValueError, match="position"):
        index.boundary_distance_m(lon, lat)
    with pytest.raises(ValueError, match="one length"):
        index.classify([114.0, 114.1], [22.5])


def test_the_grid_is_fine_and_reaches_past_what_counts_as_near() -> None:
    assert CELL_M < NEAR_M / 10
    assert MARGIN_M > 2 * NEAR_M
    assert SHORE_M <= NEAR_M
