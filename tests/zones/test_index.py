"""Placing positions: the distance to a boundary, the side, the place."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geomon.cli.where import where
from geomon.errors import UserError, ZoneError
from geomon.zones.boundary import CELL_M, MARGIN_M, NEAR_M, Boundary
from geomon.zones.files import ZoneFeature, write_zone_file, zone_directory
from geomon.zones.index import SHORE_M, ZoneIndex, zones_for
from geomon.zones.places import PlaceMap

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


# -- a small country: a city 20 km by 10, a neighbour to the north, another over a strait ----------

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


@pytest.fixture
def country() -> ZoneIndex:
    return ZoneIndex(CITY, DISTRICTS, PLACES, "test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = {"package_version": "1.0"}
    home = [ZoneFeature("990100", "本市", "city", "990000", CITY)]
    write_zone_file(tmp_path / "city-990100.geojson", "city", home, source)
    write_zone_file(tmp_path / "districts-990100.geojson", "districts", DISTRICTS, source)
    write_zone_file(tmp_path / "places.geojson", "places", PLACES, source)
    (tmp_path / "pen.geojson").write_text(shapely.to_geojson(PEN))
    (tmp_path / "loop.geojson").write_text(shapely.to_geojson(box(4, 4, 6, 6)))
    return tmp_path


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


# -- Shenzhen, with the files that come with geomon ------------------------------------------------


@pytest.fixture(scope="module")
def shenzhen() -> ZoneIndex:
    if not (zone_directory() / "city-440300.geojson").exists():
        pytest.skip(f"no zone files in {zone_directory()}: geomon zones build")
    return zones_for("440300")


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
    shenzhen: ZoneIndex, what: str, lon: float, lat: float, place: str
) -> None:
    assert shenzhen.places([lon], [lat]) == [place], what
    inside = place.startswith("4403")
    assert shenzhen.classify([lon], [lat]).inside[0] == inside
    assert (shenzhen.boundary_distance_m(lon, lat) < 0) == inside


def test_a_step_over_the_land_border_is_a_step_into_the_neighbour(shenzhen: ZoneIndex) -> None:
    """50 m over the line the simplified list may still say Shenzhen, or nothing at all."""
    line = shenzhen.city_geometry.boundary
    beyond = shapely.get_coordinates(shenzhen.city_geometry.buffer(50 * KM_LAT / 1000).boundary)
    lon, lat = beyond[(beyond[:, 1] > 22.70) & (beyond[:, 0] < 114.4)].T  # Dongguan, Huizhou
    assert len(lon) > 500
    assert shapely.distance(line, shapely.Point(lon[0], lat[0])) < 60 * KM_LAT / 1000
    river = (beyond[:, 0] > 114.075) & (beyond[:, 0] < 114.16) & (beyond[:, 1] < 22.56)
    assert set(shenzhen.places(lon[lat > 22.76], lat[lat > 22.76])) <= {"441900", "441300"}
    assert set(shenzhen.places(*beyond[river].T)) == {"810000"}


def test_shenzhen_agrees_with_brute_force(shenzhen: ZoneIndex) -> None:
    boundary = Boundary(shenzhen.city_geometry)
    west, south, east, north = boundary.geometry.bounds
    rng = np.random.default_rng(20240213)
    lon, lat = rng.uniform(west, east, 4000), rng.uniform(south, north, 4000)
    assert_true_to(boundary.geometry, boundary, lon, lat)
    corners = shapely.get_coordinates(boundary.geometry.boundary)[::5]
    close = corners + rng.normal(0, 2e-3, corners.shape)
    assert_true_to(boundary.geometry, boundary, close[:, 0], close[:, 1])


def test_the_grid_is_fine_and_reaches_past_what_counts_as_near() -> None:
    assert CELL_M < NEAR_M / 10
    assert MARGIN_M > 2 * NEAR_M
    assert SHORE_M <= NEAR_M


def test_recorded_taxis_flip_only_where_they_left_the_city(
    shenzhen: ZoneIndex, recorded: Callable[[str], Path]
) -> None:
    with gzip.open(recorded("shenzhen_taxis_16.csv.gz"), "rt") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: (row["id"], row["t"]))
    inside = shenzhen.classify(
        [float(row["lon"]) for row in rows], [float(row["lat"]) for row in rows]
    ).inside
    flips = [
        a["id"]
        for (a, a_in), (b, b_in) in itertools.pairwise(zip(rows, inside, strict=True))
        if a["id"] == b["id"] and a_in != b_in
    ]
    assert len(flips) == 5
    assert len(set(flips)) == 3


# -- the command -----------------------------------------------------------------------------------


def answers(arguments: list[str], stdin: str = "") -> list[dict[str, object]]:
    result = CliRunner().invoke(where, [*arguments, "--json"], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_where_says_side_place_and_distance(shenzhen: ZoneIndex) -> None:
    civic, lo_wu = answers(["114.0545,22.5445", "114.1133,22.5285"])
    assert (civic["side"], civic["place"], civic["name"]) == ("inside", "440304", "福田区")
    assert (lo_wu["side"], lo_wu["place"]) == ("outside", "810000")
    assert 100 < float(str(lo_wu["distance_m"])) < 250  # the line is at 22.52997 N there
    assert civic["zones"] == shenzhen.version


def test_where_takes_the_datum_into_account(shenzhen: ZoneIndex) -> None:
    (wgs84,) = answers(["114.113700,22.531800"])
    (gcj02,) = answers(["114.118806,22.529113", "--datum", "gcj02"])
    (bd09,) = answers(["114.125219,22.535451", "--datum", "bd09"])
    assert wgs84["side"] == gcj02["side"] == bd09["side"] == "inside"
    for other in (gcj02, bd09):
        assert other["distance_m"] == pytest.approx(wgs84["distance_m"], abs=0.5)
    (mistaken,) = answers(["114.118806,22.529113"])
    assert mistaken["side"] == "outside"


def test_where_reads_positions_from_stdin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geomon.zones.index.zone_directory", lambda: folder)
    lines = "".join(f"{lon},{lat}\n" for lon, lat in (at(k / 250 - 5, 0) for k in range(2500)))
    rows = answers(["--city", "990100", "-"], stdin=lines + "\n" + "114.0 22.5\n")
    assert len(rows) == 2501
    assert {row["place"] for row in rows} == {"990101", "990102"}
    assert {row["name"] for row in rows} == {"西区", "东区"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("22.5445,114.0545", r"latitude 114\.05.*longitude comes first, write 114\.0545,22\.5445"),
        ("114.05", r"cannot read '114\.05' as LON,LAT"),
        ("here,there", "cannot read 'here,there'"),
        ("nan,22.5", "is not a position"),
        ("514.05,22.5", "not on the globe"),
    ],
)
def test_where_tells_a_mistake_in_one_line(text: str, told: str) -> None:
    for arguments, stdin in (([text], ""), (["-"], text + "\n")):
        with pytest.raises(UserError, match=told) as caught:
            CliRunner().invoke(where, arguments, input=stdin, catch_exceptions=False)
        assert "\n" not in str(caught.value)
