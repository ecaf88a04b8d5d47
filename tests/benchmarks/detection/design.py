"""The factorial: who lives where and moves how, reporting how often and how exactly, with which
errors.

After the geofence studies of forestry, which crossed speed, angle of intersection, reporting
interval and size of the fence: Grayson, Keefe et al., "Accuracy of WAAS-enabled GPS-RF warning
signals when crossing a terrestrial geofence", Sensors 2016, 16, 912 (doi 10.3390/s16060912: three
speeds x three angles x three receiver distances x three replicates); Zimbelman, Keefe et al.,
"Hazards in motion", Sensors 2017, 17, 822 (doi 10.3390/s17040822: pace x interval x radius x
angle); Zimbelman and Keefe, "Real-time positioning in logging", PLoS ONE 2018, 13, e0191017. Theirs
was an alert within seconds of a crossing; here the kinds of error and how far home is from the
line come in addition, for most alerts of a city fence are about people who did not move.

The boundary is a straight line, so that the true distance is exact. Every case is made from the
seed and its own factors alone: any subset of the cells gives the same cases.

stay        lives `home_m` inside, walks about nearby by day, never crosses
departure   lives `home_m` inside, leaves at a speed and an angle, stays out, comes back. One spell
            of the kind of error begins within half an hour of the crossing
resident    a year 50 m inside, fixes of 30 m every 10 minutes
deep        a year more than 500 m inside, in ordinary life
short       out for 24 minutes and no further than 230 m, a fix each 15 s: to be found
wild        one fix 3 km out between two good ones 15 s apart: not to be believed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .cases import Absence, Case, Fixes
from .noise import KINDS, RADIUS_68, RADIUS_95, Measured, measure

__all__ = [
    "ANGLES_DEG",
    "CLAIMS",
    "HOMES_M",
    "INTERVALS_S",
    "SPEEDS_MPS",
    "Cell",
    "case_of",
    "claims_changed",
    "deeps",
    "departures",
    "fixes_of",
    "limits",
    "residents",
    "shorts",
    "some",
    "stays",
    "wilds",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPEEDS_MPS = (1.4, 6.0, 20.0)  # on foot, by bicycle, by car
ANGLES_DEG = (15.0, 45.0, 90.0)
INTERVALS_S = (15, 60, 600, 3600)
HOMES_M = (50.0, 150.0, 500.0, 2_000.0)
ACCURACIES_M = (10.0, 30.0)
#: How the claimed accuracy may be meant, for the sensitivity.
CLAIMS = ("as meant", "of 95 %", "missing", "always 10")

_BEGIN_S = 1_709_222_400  # 2024-03-01 00:00 in Shenzhen
_LON, _LAT, _M_PER_DEG = 114.0, 22.6, 111_195.0
_DAY_S = 86_400
#: Person-days of a stay by interval; at home far from the line, where little happens, more.
_STAY_D = {15: 1, 60: 4, 600: 40}
_MORE = {50.0: 1, 150.0: 1, 500.0: 2, 2_000.0: 4}
_LOST = 0.05  # of reports
_PACE_MPS = 1.3


@dataclass(frozen=True)
class Cell:
    """One combination of factors; those that a part does not vary are 0."""

    part: str
    kind: str
    home_m: float
    interval_s: int
    accuracy_m: float
    speed_mps: float = 0.0  # 0: stays
    angle_deg: float = 0.0
    out_s: float = 0.0  # 0: drawn
    days: float = 0.0
    replicate: int = 0


def stays() -> list[Cell]:
    """Give the cells of people who stay."""
    levels = product(KINDS, HOMES_M, _STAY_D, ACCURACIES_M)
    return [
        Cell("stay", kind, home_m, every_s, claimed_m, days=_STAY_D[every_s] * _MORE[home_m])
        for kind, home_m, every_s, claimed_m in levels
    ]


def departures() -> list[Cell]:
    """Give the cells of people who leave: every other one of all combinations.

    Those whose levels' numbers add up to an even number: each pair of levels stays in balance.
    """
    homes_m = tuple(home_m for home_m in HOMES_M if home_m != 150)
    factors = (KINDS, homes_m, INTERVALS_S, ACCURACIES_M, SPEEDS_MPS, ANGLES_DEG)
    numbered = product(*(enumerate(levels) for levels in factors))
    return [
        Cell("departure", *(level for _, level in combination))  # type: ignore[arg-type]
        for combination in numbered
        if sum(number for number, _ in combination) % 2 == 0
    ]


def limits(replicates: int = 40) -> list[Cell]:
    """Give departures by reporting interval and time outside, in ordinary life and without."""
    levels = product(
        ("correlated", "ordinary"),
        (15, 60, 300, 600, 1200, 1800, 3600),
        (1440.0, 7200.0, 28_800.0),
        range(replicates),
    )
    return [
        Cell("limits", kind, 500.0, every_s, 20.0, 10.0, 60.0, out_s, replicate=n)
        for kind, every_s, out_s, n in levels
    ]


def residents(replicates: int = 2, days: float = 365.0) -> list[Cell]:
    """Give people who live 50 m inside, for a year."""
    return [
        Cell("resident", kind, 50.0, 600, 30.0, days=days, replicate=n)
        for kind, n in product(KINDS, range(replicates))
    ]


def deeps(people: int = 100, days: float = 365.0) -> list[Cell]:
    """Give people who live 500 m to 5 km inside, for a year."""
    homes_m = np.geomspace(500, 5_000, people).round()
    return [
        Cell("deep", "ordinary", float(home_m), 600, (10.0, 30.0)[n % 2], days=days, replicate=n)
        for n, home_m in enumerate(homes_m.tolist())
    ]


def shorts(replicates: int = 50) -> list[Cell]:
    """Give short and shallow departures."""
    levels = product(("independent", "correlated"), (5.0, 10.0), range(replicates))
    return [
        Cell("short", kind, 500.0, 15, claimed_m, 10.0, 90.0, 1440.0, replicate=n)
        for kind, claimed_m, n in levels
    ]


def wilds(replicates: int = 50) -> list[Cell]:
    """Give single wild fixes."""
    levels = product(("independent", "correlated"), (500.0, 2_000.0), range(replicates))
    return [
        Cell("wild", kind, home_m, 15, 10.0, days=0.25, replicate=n) for kind, home_m, n in levels
    ]


def some(cells: Sequence[Cell], share: float, seed: int = 1) -> list[Cell]:
    """Give a share of cells, chosen by chance."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(cells))[: max(round(len(cells) * share), 1)]
    return [cells[n] for n in sorted(chosen.tolist())]


def case_of(cell: Cell, seed: int, claims: str = CLAIMS[0]) -> Case:
    """Make the case of a cell; `claims`: what the claimed accuracy is made to mean."""
    rng = np.random.default_rng([seed, crc32(repr(cell).encode())])
    case = _departure(rng, cell) if cell.speed_mps else _stay(rng, cell)
    return claims_changed(case, claims)


def claims_changed(case: Case, claims: str) -> Case:
    """Give a case with claimed accuracies of another meaning."""
    fixes = case.fixes
    changed = fixes.accuracy_m
    if claims == CLAIMS[1]:
        changed = changed * (RADIUS_95 / RADIUS_68)
    elif claims != CLAIMS[0]:
        changed = np.full(len(changed), np.nan if claims == CLAIMS[2] else 10.0)
    fixes = fixes._replace(accuracy_m=changed)
    return Case(fixes, case.absences, case.leaves, case.days, case.factors)


def _stay(rng: np.random.Generator, cell: Cell) -> Case:
    times = _times(rng, _BEGIN_S, cell.days * _DAY_S, cell.interval_s)
    walk_s, x, y = zip(*_walks(rng, cell), strict=True)
    measured = measure(
        rng,
        cell.kind,
        times,
        np.interp(times, walk_s, x),
        np.interp(times, walk_s, y),
        cell.accuracy_m,
    )
    if cell.part == "wild":
        at = len(times) // 2
        measured.x[at] += 3_000 + cell.home_m
        measured.accuracy_m[at] = cell.accuracy_m
    return Case(fixes_of(rng, times, measured), (), (), cell.days, asdict(cell))


def _walks(rng: np.random.Generator, cell: Cell) -> Iterator[tuple[float, float, float]]:
    """Give where somebody at home is when: twice a day they walk to a place inside and back."""
    home_x = -cell.home_m
    yield _BEGIN_S - 1.0, home_x, 0.0
    for day in range(int(np.ceil(cell.days))):
        for hour in (9.0, 15.0):
            leaves_s = _BEGIN_S + day * _DAY_S + (hour + 3 * rng.random()) * 3600
            x = -rng.uniform(max(10.0, 0.3 * cell.home_m), cell.home_m + 1_500)
            y = rng.uniform(-1_000, 1_000)
            way_s = float(np.hypot(x - home_x, y)) / _PACE_MPS
            stays_s = rng.uniform(1200, 3600)
            yield leaves_s, home_x, 0.0
            yield leaves_s + way_s, x, y
            yield leaves_s + way_s + stays_s, x, y
            yield leaves_s + 2 * way_s + stays_s, home_x, 0.0
    yield _BEGIN_S + cell.days * _DAY_S + 1.0, home_x, 0.0


def _departure(rng: np.random.Generator, cell: Cell) -> Case:
    """Straight out, a stay, straight back: true crossings are exact."""
    across_mps = cell.speed_mps * np.sin(np.radians(cell.angle_deg))
    along_mps = cell.speed_mps * np.cos(np.radians(cell.angle_deg))
    out_s = cell.out_s or float(np.exp(rng.uniform(np.log(1200), np.log(14_400))))
    most_m = min(across_mps * out_s / 3, 20_000.0)
    reach_m = 230.0 if cell.part == "short" else float(np.exp(rng.uniform(5.5, 10.0)))
    reach_m = min(reach_m, most_m)
    before_s = max(3600.0, 12.0 * cell.interval_s) + rng.uniform(0, cell.interval_s)
    crossed_s = _BEGIN_S + before_s + cell.home_m / across_mps
    back_s = crossed_s + out_s
    home_s, way_s = cell.home_m / across_mps, reach_m / across_mps
    path_s = [
        _BEGIN_S - 1.0,
        crossed_s - home_s,
        crossed_s + way_s,
        back_s - way_s,
        back_s + home_s,
    ]
    path_x = [-cell.home_m, -cell.home_m, reach_m, reach_m, -cell.home_m]
    far_y = along_mps * (home_s + way_s)
    path_y = [0.0, 0.0, far_y, far_y, 0.0]
    lasts_s = back_s + home_s + max(1800.0, 6.0 * cell.interval_s) - _BEGIN_S
    times = _times(rng, _BEGIN_S, lasts_s, cell.interval_s)
    measured = measure(
        rng,
        cell.kind,
        times,
        np.interp(times, path_s, path_x),
        np.interp(times, path_s, path_y),
        cell.accuracy_m,
        None if cell.part == "limits" else crossed_s,
    )
    absence = Absence(crossed_s, back_s)
    factors = {**asdict(cell), "out_s": round(out_s), "reach_m": round(reach_m)}
    return Case(fixes_of(rng, times, measured), (absence,), (), lasts_s / _DAY_S, factors)


def _times(rng: np.random.Generator, begin_s: float, lasts_s: float, every_s: int) -> Ints:
    """Give times of reports: not quite regular, some lost."""
    count = int(lasts_s // every_s) + 1
    times = begin_s + every_s * (np.arange(count) + rng.uniform(-0.1, 0.1, count) + rng.random())
    kept = rng.random(count) >= _LOST
    kept[0] = True
    return times[kept].astype(np.int64)


def fixes_of(rng: np.random.Generator, times: Ints, measured: Measured) -> Fixes:
    """Give measured positions as fixes of a phone, each reported some seconds later."""
    arrival_s = times + rng.integers(1, 6, len(times))
    lon = _LON + measured.x / (_M_PER_DEG * np.cos(np.radians(_LAT)))
    lat = _LAT + measured.y / _M_PER_DEG
    device = np.zeros(len(times), dtype=np.int64)
    return Fixes(
        np.maximum.accumulate(arrival_s),
        times,
        lon,
        lat,
        measured.accuracy_m,
        measured.source,
        device,
        measured.x,
    )
