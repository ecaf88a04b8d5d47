"""A battery's level over the period, and when it is empty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .script import Spell

__all__ = ["Battery", "run_down"]

Floats = NDArray[np.float64]
_EMPTY_PCT = 0.6


class Battery(NamedTuple):
    """Corners of the level, when it is charging, and when the device is dead."""

    times: Floats
    pct: Floats
    charging: list[Spell]
    dead: list[Spell]

    def level(self, times: Floats) -> Floats:
        return np.interp(times, self.times, self.pct)


def run_down(
    rng: np.random.Generator,
    begin_s: float,
    end_s: float,
    first_pct: float,
    drain_pct_h: float,
    charge_pct_h: float,
    plugs: list[Spell],
    starve: Spell | None = None,
) -> Battery:
    """Drain from a level, charged while plugged in.

    `starve`: from its begin on the device is not plugged in until it has been dead for its
    `until_s` seconds.
    """
    times, levels = [begin_s], [first_pct]
    charging: list[Spell] = []
    dead: list[Spell] = []
    now, level = begin_s, first_pct
    waiting = sorted((p for p in plugs if p.until_s > begin_s), key=lambda p: p.from_s)
    starved = False
    while now < end_s:
        if (
            starve is not None
            and not starved
            and (not waiting or waiting[0].from_s > starve.from_s)
        ):
            starved = True
            empty_at = now + max(level - _EMPTY_PCT, 0.0) / drain_pct_h * 3600
            again = max(empty_at, starve.from_s) + starve.until_s
            waiting = [p for p in waiting if p.from_s > again + 3 * 3600]
            waiting.insert(0, Spell(again, again + 3 * 3600))
        plug = waiting.pop(0) if waiting else Spell(end_s, end_s)
        start = max(plug.from_s, now)
        fallen = level - drain_pct_h * (start - now) / 3600
        if fallen < _EMPTY_PCT:
            empty = now + max(level - _EMPTY_PCT, 0.0) / drain_pct_h * 3600
            times.append(empty)
            levels.append(_EMPTY_PCT)
            dead.append(Spell(empty, min(start + rng.uniform(120, 900), end_s)))
            fallen = _EMPTY_PCT
        times.append(start)
        levels.append(fallen)
        now, level = start, fallen
        stop = min(plug.until_s, end_s)
        if stop > now:
            full = now + (100.0 - level) / charge_pct_h * 3600
            charging.append(Spell(now, stop))
            if full < stop:
                times.append(full)
                levels.append(100.0)
                level = 100.0
            else:
                level += charge_pct_h * (stop - now) / 3600
            times.append(stop)
            levels.append(level)
            now = stop
        elif not waiting and plug.from_s >= end_s:
            break
    return Battery(np.array(times), np.array(levels), charging, dead)
