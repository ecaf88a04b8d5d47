"""Datums: the conversions against other libraries, against measured points, and back again."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geomon import datum
from geomon.datum import from_wgs84, to_wgs84
from geomon.zones.files import read_zone_file, zone_directory

# WGS-84, GCJ-02, BD-09 of the same three places in Shenzhen.
MEASURED = [
    ((114.113700, 22.531800), (114.118806, 22.529113), (114.125219, 22.535451)),
    ((113.861200, 22.835000), (113.866147, 22.832049), (113.872615, 22.838308)),
    ((114.478000, 22.535000), (114.482782, 22.532201), (114.489196, 22.538537)),
]
ROUNDING_DEG = 0.51e-6
MILLIMETRE_DEG = 1e-8
CENTIMETRE_DEG = 9e-8
HUNDREDTH_OF_A_MM_DEG = 9e-11

Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]

lons = st.floats(73.5, 135.1)
lats = st.floats(3.8, 53.6)
datums = st.sampled_from(datum.DATUMS)


def anywhere_in_china(count: int, seed: int = 20240213) -> Arrays:
    random = np.random.default_rng(seed)
    return random.uniform(73.5, 135.1, count), random.uniform(3.8, 53.6, count)


def apart_deg(one: Arrays, other: Arrays) -> float:
    return float(max(np.abs(one[0] - other[0]).max(), np.abs(one[1] - other[1]).max()))


@pytest.mark.parametrize(("wgs84", "gcj02", "bd09"), MEASURED)
def test_measured_places_in_shenzhen(
    wgs84: tuple[float, float], gcj02: tuple[float, float], bd09: tuple[float, float]
) -> None:
    for name, there in (("gcj02", gcj02), ("bd09", bd09)):
        assert np.allclose(from_wgs84(*wgs84, name), there, rtol=0, atol=ROUNDING_DEG)
        assert np.allclose(to_wgs84(*there, name), wgs84, rtol=0, atol=2 * ROUNDING_DEG)


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_forward_agrees_with_coord_convert(name: str) -> None:
    transform = pytest.importorskip("coord_convert.transform")
    theirs = {"gcj02": transform.wgs2gcj, "bd09": transform.wgs2bd}[name]
    lon, lat = anywhere_in_china(2000)
    expected = np.array([theirs(x, y) for x, y in zip(lon, lat, strict=True)])
    assert (
        apart_deg(from_wgs84(lon, lat, name), (expected[:, 0], expected[:, 1]))
        < HUNDREDTH_OF_A_MM_DEG
    )


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_forward_agrees_with_prcoords(name: str) -> None:
    prcoords = pytest.importorskip("prcoords")
    theirs = {"gcj02": prcoords.wgs_gcj, "bd09": prcoords.wgs_bd}[name]
    lon, lat = anywhere_in_china(500)
    points = [
        theirs(prcoords.Coords(y, x), check_china=False) for x, y in zip(lon, lat, strict=True)
    ]
    expected = (np.array([p.lon for p in points]), np.array([p.lat for p in points]))
    assert apart_deg(from_wgs84(lon, lat, name), expected) < MILLIMETRE_DEG


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_inverse_agrees_with_coord_convert(name: str) -> None:
    """Its own inverses are less exact than ours: it stops at 1e-6 degrees, and guesses BD-09."""
    transform = pytest.importorskip("coord_convert.transform")
    theirs = {"gcj02": transform.gcj2wgs, "bd09": transform.bd2wgs}[name]
    lon, lat = anywhere_in_china(500)
    expected = np.array([theirs(x, y) for x, y in zip(lon, lat, strict=True)])
    limit_deg = 1e-6 if name == "gcj02" else 2e-5
    assert apart_deg(to_wgs84(lon, lat, name), (expected[:, 0], expected[:, 1])) < limit_deg


@given(lon=lons, lat=lats, name=datums)
def test_there_and_back_is_the_same_place(lon: float, lat: float, name: str) -> None:
    back_lon, back_lat = to_wgs84(*from_wgs84(lon, lat, name), name)
    assert abs(back_lon - lon) < HUNDREDTH_OF_A_MM_DEG
    assert abs(back_lat - lat) < HUNDREDTH_OF_A_MM_DEG


@given(lon=lons, lat=lats, name=datums)
def test_back_and_there_is_the_same_report(lon: float, lat: float, name: str) -> None:
    again_lon, again_lat = from_wgs84(*to_wgs84(lon, lat, name), name)
    assert abs(again_lon - lon) < HUNDREDTH_OF_A_MM_DEG
    assert abs(again_lat - lat) < HUNDREDTH_OF_A_MM_DEG


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_the_whole_country_there_and_back(name: str) -> None:
    here = anywhere_in_china(200_000)
    there = from_wgs84(*here, name)
    assert apart_deg(here, there) > CENTIMETRE_DEG
    assert apart_deg(to_wgs84(*there, name), here) < HUNDREDTH_OF_A_MM_DEG


@given(lon=st.floats(104.9999999, 105.0000001), lat=lats)
def test_there_and_back_on_the_meridian_where_the_formula_has_a_kink(
    lon: float, lat: float
) -> None:
    back_lon, back_lat = to_wgs84(*from_wgs84(lon, lat, "gcj02"), "gcj02")
    assert abs(back_lon - lon) < CENTIMETRE_DEG
    assert abs(back_lat - lat) < CENTIMETRE_DEG


def test_the_shift_in_shenzhen_is_571_to_618_metres() -> None:
    city = read_zone_file(zone_directory() / "city-440300.geojson").features[0].geometry
    random = np.random.default_rng(1)
    lon, lat = random.uniform(113.75, 114.63, 20_000), random.uniform(22.39, 22.87, 20_000)
    inside = shapely.contains_xy(city, lon, lat)
    lon, lat = lon[inside], lat[inside]
    _, _, shift_m = pyproj.Geod(ellps="WGS84").inv(lon, lat, *from_wgs84(lon, lat, "gcj02"))
    assert shift_m.min() == pytest.approx(571, abs=2)
    assert shift_m.max() == pytest.approx(618, abs=2)


@settings(max_examples=30)
@given(name=st.sampled_from(["gcj02", "bd09"]), seed=st.integers(0, 1000))
def test_a_result_does_not_depend_on_its_neighbours(name: str, seed: int) -> None:
    lon, lat = anywhere_in_china(5000, seed)
    together = to_wgs84(lon, lat, name)
    for chosen in (slice(17, 18), slice(100, 105), slice(4000, 4100), slice(None, None, -1)):
        alone = to_wgs84(lon[chosen], lat[chosen], name)
        assert apart_deg(alone, (together[0][chosen], together[1][chosen])) < 5e-14


@pytest.mark.parametrize("name", datum.DATUMS)
@pytest.mark.parametrize(
    ("lon", "lat"), [(139.767, 35.681), (-0.128, 51.507), (151.2, -33.9), (-114.1, 22.5)]
)
def test_abroad_nothing_is_shifted(lon: float, lat: float, name: str) -> None:
    many = (np.full(50, lon), np.full(50, lat))
    for convert in (to_wgs84, from_wgs84):
        assert [float(value) for value in convert(lon, lat, name)] == [lon, lat]
        assert apart_deg(convert(*many, name), many) == 0


@pytest.mark.parametrize(("lon", "lat"), [(114.158, 22.282), (113.549, 22.198)])
def test_hong_kong_and_macau_are_shifted_like_the_mainland(lon: float, lat: float) -> None:
    there = from_wgs84(lon, lat, "gcj02")
    assert math.dist((lon, lat), (float(there[0]), float(there[1]))) > 0.004


def test_nobody_jumps_when_walking_over_the_shenzhen_river() -> None:
    lat = np.linspace(22.5281, 22.5318, 400)  # 1 m steps from Lo Wu to Luohu
    gcj_lat = from_wgs84(np.full_like(lat, 114.1133), lat, "gcj02")[1]
    assert np.diff(gcj_lat).min() > 0
    assert np.diff(gcj_lat).max() < 2 * (lat[1] - lat[0])


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
@pytest.mark.parametrize(
    ("lon", "lat"), [(72.004001, 40.0), (137.8346, 40.0), (100.0, 0.8294), (100.0, 55.8270)]
)
def test_just_inside_the_box_still_comes_back(lon: float, lat: float, name: str) -> None:
    back_lon, back_lat = to_wgs84(*from_wgs84(lon, lat, name), name)
    assert abs(back_lon - lon) < CENTIMETRE_DEG
    assert abs(back_lat - lat) < CENTIMETRE_DEG


@pytest.mark.parametrize("count", [4, 400])
def test_a_position_that_is_no_number_comes_back_as_it_is(count: int) -> None:
    lon = np.resize([math.nan, math.inf, 114.0, 1e300], count)
    lat = np.resize([22.5, 22.5, -math.inf, 1e300], count)
    for name in datum.DATUMS:
        got_lon, got_lat = to_wgs84(lon, lat, name)
        assert np.array_equal(got_lon, lon, equal_nan=True)
        assert np.array_equal(got_lat, lat, equal_nan=True)


def test_a_bad_position_does_not_spoil_the_good_ones_beside_it() -> None:
    lon, lat = anywhere_in_china(300)
    good = to_wgs84(lon, lat, "gcj02")
    lon[7] = math.nan
    lat[8] = 1e9
    spoiled = to_wgs84(lon, lat, "gcj02")
    rest = np.delete(np.arange(300), [7, 8])
    assert apart_deg((good[0][rest], good[1][rest]), (spoiled[0][rest], spoiled[1][rest])) < 5e-14


def test_shapes_are_kept_and_inputs_are_not_touched() -> None:
    lon, lat = np.full((3, 20), 114.0), np.full((3, 20), 22.5)
    got = to_wgs84(lon, lat, "bd09")
    assert got[0].shape == got[1].shape == (3, 20)
    assert (lon == 114.0).all()
    assert (lat == 22.5).all()
    same = to_wgs84(lon, lat, "wgs84")
    same[0][0, 0] = 0
    assert lon[0, 0] == 114.0
    assert to_wgs84([], [], "gcj02")[0].shape == (0,)


def test_an_unknown_datum_or_unlike_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown datum 'wgs-84': one of wgs84, gcj02, bd09"):
        to_wgs84(114.0, 22.5, "wgs-84")
    with pytest.raises(ValueError, match="shape"):
        from_wgs84([114.0, 114.1], [22.5], "gcj02")


def test_public_names_are_sorted() -> None:
    assert datum.__all__ == sorted(datum.__all__, key=lambda name: (not name.isupper(), name))
