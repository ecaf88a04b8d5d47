"""How wrong a position is: the errors of satellite, WiFi and cell positions along a true path.

The figures and where they come from are in the README of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .track import MODES, Places

__all__ = [
    "CELL",
    "GNSS",
    "NONE",
    "PHONE",
    "SOURCES",
    "WIFI",
    "WRISTBAND",
    "Measured",
    "measure",
    "shift",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SOURCES = ("gnss", "wifi", "cell", "none")
GNSS, WIFI, CELL, NONE = range(4)

# Share of measurements by source, for each way of being somewhere.
_PHONE = {
    "indoors": (0.10, 0.72, 0.14, 0.04),
    "remote": (0.18, 0.32, 0.40, 0.10),
    "walk": (0.80, 0.08, 0.10, 0.02),
    "metro": (0.02, 0.33, 0.35, 0.30),
    "road": (0.80, 0.00, 0.16, 0.04),
    "train": (0.45, 0.00, 0.45, 0.10),
    "flight": (0.0, 0.0, 0.0, 1.0),
}
_WRISTBAND = {
    "indoors": (0.10, 0.80, 0.07, 0.03),
    "remote": (0.25, 0.40, 0.28, 0.07),
    "walk": (0.94, 0.02, 0.02, 0.02),
    "metro": (0.02, 0.40, 0.30, 0.28),
    "road": (0.94, 0.00, 0.03, 0.03),
    "train": (0.60, 0.00, 0.30, 0.10),
    "flight": (0.0, 0.0, 0.0, 1.0),
}
PHONE = np.cumsum([_PHONE[m] for m in MODES], axis=1)
WRISTBAND = np.cumsum([_WRISTBAND[m] for m in MODES], axis=1)

_RADIUS_68 = 1.5096  # sqrt(-2 ln 0.32): radius that holds 68 % of a plane normal error
_GNSS_MEDIAN_M = np.array([20.0 if m in ("indoors", "remote", "train") else 9.0 for m in MODES])
_ERROR_LASTS_S = (150.0, 1500.0)  # satellite, WiFi
_TOO_HOPEFUL, _TOO_HOPEFUL_FACTOR = 0.08, 2.2
_MAST_M, _MAST_FAR_M = 600.0, 2200.0
_MAST_SHADOWING = 0.35
_FAR_DEG = 0.75  # beyond this from the civic centre masts stand as in the country
_CIVIC = (114.0545, 22.5445)
_M_PER_DEG = 111_195.0


@dataclass
class Measured:
    """Measurements in time order, WGS-84; `speed_mps` below zero: not told."""

    times: Ints
    source: Ints
    lon: Floats
    lat: Floats
    accuracy_m: Ints
    speed_mps: Floats


def measure(
    rng: np.random.Generator,
    times: Ints,
    true: Places,
    shares: Floats,
    sure: NDArray[np.bool_] | None = None,
) -> Measured:
    """Measure at times (in order) along true places; where `sure`, a position is always found."""
    n = len(times)
    source = (rng.random(n)[:, None] >= shares[true.mode]).sum(axis=1).clip(0, NONE)
    if sure is not None:
        source[sure & (source == NONE)] = WIFI
    lon, lat = true.lon.copy(), true.lat.copy()
    accuracy = np.zeros(n)
    speed = np.full(n, -1.0)
    for code, typical in ((GNSS, _GNSS_MEDIAN_M[true.mode]), (WIFI, np.full(n, 38.0))):
        rows = np.flatnonzero(source == code)
        if not len(rows):
            continue
        spread, low, high = (0.4, 5, 30) if code == GNSS else (0.35, 20, 100)
        stated = np.clip(rng.lognormal(np.log(typical[rows]), spread), low, high).round()
        hopeful = np.where(rng.random(len(rows)) < _TOO_HOPEFUL, _TOO_HOPEFUL_FACTOR, 1.0)
        error = _lasting(rng, times[rows], _ERROR_LASTS_S[code]) * (stated * hopeful / _RADIUS_68)
        shift(lon, lat, rows, error.real, error.imag)
        accuracy[rows] = stated
        if code == GNSS:
            speed[rows] = np.abs(true.speed_mps[rows] + rng.normal(0, 0.3, len(rows))).round(1)
    rows = np.flatnonzero(source == CELL)
    if len(rows):
        far = np.hypot(lon[rows] - _CIVIC[0], lat[rows] - _CIVIC[1]) > _FAR_DEG
        spacing = np.where(far, _MAST_FAR_M, _MAST_M)
        lon[rows], lat[rows] = _masts(rng, lon[rows], lat[rows], spacing)
        stated = 0.7 * spacing * rng.lognormal(0, 0.4, len(rows))
        accuracy[rows] = np.clip(stated, 200, 3000).round()
    return Measured(times, source, lon, lat, accuracy.astype(np.int64), speed)


def shift(lon: Floats, lat: Floats, rows: Ints, east_m: Floats, north_m: Floats) -> None:
    """Move some of the positions by metres, in place."""
    lon[rows] += east_m / (_M_PER_DEG * np.cos(np.radians(lat[rows])))
    lat[rows] += north_m / _M_PER_DEG


def _lasting(rng: np.random.Generator, times: Ints, lasts_s: float) -> NDArray[np.complex128]:
    """A unit error in two dimensions that fades over `lasts_s`: first-order autoregressive."""
    n = len(times)
    fresh = rng.normal(size=n) + 1j * rng.normal(size=n)
    kept = np.exp(-np.diff(times, prepend=times[:1]) / lasts_s)
    kept[0] = 0.0
    fresh *= np.sqrt(1 - kept * kept)
    out, error = [], 0j
    for k, f in zip(kept.tolist(), fresh.tolist(), strict=True):
        error = k * error + f
        out.append(error)
    return np.array(out)


def _masts(
    rng: np.random.Generator, lon: Floats, lat: Floats, spacing_m: Floats
) -> tuple[Floats, Floats]:
    """The serving mast of each position: the strongest of nine around, each at a fixed place."""
    n = len(lon)
    step = spacing_m / 102_000.0
    column, row = np.floor(lon / step).astype(np.int64), np.floor(lat / step).astype(np.int64)
    east = np.cos(np.radians(lat))
    best = np.full(n, np.inf)
    best_lon, best_lat = lon.copy(), lat.copy()
    shadow = rng.lognormal(0, _MAST_SHADOWING, (9, n))
    for k in range(9):
        i, j = column + k % 3 - 1, row + k // 3 - 1
        u, v = _fixed_chance(i, j, spacing_m.astype(np.int64))
        x, y = (i + u) * step, (j + v) * step
        heard = np.hypot((x - lon) * east, y - lat) * shadow[k]
        better = heard < best
        best = np.where(better, heard, best)
        best_lon, best_lat = np.where(better, x, best_lon), np.where(better, y, best_lat)
    return best_lon, best_lat


def _fixed_chance(i: Ints, j: Ints, salt: Ints) -> tuple[Floats, Floats]:
    """Two numbers in [0, 1) that are always the same for a grid cell (splitmix64)."""
    x = (
        (i.astype(np.uint64) << np.uint64(32))
        ^ j.astype(np.uint64)
        ^ (salt.astype(np.uint64) << np.uint64(52))
    )
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(32)) / 2.0**32, (x & np.uint64(0xFFFFFFFF)) / 2.0**32
