"""What a device reports of the truth: when it measures, how wrong it is, and when that arrives.

The numbers and their reasons are in the docstring of `geomon.cases.script`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from geomon.cases.journey import CHINA_TIME, Journey, Spot, Whereabouts, Window, distance_m, moved
from geomon.datum import from_wgs84

__all__ = ["Arrival", "Device", "Gap", "Jump", "Outlier", "Pace", "local_text"]

Event = dict[str, Any]
Fix = dict[str, Any]

# 68 % of a two-dimensional normal error lies within 1.51 standard deviations of one axis:
# sqrt(-2 ln 0.32). Reported accuracies are radii at 68 %.
_RADIUS_68 = 1.5096

_CIVIC_CENTRE = Spot(114.0545, 22.5445)
_REMOTE_M = 80_000.0
_MAST_SPACING_M = {False: 600.0, True: 2200.0}  # in and around the city; far from it
_MAST_SHADOWING = 0.35

# Share of measurements by source, for each way of being somewhere; "none" is a heartbeat.
_Shares = Mapping[str, tuple[float, float, float, float]]
_SOURCES = ("gnss", "wifi", "cell", "none")
_PHONE: _Shares = {
    "indoors": (0.10, 0.70, 0.13, 0.07),
    "remote": (0.18, 0.32, 0.40, 0.10),  # indoors in a village: few access points are mapped
    "walk": (0.80, 0.08, 0.10, 0.02),
    "metro": (0.02, 0.33, 0.35, 0.30),
    "road": (0.80, 0.00, 0.16, 0.04),
    "train": (0.45, 0.00, 0.45, 0.10),
}
_WRISTBAND: _Shares = {
    "indoors": (0.10, 0.80, 0.07, 0.03),
    "remote": (0.25, 0.40, 0.28, 0.07),
    "walk": (0.94, 0.02, 0.02, 0.02),
    "metro": (0.02, 0.40, 0.30, 0.28),
    "road": (0.94, 0.00, 0.03, 0.03),
    "train": (0.60, 0.00, 0.30, 0.10),
}

# How long an error lasts (e-folding, seconds): a satellite's multipath wanders over minutes, a WiFi
# solution stays while the same access points are heard.
_ERROR_LASTS_S = {"gnss": 150.0, "wifi": 1500.0}
_TOO_HOPEFUL = 0.08  # share of fixes whose reported accuracy is too good by the next factor
_TOO_HOPEFUL_FACTOR = 2.2


class Arrival(NamedTuple):
    """An event and when it reaches the server."""

    received: datetime
    event: Event


@dataclass(frozen=True)
class Pace:
    """How often a device measures in a window: an even draw between two numbers of seconds."""

    window: Window
    shortest_s: float
    longest_s: float


@dataclass(frozen=True)
class Gap:
    """No coverage: what is measured is kept and sent, marked stored, when the window ends."""

    window: Window
    newest_first: bool = False
    fixes_an_upload: int = 20


@dataclass(frozen=True)
class Jump:
    """The device camps on a far mast: `times` fixes, `apart_s` apart; those between are normal."""

    start: datetime
    mast: Spot
    accuracy_m: int
    times: int = 1
    apart_s: float = 360.0

    @property
    def window(self) -> Window:
        return Window(self.start, self.start + timedelta(seconds=self.apart_s * self.times))


@dataclass(frozen=True)
class Outlier:
    """One satellite fix thrown aside by reflections while its reported accuracy stays good."""

    start: datetime
    east_m: float
    north_m: float


@dataclass(frozen=True)
class Device:
    """A phone or wristband, its settings and what befalls it."""

    supervisee_id: str
    device_id: str
    kind: str  # phone, wristband
    datum: str
    worn: Window
    paces: Sequence[Pace]  # the first whose window holds the time
    charging: Sequence[Window]
    drain_pct_an_hour: float
    fixes_an_upload_at_rest: int = 1
    off: Sequence[Window] = ()
    gaps: Sequence[Gap] = ()
    jumps: Sequence[Jump] = ()
    outliers: Sequence[Outlier] = ()
    check_ins: Sequence[datetime] = ()  # made then, when the phone works
    check_in_device_id: str = ""  # where it is another than this one

    def record(self, journey: Journey, seed: str) -> list[Arrival]:
        """Measure along a journey; uploads and check-ins with their times of arrival, unsorted."""
        run = _Run(self, journey, seed)
        return run.arrivals()


class _Run:
    """One device's way along one journey: the state that its noise and its memory need."""

    def __init__(self, device: Device, journey: Journey, seed: str) -> None:
        self.device, self.journey = device, journey
        self.rng = random.Random(seed)  # noqa: S311  (reproducible, not secret)
        # Apart, so that another plan of check-ins leaves the positions as they are.
        self.check_in_rng = random.Random(f"{seed} check-ins")  # noqa: S311
        self.shares = _PHONE if device.kind == "phone" else _WRISTBAND
        self.errors: dict[str, tuple[datetime, float, float]] = {}
        self.battery_pct = 96.0
        self.charging = False
        self.seq = 0
        self.jumps = [jump for jump in device.jumps for _ in range(jump.times)]
        self.next_jump = device.worn.start
        self.outliers = list(device.outliers)
        self.check_ins = list(device.check_ins)
        self.unsent: list[Fix] = []
        self.memory: list[Fix] = []
        self.gap: Gap | None = None
        self.all_fixes: list[Fix] = []
        self.out: list[Arrival] = []

    def arrivals(self) -> list[Arrival]:
        time = self.device.worn.start
        while time < self.device.worn.end:
            if self._alive(time):
                self._work(time)
            time += self._pause(time)
        if self.unsent:
            self._send(time, self.unsent)
        self._declare_datum()
        return self.out

    def _work(self, time: datetime) -> None:
        """Measure once, and send it or keep it."""
        device = self.device
        here = self.journey.at(time)
        fixes = self._measure(time, here)
        gap = next((gap for gap in device.gaps if time in gap.window), None)
        if gap is not None:
            self.gap = gap
            self.memory += self.unsent + fixes
            self.unsent = []
            return
        self._check_in(time)
        self.unsent += fixes
        at_rest = here.by == "indoors"
        if not fixes or not at_rest or len(self.unsent) >= device.fixes_an_upload_at_rest:
            self._send(time, self.unsent)
            self.unsent = []
        if self.gap is not None:  # coverage is back: the live fix went first, now the memory
            self._send_memory(time, self.gap)
            self.gap = None

    def _pause(self, time: datetime) -> timedelta:
        """Time until the next measurement: the pace, quickened to 3 min while cells change."""
        pace = next(p for p in self.device.paces if time in p.window)
        wait_s = round(self.rng.uniform(pace.shortest_s, pace.longest_s))
        if any(time in jump.window for jump in self.device.jumps):
            wait_s = min(wait_s, 180)
        pause = timedelta(seconds=wait_s)
        hours = wait_s / 3600
        self.charging = any(time in w for w in self.device.charging)
        change = 30.0 * hours if self.charging else -self.device.drain_pct_an_hour * hours
        self.battery_pct = min(100.0, max(0.0, self.battery_pct + change))
        return pause

    def _alive(self, time: datetime) -> bool:
        empty = self.battery_pct < 1.0 and not self.charging
        return not empty and not any(time in window for window in self.device.off)

    def _measure(self, time: datetime, here: Whereabouts) -> list[Fix]:
        """One fix, or none (a heartbeat)."""
        rng = self.rng
        if self.jumps and time >= max(self.jumps[0].start, self.next_jump):
            jump = self.jumps.pop(0)
            self.next_jump = time + timedelta(seconds=jump.apart_s)
            return [self._fix(time, jump.mast, jump.accuracy_m, "cell")]
        if self.outliers and time >= self.outliers[0].start:
            outlier = self.outliers.pop(0)
            spot = moved(here.spot, outlier.east_m, outlier.north_m)
            return [self._fix(time, spot, rng.randint(8, 25), "gnss", here.speed_mps)]
        remote = distance_m(here.spot, _CIVIC_CENTRE) > _REMOTE_M
        way = "remote" if remote and here.by == "indoors" else here.by
        source = rng.choices(_SOURCES, self.shares[way])[0]
        if source == "none":
            return []
        if source == "cell":
            mast = self._mast(here.spot, remote)
            accuracy = 0.7 * _MAST_SPACING_M[remote] * rng.lognormvariate(0.0, 0.4)
            return [self._fix(time, mast, _between(200, accuracy, 3000), source)]
        if source == "wifi":
            accuracy_m = _between(20, rng.lognormvariate(math.log(38.0), 0.35), 100)
            return [self._fix(time, self._astray(time, here.spot, source, accuracy_m), accuracy_m)]
        typical_m = 20.0 if here.by in ("indoors", "train") else 9.0
        accuracy_m = _between(5, rng.lognormvariate(math.log(typical_m), 0.4), 30)
        spot = self._astray(time, here.spot, source, accuracy_m)
        return [self._fix(time, spot, accuracy_m, source, here.speed_mps)]

    def _astray(self, time: datetime, spot: Spot, source: str, accuracy_m: int) -> Spot:
        """A position with an error that persists: a first-order autoregressive unit error."""
        rng = self.rng
        before, east, north = self.errors.get(source, (time - timedelta(days=1), 0.0, 0.0))
        kept = math.exp(-(time - before).total_seconds() / _ERROR_LASTS_S[source])
        fresh = math.sqrt(1.0 - kept * kept)
        east, north = kept * east + fresh * rng.gauss(0, 1), kept * north + fresh * rng.gauss(0, 1)
        self.errors[source] = (time, east, north)
        factor = _TOO_HOPEFUL_FACTOR if rng.random() < _TOO_HOPEFUL else 1.0
        scale_m = factor * accuracy_m / _RADIUS_68
        return moved(spot, east * scale_m, north * scale_m)

    def _mast(self, spot: Spot, remote: bool) -> Spot:
        """The mast that serves a spot: the strongest of nine around, nearness times shadowing.

        Masts stand on a grid, each at its own fixed place in its cell, so that a phone at rest
        changes between two to four positions and comes back to exactly the same ones.
        """
        step = _MAST_SPACING_M[remote] / 102_000.0
        column, row = math.floor(spot.lon / step), math.floor(spot.lat / step)
        best, best_m = spot, math.inf
        for i in (column - 1, column, column + 1):
            for j in (row - 1, row, row + 1):
                place = random.Random(f"mast {remote} {i} {j}")  # noqa: S311
                mast = Spot((i + place.random()) * step, (j + place.random()) * step)
                heard_m = distance_m(spot, mast) * self.rng.lognormvariate(0.0, _MAST_SHADOWING)
                if heard_m < best_m:
                    best, best_m = mast, heard_m
        return best

    def _fix(
        self,
        time: datetime,
        spot: Spot,
        accuracy_m: int,
        source: str = "wifi",
        speed_mps: float | None = None,
    ) -> Fix:
        fix: Fix = {
            "time": local_text(time),
            "lon": spot.lon,
            "lat": spot.lat,
            "accuracy_m": accuracy_m,
            "source": source,
        }
        if speed_mps is not None:
            fix["speed_mps"] = round(abs(speed_mps + self.rng.gauss(0.0, 0.3)), 1)
        self.all_fixes.append(fix)
        return fix

    def _send(self, time: datetime, fixes: list[Fix], *, stored: bool = False) -> None:
        """One upload towards the server: its delay, and now and then the same once more."""
        rng, device = self.rng, self.device
        delay_s = rng.choices(
            (rng.uniform(1, 5), rng.uniform(5, 60), rng.uniform(60, 300)),
            (0.80, 0.17, 0.03) if device.kind == "phone" else (0.96, 0.04, 0.0),
        )[0]
        received = time + timedelta(seconds=round(delay_s))
        event: Event = {
            "type": "upload",
            "supervisee_id": device.supervisee_id,
            "device_id": device.device_id,
            "device": device.kind,
            "datum": device.datum,
            "received": local_text(received),
            "battery_pct": round(self.battery_pct),
        }
        if self.charging:
            event["charging"] = True
        if device.kind == "wristband":
            self.seq += 1
            event |= {"strap": "closed", "seq": self.seq}
        if stored:
            event["stored"] = True
        event["fixes"] = fixes
        self.out.append(Arrival(received, event))
        if rng.random() < 0.01:
            again_s = rng.uniform(3600, 3 * 3600) if rng.random() < 0.2 else rng.uniform(2, 40)
            again = received + timedelta(seconds=round(again_s))
            self.out.append(Arrival(again, event | {"received": local_text(again)}))

    def _send_memory(self, time: datetime, gap: Gap) -> None:
        fixes, self.memory = self.memory, []
        if gap.newest_first:
            fixes.reverse()
        for first in range(0, len(fixes), gap.fixes_an_upload):
            time += timedelta(seconds=6)
            self._send(time, fixes[first : first + gap.fixes_an_upload], stored=True)

    def _check_in(self, time: datetime) -> None:
        """The check-ins due since the last measurement, unless the phone did not work meanwhile."""
        while self.check_ins and self.check_ins[0] <= time:
            due = self.check_ins.pop(0)
            if time - due > timedelta(minutes=80) or any(due in off for off in self.device.off):
                continue
            covered = not any(due in gap.window for gap in self.device.gaps)
            delay = timedelta(seconds=round(self.check_in_rng.uniform(1, 9)))
            received = (due if covered else time) + delay
            event: Event = {
                "type": "check_in",
                "supervisee_id": self.device.supervisee_id,
                "device_id": self.device.check_in_device_id or self.device.device_id,
                "time": local_text(due),
                "verified": True,
                "received": local_text(received),
            }
            self.out.append(Arrival(received, event))

    def _declare_datum(self) -> None:
        """Turn every fix from WGS-84 into the device's datum, in whole millionths of a degree."""
        lon, lat = from_wgs84(
            [fix["lon"] for fix in self.all_fixes],
            [fix["lat"] for fix in self.all_fixes],
            self.device.datum,
        )
        for fix, x, y in zip(self.all_fixes, lon.tolist(), lat.tolist(), strict=True):
            fix["lon"], fix["lat"] = round(x, 6), round(y, 6)


def _between(low: int, value: float, high: int) -> int:
    return max(low, min(high, round(value)))


def local_text(time: datetime) -> str:
    """RFC 3339 in China's time, as the devices write it."""
    return time.astimezone(CHINA_TIME).isoformat(timespec="seconds")
