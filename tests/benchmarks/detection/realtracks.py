"""Real tracks as cases: taxis at the real boundary and at moved ones, a phone at rest and moving.

Errors and roads are real here; only the fence is moved. Nobody wrote the truth down, so it is
taken from the track itself at its full rate:

1. A fix that the way from the one before it and the way to the next both show to be wrong, because
   nobody drives faster than NOBODY_MPS, is no part of the truth. Whoever believes it is wrong.
2. An excursion is a run of other fixes outside. It is an **absence** if it holds a stretch more
   than CLEARLY_M beyond the line for longer than CLEARLY_S. It began at the crossing, taken between
   two fixes where they are no further apart than GAP_S, else with the first fix outside. A return
   is one likewise: without such a stretch inside, two absences are one.
3. One never more than HARDLY_M beyond is none: whoever tells of it tells something false.
4. All else is **grey**: the track is cut there, and neither side counts it. A piece begins where
   the track is HOME_M inside, and lasts for PIECE_S at least.

The taxis claim no accuracy. The phone does (5 to 1,177 m); its truth when under way is taken from
fixes of ACCURATE_M and better, and detectors see all. At rest it needs none: three nights at one
home, laid beside the line so that the median of all its fixes lies at a distance inside. Errors of
each of these nights stay together, turned by any angle: one home's walls, many fences.

What is thinned keeps the first fix of each interval.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from taxitracks import TAXIS, taxi_fixes

from geomon.tracks.formats import read_track, sniff
from geomon.tracks.layout import Layout
from geomon.tracks.trackfile import open_track
from geomon.tracks.trackfix import TrackFix
from geomon.zones.index import NEAR_M, ZoneIndex, zones_for

from .cases import SOURCES, Absence, Case, Fixes

__all__ = [
    "INSIDE_M",
    "INTERVALS_S",
    "PHONE",
    "TAXIS",
    "data_folder",
    "moved_fences",
    "phone_at_rest",
    "phone_under_way",
    "pieces",
    "taxis",
    "truth_of",
]

PHONE = "phone_with_accuracy_prague.json"

CLEARLY_M, CLEARLY_S = 100.0, 120.0
HARDLY_M = 30.0
NOBODY_MPS = 35.0
GAP_S = 120.0
HOME_M, PIECE_S = 100.0, 1800.0
ACCURATE_M = 50.0

#: How often a moved taxi reports; 0: as often as it did (a median of 30 s).
INTERVALS_S = (0, 60, 300, 900)
#: How far inside the phone rests.
INSIDE_M = (5.0, 20.0, 50.0, 100.0, 200.0, 500.0)
#: Taxis are moved by up to so much, east or west and north or south.
MOVED_M = 15_000.0

ROOT = Path(__file__).resolve().parents[3]
_M_PER_DEGREE = 111_195.0
_DAY_S = 86_400
_GNSS, _WRISTBAND, _PHONE = SOURCES.index("gnss"), 1, 0
#: From the first fix at home of an evening to the last before setting out (UTC).
_NIGHTS = (
    ("2014-04-25T20:20:00Z", "2014-04-26T07:35:00Z"),
    ("2014-04-26T22:00:00Z", "2014-04-27T07:05:00Z"),
    ("2014-04-27T22:15:00Z", "2014-04-28T06:50:00Z"),
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Trace(NamedTuple):
    """A recorded track in time order."""

    name: str
    time_s: Ints
    lon: Floats
    lat: Floats
    accuracy_m: Floats  # nan = none claimed
    source: Ints

    def only(self, chosen: NDArray[np.bool_]) -> Trace:
        """Give some of its fixes."""
        return Trace._make([self.name, *(column[chosen] for column in self[1:])])


class Truth(NamedTuple):
    """What a smoothed track shows; times in POSIX s."""

    absences: list[Absence]
    grey: list[Absence]


# -- cases ---------------------------------------------------------------------------------------


def taxis(folder: Path) -> list[Case]:
    """Sixteen taxis over one day at the real boundary: three of them left the city."""
    zones = zones_for()
    found = []
    for trace in read_taxis(folder / TAXIS):
        truth = truth_of(trace, zones)
        if truth.grey:
            raise ValueError(f"taxi {trace.name}: it cannot be told whether it left")
        days = float(trace.time_s[-1] - trace.time_s[0]) / _DAY_S
        fixes = _fixes(trace, zones, _WRISTBAND)
        found.append(Case(fixes, truth.absences, [], days, {"taxi": trace.name}))
    return found


def moved_fences(
    folder: Path, *, fences: int = 60, seed: int = 20240213
) -> Iterator[tuple[int, list[Case]]]:
    """Give, for each of INTERVALS_S, the taxis' pieces at so many places of the boundary.

    Moving the taxis is moving the fence the other way. Pieces that never come within sight of the
    line (3 km) say nothing, and are left out.
    """
    zones = zones_for()
    rng = np.random.default_rng([seed, 1])
    moved = []
    for _ in range(fences):
        east_m, north_m = rng.uniform(-MOVED_M, MOVED_M, 2)
        for trace in read_taxis(folder / TAXIS):
            there = _moved(trace, east_m, north_m)
            truth = truth_of(there, zones)
            moved += pieces(_fixes(there, zones, _WRISTBAND), there, truth, zones)
    for interval_s in INTERVALS_S:
        yield interval_s, [_thinned(case, interval_s) for case in moved]


def phone_at_rest(
    folder: Path, *, places: int = 200, seed: int = 20240213
) -> Iterator[tuple[float, list[Case]]]:
    """Give, for each of INSIDE_M, three nights of the phone at so many homes beside the line."""
    zones = zones_for()
    trace = read_phone(folder / PHONE)
    rest = trace.only(_at_night(trace))
    rng = np.random.default_rng([seed, 2])
    watched_d = sum(_posix_s(b) - _posix_s(a) for a, b in _NIGHTS) / _DAY_S
    for inside_m in INSIDE_M:
        found = []
        for lon, lat in _homes(zones, inside_m, places, rng):
            there = _laid(rest, _median(rest), (lon, lat), rng.uniform(0, 2 * np.pi))
            fixes = _fixes(there, zones, _PHONE)
            found.append(Case(fixes, [], [], watched_d, {"inside_m": inside_m}))
        yield inside_m, found


def phone_under_way(folder: Path, *, places: int = 200, seed: int = 20240213) -> list[Case]:
    """The phone's four days, its home HOME_M or more inside, cut where the truth is grey."""
    zones = zones_for()
    trace = read_phone(folder / PHONE)
    home = _median(trace.only(_at_night(trace)))
    rng = np.random.default_rng([seed, 3])
    found = []
    for inside_m in (2 * HOME_M, 1_000.0):
        for spot in _homes(zones, inside_m, places // 2, rng):
            there = _laid(trace, home, spot, rng.uniform(0, 2 * np.pi))
            accurate = there.only(there.accuracy_m <= ACCURATE_M)
            truth = truth_of(accurate, zones)
            found += pieces(_fixes(there, zones, _PHONE), accurate, truth, zones)
    return found


# -- truth ---------------------------------------------------------------------------------------


def truth_of(trace: Trace, zones: ZoneIndex) -> Truth:
    """Say when a track was away, and when that cannot be said (see the module's account)."""
    trace = trace.only(~_is_wild(trace))
    distance_m = zones.classify(trace.lon, trace.lat).distance_m
    time_s = trace.time_s.astype(np.float64)
    absences, grey = [], []
    for begin, end in _excursions(time_s, distance_m):
        spell = Absence(
            _crossing_s(time_s, distance_m, begin) if begin else float(time_s[0]),
            _crossing_s(time_s, distance_m, end) if end < len(time_s) else float("inf"),
        )
        if _is_clear(time_s[begin:end], distance_m[begin:end]):
            absences.append(spell)
        elif distance_m[begin:end].max() > HARDLY_M:
            grey.append(spell)
    return Truth(absences, grey)


def _excursions(time_s: Floats, distance_m: Floats) -> list[tuple[int, int]]:
    """Give the runs outside, those that are absences joined where nobody clearly returned."""
    joined: list[tuple[int, int]] = []
    for begin, end in _runs(distance_m > 0):
        if joined:
            last = slice(*joined[-1])
            between = slice(joined[-1][1], begin)
            if (
                _is_clear(time_s[last], distance_m[last])
                and _is_clear(time_s[begin:end], distance_m[begin:end])
                and not _is_clear(time_s[between], -distance_m[between])
            ):
                joined[-1] = (joined[-1][0], end)
                continue
        joined.append((begin, end))
    return joined


def _is_clear(time_s: Floats, beyond_m: Floats) -> bool:
    """Say whether a stretch lies clearly beyond the line for long enough."""
    return any(time_s[b - 1] - time_s[a] > CLEARLY_S for a, b in _runs(beyond_m > CLEARLY_M))


def pieces(fixes: Fixes, trace: Trace, truth: Truth, zones: ZoneIndex) -> list[Case]:
    """Cut a person's fixes at what is grey in the truth about `trace`, the same person's track."""
    at_home = zones.classify(trace.lon, trace.lat).distance_m < -HOME_M
    for since_s, until_s in truth.absences:  # no short return into the city either
        at_home &= (trace.time_s < since_s) | (trace.time_s >= until_s)
    found = []
    until = [*(g.since_s for g in truth.grey), float("inf")]
    begins = [-float("inf"), *(g.until_s for g in truth.grey)]
    for begin_s, end_s in zip(begins, until, strict=True):
        home = (trace.time_s > begin_s) & (trace.time_s < end_s) & at_home
        if not home.any():
            continue
        first_s = int(trace.time_s[home][0])
        chosen = (fixes.time_s >= first_s) & (fixes.time_s < end_s)
        part = Fixes._make(column[chosen] for column in fixes)
        last_s = int(part.time_s[-1])
        if last_s - first_s < PIECE_S or part.distance_m.max() <= -NEAR_M:
            continue
        absences = [a for a in truth.absences if first_s <= a.since_s <= last_s]
        days = (last_s - first_s) / _DAY_S
        found.append(Case(part, absences, [], days, {"track": trace.name}))
    return found


def _is_wild(trace: Trace) -> NDArray[np.bool_]:
    """Say of each fix whether both the way to it and the way from it are faster than anybody."""
    wild = np.zeros(len(trace.time_s), dtype=bool)
    fast = _speeds_mps(trace) > NOBODY_MPS
    wild[1:-1] = fast[:-1] & fast[1:]
    return wild


def _speeds_mps(trace: Trace) -> Floats:
    """Give the speeds from each fix to the next."""
    east = np.diff(trace.lon) * np.cos(np.radians(trace.lat[1:]))
    far_m = np.hypot(east, np.diff(trace.lat)) * _M_PER_DEGREE
    speeds: Floats = far_m / np.maximum(np.diff(trace.time_s), 1)
    return speeds


def _crossing_s(time_s: Floats, distance_m: Floats, at: int) -> float:
    """When the line was crossed between the fix before `at` and that one."""
    before_s, after_s = float(time_s[at - 1]), float(time_s[at])
    if after_s - before_s > GAP_S:
        return after_s
    a, b = abs(float(distance_m[at - 1])), abs(float(distance_m[at]))
    return before_s + (after_s - before_s) * (a / (a + b) if a + b else 0.5)


def _runs(true: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(true, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


# -- tracks --------------------------------------------------------------------------------------


def data_folder() -> Path:
    """Where the recorded tracks lie."""
    return Path(os.environ.get("GEOMON_TEST_DATA", ROOT.parent / "shared" / "data"))


@cache
def read_taxis(path: Path) -> tuple[Trace, ...]:
    """Read the taxis, each by itself."""
    of: dict[str, list[TrackFix]] = {}
    for fix in taxi_fixes(path):
        of.setdefault(fix.track_id or "", []).append(fix)
    return tuple(_trace(name, fixes, _GNSS) for name, fixes in sorted(of.items()))


@cache
def read_phone(path: Path) -> Trace:
    """Read the phone."""
    with open_track(path) as track:
        fixes = [f for f in read_track(track, sniff(path), Layout()) if isinstance(f, TrackFix)]
    return _trace("phone", fixes, SOURCES.index("unknown"))


def _trace(name: str, fixes: Sequence[TrackFix], source: int) -> Trace:
    fixes = sorted(fixes, key=lambda fix: fix.time)
    return Trace(
        name,
        np.array([int(fix.time.timestamp()) for fix in fixes], dtype=np.int64),
        np.array([fix.lon for fix in fixes]),
        np.array([fix.lat for fix in fixes]),
        np.array([fix.accuracy_m or np.nan for fix in fixes]),
        np.full(len(fixes), source, dtype=np.int64),
    )


def _fixes(trace: Trace, zones: ZoneIndex, device: int) -> Fixes:
    """Give a track as what arrived from a device: each fix at once."""
    return Fixes(
        trace.time_s,
        trace.time_s,
        trace.lon,
        trace.lat,
        trace.accuracy_m,
        trace.source,
        np.full(len(trace.time_s), device, dtype=np.int64),
        zones.classify(trace.lon, trace.lat).distance_m,
    )


def _thinned(case: Case, interval_s: int) -> Case:
    fixes = case.fixes
    if interval_s:
        step = (fixes.time_s - fixes.time_s[0]) // interval_s
        first = np.flatnonzero(np.diff(step, prepend=-1) != 0)
        fixes = Fixes._make(column[first] for column in fixes)
    factors = {**case.factors, "interval_s": interval_s}
    return Case(fixes, case.absences, case.leaves, case.days, factors)


def _moved(trace: Trace, east_m: float, north_m: float) -> Trace:
    """Move a track; its shape stays to 0.2 % for what a city's width is."""
    lat = float(np.median(trace.lat))
    east = east_m / (_M_PER_DEGREE * np.cos(np.radians(lat)))
    return trace._replace(lon=trace.lon + east, lat=trace.lat + north_m / _M_PER_DEGREE)


def _laid(trace: Trace, home: tuple[float, float], spot: tuple[float, float], turn: float) -> Trace:
    """Lay a track so that its home is at a spot, turned about it by an angle."""
    east_m = (trace.lon - home[0]) * _M_PER_DEGREE * np.cos(np.radians(home[1]))
    north_m = (trace.lat - home[1]) * _M_PER_DEGREE
    east_m, north_m = (
        np.cos(turn) * east_m - np.sin(turn) * north_m,
        np.sin(turn) * east_m + np.cos(turn) * north_m,
    )
    lon = spot[0] + east_m / (_M_PER_DEGREE * np.cos(np.radians(spot[1])))
    return trace._replace(lon=lon, lat=spot[1] + north_m / _M_PER_DEGREE)


def _homes(
    zones: ZoneIndex, inside_m: float, number: int, rng: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """Give places at a distance inside (5 %, 1 m) along the boundary, islands left out."""
    main = max(shapely.get_parts(zones.city_geometry), key=lambda part: part.area)
    while number:
        along = rng.uniform(0, main.exterior.length)
        spot = shapely.line_interpolate_point(main.exterior, along)
        bearing = rng.uniform(0, 2 * np.pi)
        lat = spot.y + inside_m * np.cos(bearing) / _M_PER_DEGREE
        wide = _M_PER_DEGREE * np.cos(np.radians(lat))
        lon = spot.x + inside_m * np.sin(bearing) / wide
        distance_m = float(zones.classify([lon], [lat]).distance_m[0])
        if abs(distance_m + inside_m) < max(0.05 * inside_m, 1.0):
            number -= 1
            yield lon, lat


def _at_night(trace: Trace) -> NDArray[np.bool_]:
    at_night = np.zeros(len(trace.time_s), dtype=bool)
    for begin, end in _NIGHTS:
        at_night |= (trace.time_s >= _posix_s(begin)) & (trace.time_s <= _posix_s(end))
    return at_night


def _median(trace: Trace) -> tuple[float, float]:
    return float(np.median(trace.lon)), float(np.median(trace.lat))


def _posix_s(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
