"""Shenzhen, with the files that come with geomon."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from plane import KM_LAT, assert_true_to

from geomon.zones.boundary import Boundary
from geomon.zones.index import ZoneIndex


@pytest.mark.parametrize(
    ("what", "lon", "lat", "place"),
    [
        ("civic centre", 114.0545, 22.5445, "440304"),
        ("airport", 113.786, 22.640, "440306"),
        ("Yantian quay", 114.27, 22.57, "440308"),
        ("Nanao town", 114.478, 22.535, "440307"),
        ("Neilingding island", 113.80, 22.415, "440305"),
        ("Lok Ma Chau Loop", 114.079, 22.5165, "810000"),
        ("Hong Kong Port Area, Shenzhen Bay", 113.946, 22.498, "810000"),
        ("Lo Wu, south of the river", 114.1133, 22.5285, "810000"),
        ("Dongguan Chang'an", 113.803, 22.815, "441900"),
        ("Huizhou Daya Bay", 114.535, 22.745, "441300"),
        ("Macau", 113.545, 22.19, "820000"),
        ("Guangzhou", 113.264, 23.129, "440100"),
        ("Beijing", 116.397, 39.908, "110100"),
        ("open sea", 115.5, 20.0, ""),
    ],
)
def test_places_about_shenzhen(
    zones: ZoneIndex, what: str, lon: float, lat: float, place: str
) -> None:
    assert zones.places([lon], [lat]) == [place], what
    inside = place.startswith("4403")
    assert zones.classify([lon], [lat]).inside[0] == inside
    assert (zones.boundary_distance_m(lon, lat) < 0) == inside


def test_a_step_over_the_land_border_is_a_step_into_the_neighbour(zones: ZoneIndex) -> None:
    """50 m over the line the simplified list may still say Shenzhen, or nothing at all."""
    line = zones.city_geometry.boundary
    beyond = shapely.get_coordinates(zones.city_geometry.buffer(50 * KM_LAT / 1000).boundary)
    lon, lat = beyond[(beyond[:, 1] > 22.70) & (beyond[:, 0] < 114.4)].T  # Dongguan, Huizhou
    assert len(lon) > 500
    assert shapely.distance(line, shapely.Point(lon[0], lat[0])) < 60 * KM_LAT / 1000
    river = (beyond[:, 0] > 114.075) & (beyond[:, 0] < 114.16) & (beyond[:, 1] < 22.56)
    assert set(zones.places(lon[lat > 22.76], lat[lat > 22.76])) <= {"441900", "441300"}
    assert set(zones.places(*beyond[river].T)) == {"810000"}


def test_shenzhen_agrees_with_brute_force(zones: ZoneIndex) -> None:
    boundary = Boundary(zones.city_geometry)
    west, south, east, north = boundary.geometry.bounds
    rng = np.random.default_rng(20240213)
    lon, lat = rng.uniform(west, east, 4000), rng.uniform(south, north, 4000)
    assert_true_to(boundary.geometry, boundary, lon, lat)
    corners = shapely.get_coordinates(boundary.geometry.boundary)[::5]
    close = corners + rng.normal(0, 2e-3, corners.shape)
    assert_true_to(boundary.geometry, boundary, close[:, 0], close[:, 1])


def test_recorded_taxis_flip_only_where_they_left_the_city(
    zones: ZoneIndex, recorded: Callable[[str], Path]
) -> None:
    with gzip.open(recorded("shenzhen_taxis_16.csv.gz"), "rt") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: (row["id"], row["t"]))
    inside = zones.classify(
        [float(row["lon"]) for row in rows], [float(row["lat"]) for row in rows]
    ).inside
    flips = [
        a["id"]
        for (a, a_in), (b, b_in) in itertools.pairwise(zip(rows, inside, strict=True))
        if a["id"] == b["id"] and a_in != b_in
    ]
    assert len(flips) == 5
    assert len(set(flips)) == 3
