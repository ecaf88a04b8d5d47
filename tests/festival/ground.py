"""The ground of the city: what lies inside, where one can live, and ways that stay inside.

A web of junctions 1.8 km apart, joined where the straight line keeps `MARGIN_M` from the boundary,
stands for roads and metro. Every way of ordinary life runs along it, so that nobody is carried
across the river or the line by a straight line on the map.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from geomon.zones.files import read_zone_file, zone_directory
from geomon.zones.index import CITY, ZoneIndex, zones_for

from .centres import CENTRES, DISTRICT_WEIGHTS, GATES, Centre

__all__ = [
    "KX_M",
    "KY_M",
    "MARGIN_M",
    "Ground",
    "Point",
    "distance_m",
    "ground",
    "offset",
    "places",
]

Floats = NDArray[np.float64]
Point = tuple[float, float]

#: Ways of ordinary life keep this far inside the boundary.
MARGIN_M = 30.0

#: Metres a degree at 22.62 N, for the web and for distances within the city.
KX_M, KY_M = 102_830.0, 110_750.0

_STEP_M = 40.0  # between the samples of a way that is checked
_JUNCTION_M = 1800.0
_EDGE_M = 4300.0
_ORDINARY_M = 320.0  # an ordinary home lies at least this far inside
_SEA_M = 1250.0  # the zone keeps a strip of about 1 km of sea: nobody lives there


def distance_m(a: Point, b: Point) -> float:
    """Distance of two places in or about the city (0.3 %)."""
    return float(np.hypot((b[0] - a[0]) * KX_M, (b[1] - a[1]) * KY_M))


def offset(a: Point, east_m: float, north_m: float) -> Point:
    """A place moved by metres."""
    return (float(a[0] + east_m / KX_M), float(a[1] + north_m / KY_M))


class Ground:
    """What the generator knows of the city's geometry."""

    def __init__(self, zones: ZoneIndex) -> None:
        self.zones = zones
        self._edge_points()
        self._web()
        weights = np.array([DISTRICT_WEIGHTS[c.district] for c in CENTRES])
        share = {d: sum(c.district == d for c in CENTRES) for d in DISTRICT_WEIGHTS}
        weights = weights / np.array([share[c.district] for c in CENTRES])
        self._centre_cum = np.cumsum(weights / weights.sum())

    # -- inside and outside ---------------------------------------------------------------------

    def depth_m(self, points: list[Point] | Floats) -> Floats:
        """How far inside the boundary places lie, metres; outside is negative."""
        array = np.asarray(points, dtype=np.float64)
        return -self.zones.classify(array[:, 0], array[:, 1]).distance_m

    def clear(self, pairs: list[tuple[Point, Point]], margin_m: float = MARGIN_M) -> list[bool]:
        """Whether each straight line stays at least a margin inside the boundary."""
        ends = np.asarray(pairs, dtype=np.float64)
        delta = ends[:, 1] - ends[:, 0]
        length = np.hypot(delta[:, 0] * KX_M, delta[:, 1] * KY_M)
        count = np.maximum(2, np.ceil(length / _STEP_M).astype(int) + 1)
        start = np.concatenate([[0], np.cumsum(count)[:-1]])
        which = np.repeat(np.arange(len(count)), count)
        share = (np.arange(count.sum()) - start[which]) / (count[which] - 1)
        points = ends[which, 0] + delta[which] * share[:, None]
        bad = self.depth_m(points) < margin_m + _STEP_M / 20
        clear: list[bool] = (np.add.reduceat(bad.astype(int), start) == 0).tolist()
        return clear

    # -- places ---------------------------------------------------------------------------------

    def home(self, rng: np.random.Generator, kind: str) -> tuple[Point, Centre]:
        """A home: `plain`, `land` (within 300 m of the land border) or `river` (within 500 m)."""
        if kind == "plain":
            while True:
                centre = CENTRES[int(np.searchsorted(self._centre_cum, rng.random()))]
                spot = self._about(rng, centre, 650.0)
                if self.usable(spot, _ORDINARY_M):
                    return spot, centre
        points, inward, centres = self._strips[kind]
        deepest = 300.0 if kind == "land" else 495.0
        while True:
            i = int(rng.integers(len(points)))
            deep_m = rng.uniform(36.0, deepest)
            along_m = rng.uniform(-30, 30)
            east, north = inward[i]
            spot = offset(
                (float(points[i, 0]), float(points[i, 1])),
                deep_m * east - along_m * north,
                deep_m * north + along_m * east,
            )
            depth = float(self.depth_m([spot])[0])
            if 36.0 <= depth <= deepest and self.access(spot) is not None:
                return spot, CENTRES[int(centres[i])]

    def built_up(self, rng: np.random.Generator, near: Point | None, within_m: float) -> Point:
        """A place of work or a visit: anywhere, or within a distance of another place."""
        for attempt in range(10_000):
            if near is None or attempt > 200:
                centre = CENTRES[int(np.searchsorted(self._centre_cum, rng.random()))]
                spot = self._about(rng, centre, 600.0)
            else:
                angle, far = rng.uniform(0, 2 * np.pi), within_m * np.sqrt(rng.random())
                spot = offset(near, far * np.cos(angle), far * np.sin(angle))
            if self.usable(spot, 60.0):
                return spot
        raise RuntimeError("no place found")

    def edge_place(
        self, rng: np.random.Generator, near: Point, kind: str, deepest_m: float
    ) -> Point:
        """A place beside the land border or the river, in the part of it nearest to another."""
        points, inward, _ = self._strips[kind]
        far = np.hypot((points[:, 0] - near[0]) * KX_M, (points[:, 1] - near[1]) * KY_M)
        order = np.argsort(far, kind="stable")[: max(40, len(far) // 10)]
        while True:
            i = int(order[int(rng.integers(len(order)))])
            east, north = (rng.uniform(50.0, deepest_m) * inward[i]).tolist()
            spot = offset((float(points[i, 0]), float(points[i, 1])), east, north)
            if float(self.depth_m([spot])[0]) >= 45.0 and self.access(spot) is not None:
                return spot

    def usable(self, spot: Point, depth_m: float) -> bool:
        """Whether a place lies on land, deep enough inside, and a way leads to it."""
        if float(self.depth_m([spot])[0]) < depth_m:
            return False
        sea = self._sea
        far = np.hypot((sea[:, 0] - spot[0]) * KX_M, (sea[:, 1] - spot[1]) * KY_M)
        return bool(far.min() > _SEA_M) and self.access(spot) is not None

    def _about(self, rng: np.random.Generator, centre: Centre, spread_m: float) -> Point:
        east, north = np.clip(rng.normal(0, spread_m, 2), -2.3 * spread_m, 2.3 * spread_m)
        return offset((centre.lon, centre.lat), float(east), float(north))

    # -- ways -----------------------------------------------------------------------------------

    def access(self, spot: Point) -> int | None:
        """The nearest junction that a straight way reaches from a place."""
        far = np.hypot(
            (self.junctions[:, 0] - spot[0]) * KX_M, (self.junctions[:, 1] - spot[1]) * KY_M
        )
        near = np.argpartition(far, 10)[:10]
        near = near[np.argsort(far[near])]
        for few in (near[:3], near[3:]):
            pairs = [(spot, self._junction(int(j))) for j in few]
            for j, ok in zip(few, self.clear(pairs), strict=True):
                if ok:
                    return int(j)
        return None

    def way(self, a: Point, b: Point) -> list[Point]:
        """Corners of a way from one place to another that stays inside; both can be reached."""
        if distance_m(a, b) < 2500.0 and self.clear([(a, b)])[0]:
            return [a, b]
        start, end = self.access(a), self.access(b)
        if start is None or end is None:
            raise ValueError(f"no way from {a} to {b}")
        path, here = [a, self._junction(start)], start
        while here != end:
            here = int(self._next[here, end])
            path.append(self._junction(here))
        path.append(b)
        return path

    def _junction(self, j: int) -> Point:
        return (float(self.junctions[j, 0]), float(self.junctions[j, 1]))

    def _web(self) -> None:
        west, south, east, north = self.zones.city_geometry.bounds
        xs = np.arange(west, east, _JUNCTION_M / KX_M)
        ys = np.arange(south, north, _JUNCTION_M / KY_M)
        grid = np.array([(x, y) for y in ys for x in xs])
        # Always the same disorder: streets are no lattice.
        grid += np.random.default_rng(0x776562).normal(0, 0.003, grid.shape)
        grid = grid[self.depth_m(grid) > 250.0]
        gates = [g.inside for g in GATES]
        nodes = np.concatenate([grid, [(c.lon, c.lat) for c in CENTRES], gates])
        metres = nodes * [KX_M, KY_M]
        apart = np.hypot(*(metres[:, None, :] - metres[None, :, :]).transpose(2, 0, 1))
        first, second = np.nonzero(np.triu(apart < _EDGE_M, 1))
        pairs = [
            ((float(nodes[i, 0]), float(nodes[i, 1])), (float(nodes[j, 0]), float(nodes[j, 1])))
            for i, j in zip(first, second, strict=True)
        ]
        ok = np.array(self.clear(pairs, 60.0))
        cost = np.full_like(apart, np.inf)
        np.fill_diagonal(cost, 0.0)
        i, j = first[ok], second[ok]
        # Longer straight pieces cost more: ways bend at junctions, as streets do.
        cost[i, j] = cost[j, i] = apart[i, j] * (1 + apart[i, j] / 20_000)
        following = np.where(np.isfinite(cost), np.arange(len(nodes))[None, :], -1)
        for k in range(len(nodes)):
            through = cost[:, k, None] + cost[None, k, :]
            better = through < cost
            cost = np.where(better, through, cost)
            following = np.where(better, following[:, k, None], following)
        # Islands and cut-off corners are left out: what the civic centre cannot reach.
        centre = int(np.argmin(np.hypot(*((nodes - [114.057, 22.560]) * [KX_M, KY_M]).T)))
        kept = np.flatnonzero(np.isfinite(cost[centre]))
        number = np.full(len(nodes), -1)
        number[kept] = np.arange(len(kept))
        self.junctions = nodes[kept]
        self._next = number[following[np.ix_(kept, kept)]]

    # -- the boundary ---------------------------------------------------------------------------

    def _edge_points(self) -> None:
        """Points along the boundary with their inward directions, by what lies beyond."""
        main = max(shapely.get_parts(self.zones.city_geometry), key=lambda g: g.area)
        ring = shapely.segmentize(main.exterior, 60.0 / KX_M)
        xy = shapely.get_coordinates(ring)
        middle = (xy[1:] + xy[:-1]) / 2
        along = (xy[1:] - xy[:-1]) * [KX_M, KY_M]
        size = np.hypot(along[:, 0], along[:, 1])
        middle, along, size = middle[size > 5], along[size > 5], size[size > 5]
        inward = np.column_stack([-along[:, 1], along[:, 0]]) / size[:, None]
        probe = middle + inward * 60 / [KX_M, KY_M]
        inward[self.depth_m(probe) < 0] *= -1
        beyond = middle - inward * 150 / [KX_M, KY_M]
        codes = np.array(self.zones.places(beyond[:, 0], beyond[:, 1]))
        land = np.isin(codes, ["441900", "441300"])
        river = (codes == "810000") & (middle[:, 0] > 114.045) & (middle[:, 0] < 114.165)
        self._sea = middle[~land & ~river & ~np.char.startswith(codes.astype(str), "4403")][::2]
        self._strips = {}
        centres = np.array([(c.lon, c.lat) for c in CENTRES]) * [KX_M, KY_M]
        for kind, mask in (("land", land), ("river", river)):
            far = np.hypot(
                *((middle[mask] * [KX_M, KY_M])[:, None, :] - centres[None, :, :]).transpose(
                    2, 0, 1
                )
            )
            near = far.min(axis=1) < 3500.0
            self._strips[kind] = (
                middle[mask][near],
                inward[mask][near],
                far.argmin(axis=1)[near],
            )


@lru_cache(maxsize=1)
def ground() -> Ground:
    """The ground of Shenzhen, made once a process."""
    return Ground(zones_for(CITY))


@lru_cache(maxsize=1)
def places() -> dict[str, tuple[str, str, shapely.Geometry]]:
    """The country's places: adcode -> (level, parent, geometry)."""
    zone_file = read_zone_file(zone_directory() / "places.geojson")
    return {f.adcode: (f.level, f.parent, f.geometry) for f in zone_file.features}
