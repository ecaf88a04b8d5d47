"""A boundary's segments, and metres for degrees about them.

Near the line degrees become metres by the ellipsoid's radii of curvature at one
latitude (Snyder, *Map Projections: A Working Manual*, USGS 1395, 1987, eqs. 4-18 to 4-21). A
segment that matters is at most a few kilometres away, over which the scale changes by 0.03 %
(0.06 % at 54 N, the north of China). That is nearer the truth than one projection for a whole
city, whose scale error grows with the city (Gauss-Kruger: 0.0025 % at 45 km from its meridian, but
0.11 % at 300 km, where the largest prefectures end), and no position needs to be projected.

Edges are straight in longitude and latitude (RFC 7946, section 3.1.1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

__all__ = [
    "EDGE_M",
    "R_MIN_M",
    "SHORT_LAT_M",
    "Floats",
    "Ints",
    "Segments",
    "about",
    "cut",
    "from_origin",
    "great_circle_m",
    "metres_per_degree",
    "segment_distance_m",
]

#: Longer edges are cut, so that a straight line in degrees and in metres differ by under 2 cm.
EDGE_DEG = 0.01

_A_M = 6378137.0  # WGS-84
_E2 = 6.69437999014e-3
R_MIN_M = _A_M * (1 - _E2)  # smallest radius of curvature: the meridian's at the equator
SHORT_LAT_M = 110_574.0  # the shortest degree of latitude, at the equator
_GEOD = pyproj.Geod(ellps="WGS84")

EDGE_M = 1.1 * EDGE_DEG * np.pi / 180 * _A_M  # longer than any segment

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Segments(NamedTuple):
    """Boundary segments: start, and extent from there, in degrees."""

    lon: Floats
    lat: Floats
    dlon: Floats
    dlat: Floats


def cut(geometry: shapely.Geometry) -> Segments:
    """Cut the boundary of a polygon into segments of at most `EDGE_DEG`; none has no length."""
    lines = shapely.get_parts(shapely.segmentize(geometry.boundary, EDGE_DEG))
    points, line = shapely.get_coordinates(lines, return_index=True)
    extent = np.diff(points, axis=0)
    real = (line[1:] == line[:-1]) & extent.any(axis=1)
    start, extent = points[:-1][real], extent[real]
    return Segments(*(np.ascontiguousarray(a) for a in (*start.T, *extent.T)))


def segment_distance_m(
    segments: Segments, which: Ints, lon: Floats, lat: Floats, scale: tuple[Floats, Floats]
) -> Floats:
    """Distance from each position to its segment, metres; `scale` is metres per degree."""
    lon_m, lat_m = scale
    return from_origin(
        (segments.lon[which] - lon) * lon_m,
        (segments.lat[which] - lat) * lat_m,
        segments.dlon[which] * lon_m,
        segments.dlat[which] * lat_m,
    )


def from_origin(x: Floats, y: Floats, dx: Floats, dy: Floats) -> Floats:
    """Distance from the origin of a plane to segments that start at x, y and extend by dx, dy."""
    along = -(x * dx + y * dy) / (dx * dx + dy * dy)
    np.fmin(np.fmax(along, 0.0, out=along), 1.0, out=along)
    x = x + along * dx
    y = y + along * dy
    size: Floats = np.sqrt(x * x + y * y)
    return size


def metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    """Length of a degree of longitude and of latitude at a latitude, metres (WGS-84)."""
    phi = np.radians(lat)
    w = 1 - _E2 * np.sin(phi) ** 2
    degree = np.pi / 180
    return degree * _A_M * np.cos(phi) / np.sqrt(w), degree * _A_M * (1 - _E2) / w**1.5


def great_circle_m(lon: float, lat: float, to_lon: Floats, to_lat: Floats) -> Floats:
    """Distance on a sphere of the ellipsoid's smallest radius, metres: never above the geodesic."""
    phi, to_phi = np.radians(lat), np.radians(to_lat)
    haversine = (
        np.sin((to_phi - phi) / 2) ** 2
        + np.cos(phi) * np.cos(to_phi) * np.sin(np.radians(to_lon - lon) / 2) ** 2
    )
    size_m: Floats = 2 * R_MIN_M * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return size_m


def about(lon: float, lat: float, to_lon: Floats, to_lat: Floats) -> tuple[Floats, Floats]:
    """Metres east and north in the azimuthal equidistant plane about a position."""
    here_lon, here_lat = np.full(len(to_lon), lon), np.full(len(to_lon), lat)
    azimuth, _, size_m = _GEOD.inv(here_lon, here_lat, to_lon, to_lat)
    return size_m * np.sin(np.radians(azimuth)), size_m * np.cos(np.radians(azimuth))
