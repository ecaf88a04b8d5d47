"""A city's boundary as a grid: how far positions are from the line, and on which side.

Most positions are plainly inside, and the answer for them must cost next to nothing; the few near
the line need the exact distance, because one real absence went only 230 m beyond it. So the plane
about the city is cut into square cells, finer towards the boundary, once, when the zones are
loaded. A cell holds one of two things:

- **far** (all of it `NEAR_M` or more from the line): a signed lower bound of the distance, valid
  anywhere in the cell. A position there is answered by one look into a table.
- **near**: the few boundary segments that can be nearest to any point of the cell. A position there
  is measured against these alone. If no part of the boundary runs through the cell, its side is
  known too; otherwise a prepared point-in-polygon test decides it.

*Why the lists are complete.* A cell with centre c reaches at most r from c. If the segment nearest
to c is D away, then for any p in the cell some segment is within D + r of p, so the nearest one to
p is within D + 2 r of c: the list holds all of those. What a quarter of a cell needs is among what
the cell needs, so lists are made from the parent's, and 4,000 segments against 100,000 near cells
cost a fraction of a second.

Within a cell degrees become metres by the scale at the cell's latitude. Far bounds and the choice
of lists carry a slack of `SLACK` for the coarser metric used while building.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geomon.zones.segments import (
    EDGE_M,
    R_MIN_M,
    SHORT_LAT_M,
    Floats,
    Ints,
    about,
    cut,
    from_origin,
    great_circle_m,
    metres_per_degree,
    segment_distance_m,
)

__all__ = ["NEAR_M", "Boundary"]

#: Nearer than this the distance is exact; beyond it is a lower bound of at least this size.
NEAR_M = 3000.0
#: Side of the smallest cells; doubled for a city so large that the table would outgrow
#: `MOST_CELLS`.
CELL_M = 125.0
#: The grid reaches this far beyond the city's bounding box.
MARGIN_M = 12000.0
MOST_CELLS = 4_000_000
#: A near cell with no more segments than this, and no boundary through it, is not cut further,
#: if it reaches no further than this: the scale at its centre must serve all of it.
FEW_SEGMENTS = 4
NEAR_REACH_M = 750.0
#: A far cell is small enough when its reach is under this part of its distance: the bound is then
#: at least 3/4 of the truth.
REACH = 1 / 8
SLACK = 0.01

# Cache-sized portions of a large array, and of (position, segment) pairs.
_PORTION = 16_384
_PAIRS = 262_144


class _Cells(NamedTuple):
    """Cells of one size and, one list after another, the segments that matter to each."""

    column: Ints
    row: Ints
    listed: Ints
    segments: Ints

    def portions(self) -> Iterator[_Cells]:
        """The same cells in portions of about `_PAIRS` listed segments, to bound the memory."""
        ends = np.cumsum(self.listed)
        first = 0
        while first < len(ends):
            begin = int(ends[first] - self.listed[first])
            last = max(first + 1, int(np.searchsorted(ends, begin + _PAIRS, side="right")))
            part = slice(first, last)
            yield _Cells(
                self.column[part],
                self.row[part],
                self.listed[part],
                self.segments[begin : int(ends[last - 1])],
            )
            first = last

    def only(self, chosen: NDArray[np.bool_]) -> _Cells:
        """The chosen cells with their lists."""
        return _Cells(
            self.column[chosen],
            self.row[chosen],
            self.listed[chosen],
            self.segments[np.repeat(chosen, self.listed)],
        )

    def quarters(self) -> _Cells:
        """The four quarters of each cell, each with the whole cell's list."""
        return _Cells(
            np.concatenate([2 * self.column + k for k in (0, 1, 0, 1)]),
            np.concatenate([2 * self.row + k for k in (0, 0, 1, 1)]),
            np.tile(self.listed, 4),
            np.tile(self.segments, 4),
        )


class Boundary:
    """The boundary of a polygon in WGS-84 degrees, ready to measure many positions against.

    Building takes a few tenths of a second for a city of 4,000 vertices. Raises `ValueError` for a
    geometry without area.
    """

    def __init__(self, geometry: shapely.Geometry) -> None:
        if geometry.is_empty or geometry.area <= 0:
            raise ValueError("a boundary needs a polygon with an area")
        self.geometry = geometry
        shapely.prepare(geometry)
        self._segments = cut(geometry)
        self._lay_out()
        self._fill()

    def signed_distance_m(self, lon: Floats, lat: Floats) -> Floats:
        """Signed distance of WGS-84 positions to the boundary, metres: outside > 0, inside < 0.

        Exact (0.1 %) when its size is under `NEAR_M`. Otherwise a lower bound of the true size,
        never under `NEAR_M`; within the grid it is at least 3/4 of the truth.

        Both arrays are one-dimensional, float64, of one length. Raises `ValueError` for another
        shape, and for a value that is not finite or not on the globe.
        """
        if lon.ndim != 1 or lon.shape != lat.shape:
            raise ValueError(f"lon {lon.shape} and lat {lat.shape} must be rows of one length")
        if len(lon) <= _PORTION:
            return self._measure(lon, lat)
        distance_m = np.empty(len(lon))
        for begin in range(0, len(lon), _PORTION):
            part = slice(begin, begin + _PORTION)
            distance_m[part] = self._measure(lon[part], lat[part])
        return distance_m

    def exact_distance_m(self, lon: float, lat: float) -> float:
        """Signed distance of one WGS-84 position to the boundary, metres, exact at any range.

        Far positions are measured along geodesics: in the azimuthal equidistant plane about the
        position, where distances from it are true. Up to 1 ms; raises as `signed_distance_m`.
        """
        signed_m = float(self.signed_distance_m(np.array([lon]), np.array([lat]))[0])
        if abs(signed_m) < NEAR_M:
            return signed_m
        seg = self._segments
        # On a sphere first (0.6 % off at most), to keep the few segments that can be nearest.
        rough_m = great_circle_m(lon, lat, seg.lon, seg.lat)
        near = rough_m <= rough_m.min() * 1.02 + 2 * EDGE_M
        start, end = (
            about(lon, lat, seg.lon[near] + k * seg.dlon[near], seg.lat[near] + k * seg.dlat[near])
            for k in (0, 1)
        )
        size_m = from_origin(start[0], start[1], end[0] - start[0], end[1] - start[1]).min()
        return float(np.copysign(size_m, signed_m))

    # -- answering -------------------------------------------------------------------------------

    def _measure(self, lon: Floats, lat: Floats) -> Floats:
        x = lon - self._west
        x *= self._columns_per_deg
        y = lat - self._south
        y *= self._rows_per_deg
        # Everything beyond the grid falls into its outermost ring. fmin and fmax send a NaN there
        # too, where it is found without a test on the way of all others.
        np.fmin(np.fmax(x, 0.0, out=x), self._columns - 1.0, out=x)
        np.fmin(np.fmax(y, 0.0, out=y), self._rows - 1.0, out=y)
        cell = y.astype(np.intp)
        cell *= self._columns
        cell += x.astype(np.intp)
        distance_m: Floats = self._far_m.take(cell)
        unanswered = np.isnan(distance_m)
        if unanswered.any():
            where = np.flatnonzero(unanswered)
            distance_m[where] = self._measure_closely(lon[where], lat[where], cell[where])
        return distance_m

    def _measure_closely(self, lon: Floats, lat: Floats, cell: Ints) -> Floats:
        leaf = self._leaf[cell]
        beyond = leaf < 0
        if not beyond.any():
            return self._measure_near(lon, lat, leaf)
        distance_m = np.empty(len(lon))
        distance_m[beyond] = self._bound_beyond_m(lon[beyond], lat[beyond])
        near = ~beyond
        if near.any():
            distance_m[near] = self._measure_near(lon[near], lat[near], leaf[near])
        return distance_m

    def _measure_near(self, lon: Floats, lat: Floats, leaf: Ints) -> Floats:
        size_m = np.empty(len(lon))
        step = max(1, _PAIRS // self._longest)
        for begin in range(0, len(lon), step):
            part = slice(begin, begin + step)
            at = leaf[part]
            count = self._count[at]
            which, begins = _unroll(self._first[at], count)
            size_m[part] = np.minimum.reduceat(
                segment_distance_m(
                    self._segments,
                    self._listed[which],
                    np.repeat(lon[part], count),
                    np.repeat(lat[part], count),
                    (np.repeat(self._lon_m[at], count), np.repeat(self._lat_m[at], count)),
                ),
                begins,
            )
        side = self._side[leaf]
        crossed = np.flatnonzero(side == 0)
        if len(crossed):
            inside = shapely.contains_xy(self.geometry, lon[crossed], lat[crossed])
            side[crossed] = np.where(inside, -1.0, 1.0)
        return size_m * side

    def _bound_beyond_m(self, lon: Floats, lat: Floats) -> Floats:
        """Lower bounds of the distance to the city for positions beyond the grid, metres.

        The largest of three: to the parallels and to the meridians that frame the city, and to the
        circle about it. On a sphere of the ellipsoid's smallest radius each is a true bound, as no
        path on the ellipsoid is shorter than its image there.
        """
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise ValueError("a position with a coordinate that is not a finite number")
        if (np.abs(lon) > 180).any() or (np.abs(lat) > 90).any():
            raise ValueError("a position outside longitude -180..180 or latitude -90..90")
        west, south, east, north = self.geometry.bounds
        parallels = np.radians(np.maximum(south - lat, lat - north))
        turn = np.abs((lon - (west + east) / 2 + 180) % 360 - 180) - (east - west) / 2
        turn = np.radians(np.clip(turn, 0, 90))
        meridians = np.arcsin(np.cos(np.radians(lat)) * np.sin(turn))
        frame_m = np.maximum(parallels, meridians) * R_MIN_M
        circle_m = great_circle_m(*self._middle, lon, lat) - self._radius_m
        bound_m: Floats = np.maximum(np.maximum(frame_m, circle_m), NEAR_M)
        return bound_m

    # -- building --------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        """Choose the size of the cells and where they lie."""
        west, south, east, north = self.geometry.bounds
        self._middle = ((west + east) / 2, (south + north) / 2)
        corners_m = great_circle_m(*self._middle, self._segments.lon, self._segments.lat)
        self._radius_m = float(corners_m.max()) + EDGE_M
        # One width in degrees for all cells: a degree of longitude is longest at the city's edge
        # towards the equator, where a cell is widest, and shortest at the other edge, where the
        # margin must still hold.
        nearest_equator = 0.0 if south < 0 < north else min(abs(south), abs(north))
        long_m, _ = metres_per_degree(np.array([nearest_equator]))
        short_m, _ = metres_per_degree(np.array([max(abs(south), abs(north))]))
        margin_lon, margin_lat = MARGIN_M / short_m[0], MARGIN_M / SHORT_LAT_M
        width_m = (east - west + 2 * margin_lon) * long_m[0]
        height_m = (north - south + 2 * margin_lat) * SHORT_LAT_M
        self._cell_m = CELL_M
        while width_m * height_m > MOST_CELLS * self._cell_m**2:
            self._cell_m *= 2
        self._edge_lon, self._edge_lat = west - margin_lon, south - margin_lat
        self._cell_lon, self._cell_lat = self._cell_m / long_m[0], self._cell_m / SHORT_LAT_M
        self._inner_columns = int(np.ceil(width_m / self._cell_m))
        self._inner_rows = int(np.ceil(height_m / self._cell_m))
        # The table has a ring of one cell about the grid, which stands for everything beyond it.
        self._columns, self._rows = self._inner_columns + 2, self._inner_rows + 2
        self._west, self._south = self._edge_lon - self._cell_lon, self._edge_lat - self._cell_lat
        self._columns_per_deg, self._rows_per_deg = 1 / self._cell_lon, 1 / self._cell_lat

    def _fill(self) -> None:
        """Cut one cell over everything into quarters until each is far or near; fill the tables."""
        levels = int(np.ceil(np.log2(max(self._inner_columns, self._inner_rows))))
        span = 2**levels  # side of the cells in hand, in smallest cells
        everything = np.arange(len(self._segments.lon))
        zero = np.zeros(1, np.intp)
        cells = _Cells(zero, zero, np.array([len(everything)]), everything)
        leaf = np.full((1, 1), -1, np.intp)
        far_m = np.full((1, 1), np.nan)
        near: list[_Cells] = []
        sides: list[Floats] = []
        lats: list[Floats] = []
        leaves = 0
        while True:
            cells, size_m = self._shorten(cells, span)
            lon, lat = self._centres(cells, span)
            reach_m = self._reach_m(span)
            bound_m = size_m * (1 - SLACK) - reach_m
            inside = shapely.contains_xy(self.geometry, lon, lat)
            side = np.where(bound_m > 0, np.where(inside, -1.0, 1.0), 0.0)
            is_far = bound_m >= NEAR_M
            if span == 1:
                is_near = ~is_far
            else:
                is_near = ~is_far & (bound_m > 0) & (cells.listed <= FEW_SEGMENTS)
                is_near &= reach_m <= NEAR_REACH_M
                is_far &= reach_m <= REACH * size_m
            far_m[cells.row[is_far], cells.column[is_far]] = (side * bound_m)[is_far]
            ids = leaves + np.arange(np.count_nonzero(is_near))
            leaves += len(ids)
            leaf[cells.row[is_near], cells.column[is_near]] = ids
            near.append(cells.only(is_near))
            sides.append(side[is_near])
            lats.append(lat[is_near])
            if span == 1:
                break
            cells = cells.only(~(is_far | is_near)).quarters()
            span //= 2
            columns, rows = -(-self._inner_columns // span), -(-self._inner_rows // span)
            cells = cells.only((cells.column < columns) & (cells.row < rows))
            far_m = far_m.repeat(2, 0).repeat(2, 1)[:rows, :columns]
            leaf = leaf.repeat(2, 0).repeat(2, 1)[:rows, :columns]
        self._far_m = np.pad(far_m, 1, constant_values=np.nan).ravel()
        self._leaf = np.pad(leaf, 1, constant_values=-1).ravel()
        self._count = np.concatenate([c.listed for c in near])
        self._first = np.cumsum(self._count) - self._count
        self._listed = np.concatenate([c.segments for c in near])
        self._side = np.concatenate(sides)
        self._lon_m, self._lat_m = metres_per_degree(np.concatenate(lats))
        self._longest = int(self._count.max())

    def _shorten(self, cells: _Cells, span: int) -> tuple[_Cells, Floats]:
        """Drop from each list what cannot be nearest; also the distance of each centre, metres."""
        sizes, counts, lists = [], [], []
        for part in cells.portions():
            lon, lat = self._centres(part, span)
            of_cell = np.repeat(np.arange(len(part.listed)), part.listed)
            begins = np.cumsum(part.listed) - part.listed
            # The scale midway between the two keeps the error small when they are far apart.
            middle = (lat[of_cell] + self._segments.lat[part.segments]) / 2
            distance_m = segment_distance_m(
                self._segments,
                part.segments,
                lon[of_cell],
                lat[of_cell],
                metres_per_degree(middle),
            )
            size_m = np.minimum.reduceat(distance_m, begins)
            most_m = (size_m + 2 * self._reach_m(span)) * (1 + 2 * SLACK)
            keep = distance_m <= most_m[of_cell]
            sizes.append(size_m)
            counts.append(np.add.reduceat(keep, begins, dtype=np.intp))
            lists.append(part.segments[keep])
        shortened = cells._replace(listed=np.concatenate(counts), segments=np.concatenate(lists))
        return shortened, np.concatenate(sizes)

    def _centres(self, cells: _Cells, span: int) -> tuple[Floats, Floats]:
        lon = self._edge_lon + (cells.column + 0.5) * (span * self._cell_lon)
        lat = self._edge_lat + (cells.row + 0.5) * (span * self._cell_lat)
        return lon, lat

    def _reach_m(self, span: int) -> float:
        """Half the diagonal of a cell, with 2 % for the degree of latitude, longest at the pole."""
        return 0.5 * 2**0.5 * 1.02 * span * self._cell_m


def _unroll(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Indices first[i] .. first[i] + count[i] - 1 for each i in turn, and where each i begins."""
    begins = np.cumsum(count) - count
    which = np.arange(int(begins[-1] + count[-1]))
    which += np.repeat(first - begins, count)
    return which, begins
