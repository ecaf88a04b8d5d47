"""Zone files: GeoJSON (RFC 7946) in WGS-84 with a foreign member `geomon` that says what it is.

    {"type": "FeatureCollection",
     "geomon": {"format": 1, "what": "city", "datum": "wgs84", "version": "1.1.2-0a1b2c3d",
                "sha256": "...", "source": {...}},
     "features": [...]}

The hash is over the canonical JSON of `features` (UTF-8, keys sorted, no spaces, shortest floats),
so that a file that was reformatted is still the same zone and a file that was edited is not. A
plain GeoJSON file of the user's own, without the member `geomon`, is read as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomon.errors import ZoneError

__all__ = ["ZoneFeature", "ZoneFile", "read_zone_file", "write_zone_file", "zone_directory"]

FORMAT = 1

#: Decimals kept on disk: 1e-6 degrees are 0.11 m, a tenth of the best receiver's error.
DECIMALS = 6

# Names under which old GeoJSON files declare what RFC 7946 takes for granted.
_WGS84_NAMES = ("CRS84", "EPSG::4326", "EPSG:4326", "EPSG::4490", "EPSG:4490")


@dataclass(frozen=True)
class ZoneFeature:
    """One place: `geometry` is a valid (Multi)Polygon in WGS-84 degrees, longitude first.

    `adcode`, `parent`: six-digit administrative codes, "" when a user's file has none.
    `level`: "province", "city", "district", or "" .
    """

    adcode: str
    name: str
    level: str
    parent: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class ZoneFile:
    """A zone file in memory; `what`: "city", "districts", "places"; "user" for a plain GeoJSON."""

    what: str
    version: str
    sha256: str
    source: dict[str, Any]
    features: list[ZoneFeature]


def zone_directory() -> Path:
    """The folder of the zone files that come with geomon: in an installed wheel, or a checkout."""
    installed = Path(__file__).parent / "data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "zones"


def read_zone_file(path: Path) -> ZoneFile:
    """Read a zone file or a plain GeoJSON (FeatureCollection, Feature or bare geometry).

    Raises ZoneError, in one line, when the file is missing or is not JSON, when its geometry is not
    polygonal, not valid or out of range, when it declares a datum other than WGS-84, or when its
    content does not have the hash it states.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ZoneError(f"no zone file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ZoneError(f"cannot read zone file {path}: {_one_line(error)}") from None
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ZoneError(f"{path} is not JSON: {_one_line(error)}") from None
    try:
        return _from_document(document)
    except ZoneError as error:
        raise ZoneError(f"{path}: {error}") from None


def write_zone_file(
    path: Path, what: str, features: Sequence[ZoneFeature], source: Mapping[str, Any]
) -> ZoneFile:
    """Write features to `path` and return them as `read_zone_file` would.

    The bytes depend on the arguments alone: coordinates are rounded to 1e-6 degrees, rings start at
    a fixed vertex, outer rings run counter-clockwise, features are sorted by adcode. The version is
    `source["package_version"]` and the hash's first eight digits. Raises ZoneError when a geometry
    is unfit.
    """
    rows = [_feature_row(feature) for feature in sorted(features, key=lambda f: f.adcode)]
    sha256 = _hash(rows)
    head = {
        "format": FORMAT,
        "what": what,
        "datum": "wgs84",
        "version": f"{source.get('package_version', 'built')}-{sha256[:8]}",
        "sha256": sha256,
        "source": dict(source),
    }
    zone_file = _from_document({"type": "FeatureCollection", "geomon": head, "features": rows})
    # One feature a line: a change of one place is a change of one line.
    lines = ",\n".join(_dump(row) for row in rows)
    text = f'{{"type":"FeatureCollection",\n"geomon":{_dump(head)},\n"features":[\n{lines}\n]}}\n'
    # A reader must never see half a file: write beside it, then rename.
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(text.encode())
        beside.replace(path)
    except OSError as error:
        raise ZoneError(f"cannot write zone file {path}: {_one_line(error)}") from None
    return zone_file


def _feature_row(feature: ZoneFeature) -> dict[str, Any]:
    rounded = shapely.transform(feature.geometry, lambda xy: np.round(xy, DECIMALS))
    geometry = shapely.orient_polygons(shapely.normalize(rounded), exterior_cw=False)
    return {
        "type": "Feature",
        "id": feature.adcode,
        "properties": {
            "adcode": feature.adcode,
            "name": feature.name,
            "level": feature.level,
            "parent": feature.parent,
        },
        "geometry": json.loads(shapely.to_geojson(geometry)),
    }


def _from_document(document: Any) -> ZoneFile:
    if not isinstance(document, dict):
        raise ZoneError("not a GeoJSON object")
    _check_crs(document)
    rows = list(_rows(document))
    if not rows:
        raise ZoneError("no feature in it")
    sha256 = _hash(rows)
    head = document.get("geomon")
    if head is None:
        head = {"what": "user", "version": f"user-{sha256[:8]}", "source": {}}
    else:
        _check_head(head, sha256)
    features = [_feature(row, i) for i, row in enumerate(rows)]
    return ZoneFile(
        what=str(head.get("what", "")),
        version=str(head.get("version", "")),
        sha256=sha256,
        source=head.get("source", {}),
        features=features,
    )


def _check_head(head: Any, sha256: str) -> None:
    if not isinstance(head, dict) or not isinstance(head.get("source", {}), dict):
        raise ZoneError("its member geomon is not an object with an object source")
    if head.get("format") != FORMAT:
        raise ZoneError(f"format {head.get('format')!r}, this geomon reads format {FORMAT}")
    if head.get("datum") != "wgs84":
        raise ZoneError(f"datum {head.get('datum')!r}, a zone file is in wgs84")
    if head.get("sha256") != sha256:
        raise ZoneError(
            f"its features have hash {sha256[:8]}, the file states {str(head.get('sha256'))[:8]}: "
            "it was edited or damaged"
        )


def _rows(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The features of a document as dictionaries, whatever of the three forms it has."""
    kind = document.get("type")
    if kind == "FeatureCollection":
        rows = document.get("features")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ZoneError("features is not a list of objects")
        yield from rows
    elif kind == "Feature":
        yield document
    else:
        yield {"type": "Feature", "properties": {}, "geometry": document}


def _feature(row: dict[str, Any], place: int) -> ZoneFeature:
    properties = row.get("properties") or {}
    if not isinstance(properties, dict):
        raise ZoneError(f"feature {place}: properties is not an object")
    adcode = str(properties.get("adcode", ""))
    label = f"feature {place}" + (f" ({adcode})" if adcode else "")
    geometry = _geometry(row.get("geometry"), label)
    return ZoneFeature(
        adcode=adcode,
        name=str(properties.get("name", "")),
        level=str(properties.get("level", "")),
        parent=str(properties.get("parent", "")),
        geometry=geometry,
    )


def _geometry(member: Any, label: str) -> BaseGeometry:
    kind = member.get("type") if isinstance(member, dict) else None
    if kind not in {"Polygon", "MultiPolygon"}:
        raise ZoneError(f"{label} is a {kind}, a zone is a Polygon or MultiPolygon")
    try:
        geometry = shapely.force_2d(shapely.from_geojson(json.dumps(member)))
    except (shapely.errors.GEOSException, ValueError) as error:
        raise ZoneError(f"{label} is not a polygon: {_one_line(error)}") from None
    if geometry.is_empty:
        raise ZoneError(f"{label} is empty")
    west, south, east, north = geometry.bounds
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise ZoneError(f"{label} has coordinates out of range: longitude comes first, in degrees")
    if not geometry.is_valid:
        raise ZoneError(f"{label} is not a valid polygon: {shapely.is_valid_reason(geometry)}")
    return geometry


def _check_crs(document: dict[str, Any]) -> None:
    """Old GeoJSON may name a reference system: to take any for WGS-84 would move the fence."""
    crs = document.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = str(properties.get("name", "")) if isinstance(properties, dict) else ""
    if not name.upper().endswith(_WGS84_NAMES):
        raise ZoneError(f"reference system {name or 'unnamed'!r}, a zone file is in WGS-84")


def _hash(rows: Sequence[Mapping[str, Any]]) -> str:
    canonical = json.dumps(rows, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
