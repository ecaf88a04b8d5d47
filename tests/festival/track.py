"""The true path of a person: corners with times, and how the person moves between them."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODES", "Places", "Track", "crossings", "length_m"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Point = tuple[float, float]

#: Ways of being somewhere, in the order of their codes. `remote` is indoors in a village or a town
#: far away, `flight` on board an aeroplane with the phone off.
MODES = ("indoors", "remote", "walk", "metro", "road", "train", "flight")

_M_PER_DEG = 111_195.0


class Places(NamedTuple):
    """Where someone is at many times."""

    lon: Floats
    lat: Floats
    mode: Ints
    speed_mps: Floats


def length_m(a: Point, b: Point) -> float:
    """Length of a straight piece anywhere in the country (0.5 %)."""
    east = (b[0] - a[0]) * np.cos(np.radians((a[1] + b[1]) / 2))
    return float(np.hypot(east, b[1] - a[1]) * _M_PER_DEG)


class Track:
    """A path in the making, and then looked up: `stay`, `go`, `go`, `stay`..."""

    def __init__(self, time_s: float, spot: Point) -> None:
        self.times: list[float] = [time_s]
        self.points: list[Point] = [spot]
        self.modes: list[int] = []  # of the piece that begins at the corner of the same index
        self._arrays: tuple[Floats, Floats, Floats, Ints, Floats] | None = None

    @property
    def now_s(self) -> float:
        return self.times[-1]

    @property
    def here(self) -> Point:
        return self.points[-1]

    def stay(self, until_s: float, mode: str = "indoors") -> None:
        """Stay where one is; nothing happens if the time has passed."""
        if until_s > self.times[-1]:
            self._add(until_s, self.points[-1], MODES.index(mode))

    def go(self, way: Sequence[Point], speed_mps: float, mode: str) -> None:
        """Go along a way, which begins here, at an even speed."""
        code = MODES.index(mode)
        for a, b in itertools.pairwise(way):
            far = length_m(a, b)
            if far > 0.5:
                self._add(self.times[-1] + far / speed_mps, b, code)

    def at(self, times: Floats | Ints) -> Places:
        """Where the person is at times; before the begin and after the end, at the ends."""
        if self._arrays is None:
            t = np.array(self.times)
            xy = np.array(self.points)
            modes = np.array([*self.modes, self.modes[-1] if self.modes else 0])
            metres = (
                np.hypot(np.diff(xy[:, 0]) * np.cos(np.radians(xy[:-1, 1])), np.diff(xy[:, 1]))
                * _M_PER_DEG
            )
            speed = np.append(metres / np.maximum(np.diff(t), 1e-3), 0.0)
            self._arrays = (t, xy[:, 0].copy(), xy[:, 1].copy(), modes, speed)
        t, x, y, modes, speed = self._arrays
        piece = np.clip(np.searchsorted(t, times, side="right") - 1, 0, len(t) - 1)
        return Places(np.interp(times, t, x), np.interp(times, t, y), modes[piece], speed[piece])

    def spot(self, time_s: float) -> Point:
        """Where the person is at one time."""
        i = bisect_right(self.times, time_s) - 1
        if i < 0:
            return self.points[0]
        if i + 1 >= len(self.times):
            return self.points[-1]
        share = (time_s - self.times[i]) / (self.times[i + 1] - self.times[i])
        (ax, ay), (bx, by) = self.points[i], self.points[i + 1]
        return (ax + share * (bx - ax), ay + share * (by - ay))

    def _add(self, time_s: float, spot: Point, mode: int) -> None:
        self.times.append(time_s)
        self.points.append(spot)
        self.modes.append(mode)
        self._arrays = None


def crossings(
    track: Track,
    holds: Callable[[Floats, Floats], NDArray[np.bool_]],
    from_s: int,
    until_s: int,
    step_s: int = 10,
) -> list[tuple[int, bool]]:
    """When a statement about the true position changes: (first whole second of the new, new value).

    The path is sampled every `step_s` and each change narrowed to the second; what lasts less than
    the step may be missed.
    """
    if until_s <= from_s:
        return []
    # Only moving pieces can change anything: they are sampled, rests are skipped.
    corners = np.array(track.times)
    moving = np.flatnonzero([a != b for a, b in zip(track.points, track.points[1:], strict=False)])
    samples = [np.array([from_s, until_s], dtype=np.int64)]
    for i in moving:
        low, high = max(from_s, int(corners[i])), min(until_s, int(corners[i + 1]) + 1)
        if low < high:
            samples.append(np.append(np.arange(low, high, step_s, dtype=np.int64), high))
    times = np.unique(np.concatenate(samples))
    places = track.at(times)
    value = holds(places.lon, places.lat)
    found = []
    for i in np.flatnonzero(value[1:] != value[:-1]):
        low, high = int(times[i]), int(times[i + 1])
        after = bool(value[i + 1])
        while high - low > 1:
            middle = (low + high) // 2
            place = track.at(np.array([middle]))
            if bool(holds(place.lon, place.lat)[0]) == after:
                high = middle
            else:
                low = middle
        found.append((high, after))
    return found
