"""Which administrative place holds a position, and which is nearest when none does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from geomon.zones.files import ZoneFeature

__all__ = ["PlaceMap"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# Where places of several levels hold a position, the finest answers. A level not in the table is
# the user's own and counts as finest.
_FINENESS = {"province": 0, "city": 1, "district": 2}

_A_M = 6378137.0  # WGS-84
_E2 = 6.69437999014e-3


class PlaceMap:
    """Places of one or several levels; answers are indices into `features`, -1 for none."""

    def __init__(self, features: Sequence[ZoneFeature]) -> None:
        self.features = sorted(features, key=lambda f: (_FINENESS.get(f.level, 3), f.adcode))
        self._geometries = np.array([f.geometry for f in self.features], dtype=object)
        shapely.prepare(self._geometries)
        self._tree = shapely.STRtree(self._geometries)

    def holding(self, lon: Floats, lat: Floats) -> Ints:
        """The finest place that holds each WGS-84 position; -1 in none or exactly on a border."""
        found = np.full(len(lon), -1, np.intp)
        # The tree knows bounding boxes only: the test itself goes place by place, each prepared
        # once, over all its candidates together.
        point, place = self._tree.query(shapely.points(lon, lat))
        if not len(point):
            return found
        order = np.argsort(place, kind="stable")
        point, place = point[order], place[order]
        places, begins = np.unique(place, return_index=True)
        # In the order of features, coarse to fine: a finer place overwrites a coarser one.
        for k, candidates in zip(places, np.split(point, begins[1:]), strict=True):
            held = shapely.contains_xy(self._geometries[k], lon[candidates], lat[candidates])
            found[candidates[held]] = k
        return found

    def nearest(self, lon: Floats, lat: Floats, within_m: float) -> tuple[Ints, Floats]:
        """The place nearest to each position and how far it is, metres; -1 and inf if beyond.

        For positions that no place holds: the distance is the one to the nearest border. Measured
        in the ellipsoidal Mercator plane, which is conformal: over a few kilometres all directions
        are stretched alike (by 1 / N cos(lat), Snyder 1987, eq. 7-8), so the nearest there is the
        nearest on the ground and the distance is right to about 0.1 %.
        """
        found = np.full(len(lon), -1, np.intp)
        distance_m = np.full(len(lon), np.inf)
        if not self.features or not len(lon):
            return found, distance_m
        phi = np.radians(lat)
        unit_m = _A_M * np.cos(phi) / np.sqrt(1 - _E2 * np.sin(phi) ** 2)
        tree, place_of_edge = self._edges
        (point, edge), size = tree.query_nearest(
            shapely.points(_mercator(np.column_stack([lon, lat]))),
            # A limit of zero is refused, and there is none where a parallel shrinks to the pole.
            max_distance=within_m / max(float(unit_m.min()), 1.0),
            return_distance=True,
        )
        # Neighbours share edges, and equally near ones come in no stated order: the first in
        # `features` answers.
        place = place_of_edge[edge]
        order = np.lexsort((place, point))
        point, first = np.unique(point[order], return_index=True)
        size_m = size[order][first] * unit_m[point]
        near = size_m <= within_m
        found[point[near]] = place[order][first][near]
        distance_m[point[near]] = size_m[near]
        return found, distance_m

    @cached_property
    def _edges(self) -> tuple[shapely.STRtree, Ints]:
        """A tree of all edges in the Mercator plane, and the place each belongs to.

        A tree of whole places would measure a position against every edge of each place about it.
        """
        # Edges are straight in degrees; cut to 2 km they are so in the plane, to 5 cm.
        geometries = shapely.segmentize(self._geometries, 0.02)
        polygons, place = shapely.get_parts(geometries, return_index=True)
        rings, polygon = shapely.get_rings(polygons, return_index=True)
        lonlat, ring = shapely.get_coordinates(rings, return_index=True)
        corners = _mercator(lonlat)
        real = ring[1:] == ring[:-1]
        edges = np.stack([corners[:-1][real], corners[1:][real]], axis=1)
        return shapely.STRtree(shapely.linestrings(edges)), place[polygon[ring[1:][real]]]


def _mercator(lonlat: Floats) -> Floats:
    """Degrees to the Mercator plane of an ellipsoid with unit axis (Snyder 1987, eq. 7-7)."""
    phi = np.radians(np.clip(lonlat[:, 1], -89.9, 89.9))
    e = _E2**0.5
    northing = np.arcsinh(np.tan(phi)) - e * np.arctanh(e * np.sin(phi))
    return np.column_stack([np.radians(lonlat[:, 0]), northing])
