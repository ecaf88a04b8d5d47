"""Placing positions: the side, the place, and what zone files change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plane import CITY, DISTRICTS, KM_LAT, KM_LON, PEN, PLACES, at, cities, write_city
from shapely.geometry.base import BaseGeometry

from geomon.errors import ZoneError
from geomon.zones.files import ZoneFeature, write_zone_file
from geomon.zones.index import ZoneIndex, zones_for
from geomon.zones.places import PlaceMap


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_city(tmp_path)


@pytest.fixture
def country() -> ZoneIndex:
    return ZoneIndex(CITY, DISTRICTS, PLACES, "test")


@pytest.mark.parametrize(
    ("east_km", "north_km", "place"),
    [
        (-3, 0, "990101"),
        (3, 0, "990102"),
        (3, 4.99, "990102"),
        (3, 5.05, "990200"),  # over the line, though the simplified list says the city
        (3, 5.5, "990200"),
        (3, 25, "990200"),
        (3, -5.1, ""),  # at sea off the city: 7 km from the nearest other place
        (3, -8.0, ""),  # 3 km from the city, 4 km from the other shore
        (3, -10.5, "810000"),  # 1.5 km off the other shore
        (3, -20, "810000"),
        (11, 4.0, "990000"),  # 1 km east of the city, not in its listed shape, 1.4 km from the next
        (40, 30, "990000"),  # the list has no city there
        (0, 200, ""),
    ],
)
def test_the_place_of_a_position(
    country: ZoneIndex, east_km: float, north_km: float, place: str
) -> None:
    lon, lat = at(east_km, north_km)
    assert country.places([lon], [lat]) == [place]
    # and the same in company
    others = np.array([at(k / 3 - 12, k / 5 - 6) for k in range(60)])
    company = country.places(np.append(others[:, 0], lon), np.append(others[:, 1], lat))
    assert company[-1] == place


def test_no_position_outside_is_ever_reported_as_the_city(country: ZoneIndex) -> None:
    rng = np.random.default_rng(11)
    lon = 114 + rng.uniform(-15, 15, 5000) * KM_LON
    lat = 22.5 + rng.uniform(-10, 10, 5000) * KM_LAT
    inside = country.classify(lon, lat).inside
    of_city = np.array([code.startswith("9901") for code in country.places(lon, lat)])
    assert (of_city == inside).all()
    assert 0.2 < inside.mean() < 0.8


def plane_distance_m(geometry: BaseGeometry, lon: float, lat: float) -> float:
    """Distance from one position, in the azimuthal equidistant plane about it."""
    project = pyproj.Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")
    there = shapely.transform(
        shapely.segmentize(geometry, 0.005), lambda xy: np.column_stack(project(xy[:, 0], xy[:, 1]))
    )
    return float(shapely.distance(shapely.Point(0, 0), there))


@settings(max_examples=20, deadline=None)
@given(st.lists(cities(), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_the_nearest_place_agrees_with_brute_force(shapes: list[BaseGeometry], seed: int) -> None:
    features = [ZoneFeature(f"{k}", "", "city", "", shape) for k, shape in enumerate(shapes)]
    places = PlaceMap(features)
    rng = np.random.default_rng(seed)
    west, south, east, north = shapes[0].bounds
    lon, lat = rng.uniform(west - 0.1, east + 0.1, 60), rng.uniform(south - 0.1, north + 0.1, 60)
    free = places.holding(lon, lat) < 0
    lon, lat = lon[free], lat[free]
    found, distance_m = places.nearest(lon, lat, 5000.0)
    for k in range(len(lon)):
        true_m = [plane_distance_m(f.geometry, lon[k], lat[k]) for f in places.features]
        if found[k] < 0:
            assert min(true_m) > 5000 * 0.998
        else:
            assert distance_m[k] == pytest.approx(true_m[found[k]], rel=2e-3, abs=0.1)
            assert true_m[found[k]] <= min(true_m) * 1.002 + 0.1


def test_names_are_known_for_places_and_districts(country: ZoneIndex) -> None:
    assert country.adcode == "990100"
    assert (country.names["810000"], country.names["990101"]) == ("港", "西区")


def test_an_extra_area_is_inside_and_a_cut_one_outside(folder: Path) -> None:
    city, places = folder / "city-990100.geojson", folder / "places.geojson"
    pen, loop = at(22, 12), at(5, 4.5)
    plain = ZoneIndex.from_files(city, places=places)
    assert plain.boundary_distance_m(*pen) > 0 > plain.boundary_distance_m(*loop)
    changed = ZoneIndex.from_files(
        city,
        places=places,
        extra=[folder / "pen.geojson"],
        minus=[folder / "loop.geojson"],
    )
    assert changed.boundary_distance_m(*pen) == pytest.approx(-2000, rel=0.01)
    assert changed.boundary_distance_m(*loop) > 0
    # The pen has no code of its own and lies in no listed city; the loop is 700 m from the next.
    assert changed.places(*np.transpose([pen, loop, at(5, 0)])) == ["990100", "", "990102"]
    assert changed.places(*np.transpose([at(5, 4.9)])) == ["990200"]


def test_an_extra_area_with_a_code_is_reported_by_it(folder: Path) -> None:
    coded = [ZoneFeature("990171", "合作区", "district", "990100", PEN)]
    write_zone_file(folder / "coded.geojson", "city", coded, {})
    index = ZoneIndex.from_files(
        folder / "city-990100.geojson",
        places=folder / "places.geojson",
        extra=[folder / "coded.geojson"],
    )
    assert index.places(*np.transpose([at(22, 12), at(5, 0)])) == ["990171", "990102"]


def test_the_version_tells_which_files_were_used(folder: Path) -> None:
    city, places = folder / "city-990100.geojson", folder / "places.geojson"
    pen, loop = folder / "pen.geojson", folder / "loop.geojson"

    def version(extra: tuple[Path, ...] = (), minus: tuple[Path, ...] = ()) -> str:
        return ZoneIndex.from_files(city, places=places, extra=extra, minus=minus).version

    assert version() == version()
    assert version().startswith("1.0-")
    assert version((pen, loop)) == version((loop, pen))
    assert len({version(), version((pen,)), version((), (pen,)), version((pen, loop))}) == 4


def test_a_city_without_districts_answers_with_its_own_code(folder: Path) -> None:
    (folder / "districts-990100.geojson").unlink()
    index = ZoneIndex.from_files(folder / "city-990100.geojson", places=folder / "places.geojson")
    assert index.places(*np.transpose([at(5, 0), at(5, 6)])) == ["990100", "990200"]


def test_mistakes_in_zone_files_are_told_in_one_line(folder: Path) -> None:
    with pytest.raises(ZoneError, match=r"holds places, a file of kind city"):
        ZoneIndex.from_files(folder / "places.geojson", places=folder / "places.geojson")
    with pytest.raises(ZoneError, match=r"no zone file for 123456 .* zones build --adcode 123456"):
        zones_for("123456")
    with pytest.raises(ZoneError, match="the city is unfit"):
        ZoneIndex.from_files(
            folder / "city-990100.geojson",
            places=folder / "places.geojson",
            minus=[folder / "city-990100.geojson"],
        )
