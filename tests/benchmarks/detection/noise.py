"""How positions err in this bench: kinds of error that last, each with where it is known from.

None of it is taken from the detector's own model of errors. What a cited source gives is said with
its figure; everything else is judgement, and is meant to be hard rather than typical. Rates are
those of ordinary life, so that false alarms per person-year mean something.

independent   normal, each fix anew, 68 % within the claimed radius. What every accuracy figure
              promises (`Location.getAccuracy` of Android), and what no receiver does
correlated    first-order Gauss-Markov, half of the variance with 1 minute, half with 30: a Garmin
              12XL's autocorrelation bends at about a minute and goes on for more than an hour
              (Wilson, "Correlation of errors", users.erols.com/dlwilson/gpscorr.htm); an
              Ornstein-Uhlenbeck process describes recorded civilian GPS better than white noise
              (Sensors 2020, 20, 6050, doi 10.3390/s20216050; 20, 5913, doi 10.3390/s20205913)
multipath     correlated, and 4 bursts a day of 10 minutes: between walls the receiver follows a
              reflection (Wang, Groves and Ziebart, "Urban positioning on a smartphone", ION GNSS+
              2013: worst across the street). Median 60 m, one in twenty over 220 m. An iPhone at
              rest moved "about 1/4 mi" ten times a day (gcobb321/icloud3 #274)
cells         correlated, and 3 times a day half an hour on cell positions: masts at fixed places
              600 m off in the median (Zandbergen 2009, doi 10.1111/j.1467-9671.2009.01152.x: 600 m
              for cells, 74 m for WiFi, 8 m for GPS), the phone changing between them every two
              minutes though it lies still (Wu et al., "Oscillation resolution for mobile phone
              cellular tower data", IEEE MDM 2014). One mast in ten is entered at a wrong place by
              kilometres (Smit, Stander and Ophoff, IJCSDF 1(4), 2012: large variations)
wifi          at rest seven of ten fixes by WiFi; once in 30 days for 40 minutes an access point
              that moved house: 2 km away (openbmap/radiocells-nlp-android #3), or anywhere up to
              500 km (home-assistant/android #929: 110 km, for 51 minutes, "with good accuracy").
              That they move: Jones and Liu, "What Where Wi", IEEE PORTABLE 2007
stale         correlated, and once a day for 20 minutes an old position is given again with a new
              time: 1 hour old in the median (microg/UnifiedNlp #75: 5 minutes, 20 m claimed;
              transistorsoft/flutter_background_geolocation #1711: hours, 130 km, 2 m claimed)
dishonest     correlated, and once a day for half a minute a place 200 m off that claims 2 to 11 m,
              mostly the same place each time; one phone in ten does it ten times a day
              (Ikolvi/Tracelet #294: 198 to 718 m at 1.7 to 10.9 m, the same 198 m again and again;
              a worse phone thrice in three minutes, a better one about once a day)
ordinary      all of these in one life
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "RADIUS_68", "RADIUS_95", "Measured", "gauss_markov", "measure"]

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]

KINDS = (
    "independent",
    "correlated",
    "multipath",
    "cells",
    "wifi",
    "stale",
    "dishonest",
    "ordinary",
)

#: Radius that holds 68 % (95 %) of a plane normal error, in standard deviations along an axis.
RADIUS_68, RADIUS_95 = 1.5096, 2.4477

_GNSS, _WIFI, _CELL = 0, 1, 2
_CLAIM_SPREAD = 0.25  # of the logarithm of claimed radii
_SHORT_S, _LONG_S = 60.0, 1800.0


class Measured(NamedTuple):
    """Measured positions in metres: x across the line (positive outside), y along it."""

    x: Floats
    y: Floats
    accuracy_m: Floats
    source: Ints


@dataclass
class _Spells:
    """When something goes wrong: so many a day, lasting log-normally."""

    a_day: float
    median_s: float
    spread: float

    def draw(self, rng: np.random.Generator, times: Ints, about_s: float | None) -> list[Rows]:
        """Give the fixes in each spell; with `about_s` one spell begins near then."""
        begin_s, end_s = float(times[0]), float(times[-1])
        number = rng.poisson(self.a_day * (end_s - begin_s) / 86_400)
        starts = rng.uniform(begin_s, end_s, number)
        if about_s is not None:
            starts = np.append(starts, about_s + rng.uniform(-1800, 1800))
        lasts = rng.lognormal(np.log(self.median_s), self.spread, len(starts))
        first, after = np.searchsorted(times, starts), np.searchsorted(times, starts + lasts)
        spells = zip(first.tolist(), after.tolist(), strict=True)
        return [np.arange(begin, end) for begin, end in spells if begin < end]


_BURSTS = _Spells(4.0, 600.0, 0.7)
_ON_CELLS = _Spells(3.0, 1800.0, 0.6)
_MOVED_HOUSE = _Spells(1 / 30, 2400.0, 0.6)
_STALE = _Spells(1.0, 1200.0, 0.7)
_GHOST_S, _GHOST_SPREAD = 30.0, 0.6


def measure(
    rng: np.random.Generator,
    kind: str,
    times: Ints,
    x: Floats,
    y: Floats,
    claimed_m: float,
    about_s: float | None = None,
) -> Measured:
    """Measure a true path (metres, at times in order) with errors of a kind.

    `claimed_m` is what satellite fixes claim in the median. With `about_s` (POSIX) one spell of
    the kind begins within half an hour of that time, whatever its rate.
    """
    count = len(times)
    claim = claimed_m * rng.lognormal(0, _CLAIM_SPREAD, count)
    source = np.full(count, _GNSS, dtype=np.int64)
    if kind == "independent":
        error = (rng.normal(size=count) + 1j * rng.normal(size=count)) * claim / RADIUS_68
        return Measured(x + error.real, y + error.imag, np.maximum(claim, 1.0).round(1), source)
    unit = (gauss_markov(rng, times, _SHORT_S) + gauss_markov(rng, times, _LONG_S)) / np.sqrt(2)
    at = x + 1j * y + unit * claim / RADIUS_68
    true = x + 1j * y
    is_ordinary = kind == "ordinary"
    if kind == "wifi" or is_ordinary:
        _by_wifi(rng, times, true, at, claim, source, about_s)
    if kind == "multipath" or is_ordinary:
        _by_reflection(rng, times, at, source, about_s)
    if kind == "cells" or is_ordinary:
        _by_cells(rng, times, true, at, claim, source, about_s)
    if kind == "dishonest" or is_ordinary:
        _by_ghosts(rng, times, true, at, claim, source, about_s)
    if kind == "stale" or is_ordinary:
        _by_repeating(rng, times, at, claim, source, about_s)
    return Measured(at.real.copy(), at.imag.copy(), np.maximum(claim, 1.0).round(1), source)


def gauss_markov(rng: np.random.Generator, times: Ints, lasts_s: float) -> Complex:
    """Give a plane error of variance 1 along each axis that fades over `lasts_s` (1/e)."""
    fresh = rng.normal(size=len(times)) + 1j * rng.normal(size=len(times))
    kept = np.exp(-np.diff(times, prepend=times[:1]) / lasts_s)
    kept[0] = 0.0
    if kept.max(initial=0.0) < 1e-4:
        return fresh
    fresh *= np.sqrt(1 - kept * kept)
    errors, error = [], 0j
    for k, f in zip(kept.tolist(), fresh.tolist(), strict=True):
        error = k * error + f
        errors.append(error)
    return np.array(errors)


def _around(rng: np.random.Generator, median_m: float, spread: float) -> complex:
    """Give a displacement in any direction, its length log-normal."""
    length_m = rng.lognormal(np.log(median_m), spread)
    return complex(length_m * np.exp(2j * np.pi * rng.random()))


def _by_reflection(
    rng: np.random.Generator,
    times: Ints,
    at: Complex,
    source: Ints,
    about_s: float | None,
) -> None:
    for spell in _BURSTS.draw(rng, times, about_s):
        rows = spell[source[spell] == _GNSS]
        if len(rows):
            wander = 1 + 0.25 * gauss_markov(rng, times[rows], _SHORT_S)
            at[rows] += _around(rng, 60.0, 0.8) * wander


def _by_cells(
    rng: np.random.Generator,
    times: Ints,
    true: Complex,
    at: Complex,
    claim: Floats,
    source: Ints,
    about_s: float | None,
) -> None:
    """Masts stand around where a spell begins; those around the home are always the same."""
    home = true[0]
    at_home = [_mast(rng) for _ in range(4)]
    for rows in _ON_CELLS.draw(rng, times, about_s):
        middle = true[rows[0]]
        near_home = abs(middle - home) < 500
        masts = np.array(at_home if near_home else [_mast(rng) for _ in range(4)])
        masts += home if near_home else middle
        change = rng.random(len(rows)) < 1 - np.exp(
            -np.diff(times[rows], prepend=times[rows[:1]]) / 120
        )
        # The first is served most of the time.
        choice = rng.choice(4, len(rows), p=(0.5, 0.25, 0.15, 0.10))
        held = np.maximum.accumulate(np.where(change, np.arange(len(rows)), 0))
        at[rows] = masts[choice[held]]
        claim[rows] = np.clip(rng.lognormal(np.log(500.0), 0.5, len(rows)), 150, 3000)
        source[rows] = _CELL


def _mast(rng: np.random.Generator) -> complex:
    place = _around(rng, 600.0, 0.7)
    return place + _around(rng, 3_000.0, 0.8) if rng.random() < 0.1 else place


def _by_wifi(
    rng: np.random.Generator,
    times: Ints,
    true: Complex,
    at: Complex,
    claim: Floats,
    source: Ints,
    about_s: float | None,
) -> None:
    still = np.abs(np.diff(true, prepend=true[:1])) < 5.0
    rows = np.flatnonzero(still & (rng.random(len(times)) < 0.7))
    claim[rows] = np.clip(rng.lognormal(np.log(35.0), 0.35, len(rows)), 15, 120)
    at[rows] = true[rows] + gauss_markov(rng, times[rows], _LONG_S) * (
        1.3 * claim[rows] / RADIUS_68
    )
    source[rows] = _WIFI
    for spell in _MOVED_HOUSE.draw(rng, times, about_s):
        if rng.random() < 0.5:
            away = _around(rng, 2_000.0, 0.7)
        else:
            away = complex(
                np.exp(rng.uniform(np.log(5e3), np.log(5e5)) + 2j * np.pi * rng.random())
            )
        rows = spell[rng.random(len(spell)) < 0.7]
        if len(rows):
            wander = 5.0 * (rng.normal(size=len(rows)) + 1j * rng.normal(size=len(rows)))
            at[rows] = true[rows[0]] + away + wander
            claim[rows] = np.clip(rng.lognormal(np.log(30.0), 0.4, len(rows)), 3, 100)
            source[rows] = _WIFI


def _by_repeating(
    rng: np.random.Generator,
    times: Ints,
    at: Complex,
    claim: Floats,
    source: Ints,
    about_s: float | None,
) -> None:
    """The best of the last hours is what caches keep: a satellite fix, with its small claim."""
    for spell in _STALE.draw(rng, times, about_s):
        rows = spell[rng.random(len(spell)) < 0.6]
        if not len(rows):
            continue
        age_s = rng.lognormal(np.log(3600.0), 0.8)
        old = int(np.searchsorted(times, times[rows[0]] - age_s))
        if source[old] == _GNSS and old < rows[0]:
            at[rows], claim[rows], source[rows] = at[old], claim[old], source[old]


def _by_ghosts(
    rng: np.random.Generator,
    times: Ints,
    true: Complex,
    at: Complex,
    claim: Floats,
    source: Ints,
    about_s: float | None,
) -> None:
    usual = _around(rng, 200.0, 0.6)
    spells = _Spells(10.0 if rng.random() < 0.1 else 1.0, _GHOST_S, _GHOST_SPREAD)
    for rows in spells.draw(rng, times, about_s):
        away = usual if rng.random() < 0.7 else _around(rng, 200.0, 0.6)
        at[rows] = true[rows] + away
        claim[rows] = rng.uniform(1.7, 10.9)
        source[rows] = _GNSS
