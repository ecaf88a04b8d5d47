"""A phone with the supervision app: sparse, asleep at night, left without power or network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .almanac import DAY_S, DAYS, day_start
from .battery import Battery, run_down
from .ground import Point, ground, offset
from .heard import Heard, delays, low_battery, sent, within
from .levels import LEVELS
from .lines import Line, fix_texts, time_texts
from .noise import CELL, GNSS, NONE, PHONE, WIFI, Measured, measure, shift
from .people import PersonPlan, stream, watched
from .script import Fact, Script, Spell
from .track import Places, Track

__all__ = ["phone"]

_H = 3600
_NIGHT_ENDS_S = 5.5 * _H
_FORGETS_TO_CHARGE = 0.008
_LOCATION_OFF_A_DAY = 0.0008
Ints = NDArray[np.int64]


def phone(plan: PersonPlan, script: Script, track: Track, *, calm: bool = False) -> Heard:
    """Everything a phone sends. `calm`: without the mishaps that could add up to a long silence."""
    rng = stream(plan, 4)
    begin_s, end_s = watched(plan)
    battery = _battery(rng, plan, script, begin_s, end_s, calm)
    gaps = _gaps(rng, track, begin_s, end_s, calm)
    flights = [Spell(a, b, "flight") for trip in script.trips for a, b in trip.flights]
    off = [*script.phone_off, *flights, *battery.dead]
    killed = [g for g in gaps if g.what == "killed"]
    times, bursts = _times(rng, plan, track, begin_s, end_s)
    keep = ~within(times, off + killed)
    times, bursts = times[keep], bursts[keep]
    true = track.at(times)
    if script.phone_at_home:
        _left_at_home(times, true, script, plan.home)
    # What wakes an app that sleeps is its alarm, and then it looks for a position to the end.
    asleep = (times + 8 * _H) % DAY_S < _NIGHT_ENDS_S if plan.dozes else None
    measured = measure(rng, times, true, PHONE, asleep)
    _mishaps(rng, plan, measured, true, bursts)
    for spell in _location_off(rng, begin_s, end_s):
        measured.source[within(times, [spell])] = NONE
    mock = _fakes(rng, plan, script, measured)
    texts = fix_texts(measured, plan.datum, mock)
    pct = battery.level(times.astype(np.float64)).round().astype(np.int64)
    charging = within(times, battery.charging)

    device_id = plan.devices[0]
    head = (
        f'{{"type":"upload","supervisee_id":"{plan.supervisee_id}","device_id":"{device_id}",'
        f'"device":"phone","datum":"{plan.datum}","received":"'
    )
    received = times + delays(rng, len(times), 0.17, 0.03)
    stored = [g for g in gaps if g.what != "killed"]
    received[within(times, stored)] = -1
    rows, arrivals, first_sent = sent(rng, received, stored + off + killed)
    tail = [
        f'","battery_pct":{b},"charging":true,"fixes":[' if c else f'","battery_pct":{b},"fixes":['
        for b, c in zip(pct.tolist(), charging.tolist(), strict=True)
    ]
    lines: list[Line] = [
        (t, f"{head}{text}{tail[i]}{texts[i]}]}}".encode())
        for t, text, i in zip(arrivals.tolist(), time_texts(arrivals), rows.tolist(), strict=True)
    ]
    fix_heard = [arrivals[measured.source[rows] != NONE]]
    for gap in stored:
        kept = np.flatnonzero((times >= gap.from_s) & (times < gap.until_s))
        found = _from_memory(rng, head, gap, kept, texts, tail)
        lines += found
        fix_heard.append(np.array([t for t, _ in found], dtype=np.int64))
    told = _power(rng, head, script, battery, begin_s, end_s)
    lines += told
    heard = np.sort(np.array([t for t, _ in lines], dtype=np.int64))
    below = LEVELS[plan.level].battery_pct[0]
    once = rows[:first_sent]
    facts = low_battery("phone", received[once], pct[once], charging[once], below)
    if mock is not None or script.faked:
        facts += _faked_facts(script, times)
    silent = off + gaps
    return Heard(
        "phone", device_id, lines, heard, np.sort(np.concatenate(fix_heard)), silent, facts
    )


def _times(
    rng: np.random.Generator, plan: PersonPlan, track: Track, begin_s: int, end_s: int
) -> tuple[Ints, Ints]:
    """When the app measures, and of which burst a measurement is part (0: none).

    Codes: 1.. canyon bursts, 100.. cell jumps, 200.. a wandered access point.
    """
    every = LEVELS[plan.level].report_s
    n = int((end_s - begin_s) / every * 1.35) + 20
    jitter, naps = rng.uniform(0.75, 1.25, n).tolist(), rng.uniform(1.0, 2.0, n).tolist()
    first = begin_s + rng.uniform(5, every)
    steps, now = [], first
    for j, nap in zip(jitter, naps, strict=True):
        if now >= end_s:
            break
        steps.append(now)
        asleep = plan.dozes and (now + 8 * _H) % DAY_S < _NIGHT_ENDS_S
        now += max(every * j, nap * _H) if asleep else every * j
    times = np.array(steps).astype(np.int64)
    extra: list[tuple[int, int]] = []
    days = (end_s - begin_s) / DAY_S
    for code in range(1, 1 + int(rng.poisson(0.03 * days))):  # street canyons, by day
        start = begin_s + int(rng.integers(int(days) + 1)) * DAY_S + rng.uniform(8, 21) * _H
        ticks = np.cumsum(rng.uniform(60, 200, int(rng.integers(3, 8))))
        extra += [(int(start + t), code) for t in ticks]
    near = float(ground().depth_m([plan.home])[0]) < 1500
    rate = 0.2 if near else 0.01
    for code in range(100, 100 + int(rng.poisson(rate * days))):
        start = begin_s + rng.uniform(0, days) * DAY_S
        number = 1 if rng.random() < 0.7 else int(rng.integers(3, 5))
        ticks = np.cumsum(rng.uniform(180, 480, number))
        extra += [(int(start + t), code) for t in ticks]
    if rng.random() < 0.006:
        start = begin_s + rng.uniform(0, days) * DAY_S
        extra += [(int(start + t * 900), 200) for t in range(int(rng.integers(1, 4)))]
    if not extra:
        return times, np.zeros(len(times), dtype=np.int64)
    more = np.array(sorted(e for e in extra if begin_s <= e[0] < end_s), dtype=np.int64)
    more = more.reshape(-1, 2)
    every_time = np.concatenate([times, more[:, 0]])
    codes = np.concatenate([np.zeros(len(times), dtype=np.int64), more[:, 1]])
    order = np.argsort(every_time, kind="stable")
    every_time, codes = every_time[order], codes[order]
    distinct = np.append(True, np.diff(every_time) > 0)
    return every_time[distinct], codes[distinct]


def _mishaps(
    rng: np.random.Generator, plan: PersonPlan, measured: Measured, true: Places, bursts: Ints
) -> None:
    """Overwrite what was measured in bursts: reflections, far masts, a moved access point."""
    for code in np.unique(bursts[bursts > 0]).tolist():
        rows = np.flatnonzero(bursts == code)
        here = (float(true.lon[rows[0]]), float(true.lat[rows[0]]))
        n = len(rows)
        measured.lon[rows], measured.lat[rows] = true.lon[rows], true.lat[rows]
        measured.speed_mps[rows] = -1.0
        angle = rng.uniform(0, 2 * np.pi)
        if code < 100:
            far = rng.uniform(50, 300) * rng.uniform(0.8, 1.2, n)
            angles = angle + rng.normal(0, 0.3, n)
            shift(measured.lon, measured.lat, rows, far * np.cos(angles), far * np.sin(angles))
            measured.source[rows] = GNSS
            measured.accuracy_m[rows] = rng.integers(6, 26, n)
            measured.speed_mps[rows] = rng.uniform(0, 2, n).round(1)
        elif code < 200:
            mast, far_m = far_mast(rng, here)
            measured.lon[rows], measured.lat[rows] = mast
            measured.source[rows] = CELL
            measured.accuracy_m[rows] = np.clip(far_m * rng.uniform(0.5, 1.2, n), 200, 3000).round()
        else:
            far_m = np.exp(rng.uniform(np.log(20e3), np.log(900e3)))
            shift(
                measured.lon,
                measured.lat,
                rows,
                np.full(n, far_m * np.cos(angle)),
                np.full(n, abs(far_m * np.sin(angle))),
            )
            measured.source[rows] = WIFI
            measured.accuracy_m[rows] = rng.integers(25, 80, n)


def far_mast(rng: np.random.Generator, here: Point) -> tuple[Point, float]:
    """A mast 1.5-5 km away, if possible beyond the boundary."""
    mast, far_m = here, 0.0
    for _ in range(25):
        angle, far_m = rng.uniform(0, 2 * np.pi), rng.uniform(1500, 5000)
        mast = offset(here, far_m * np.cos(angle), far_m * np.sin(angle))
        if float(ground().depth_m([mast])[0]) < -200:
            break
    return mast, float(far_m)


def _fakes(
    rng: np.random.Generator, plan: PersonPlan, script: Script, measured: Measured
) -> NDArray[np.bool_] | None:
    """Positions that an app makes up; gives which are flagged as such by the phone."""
    mock: NDArray[np.bool_] | None = None
    for spell in script.faked:
        rows = np.flatnonzero((measured.times >= spell.from_s) & (measured.times < spell.until_s))
        n = len(rows)
        if not n:
            continue
        home_lon, home_lat = plan.home
        if spell.what == "teleport":
            rows = rows[: max(2, n // 2)]
            measured.lon[rows], measured.lat[rows] = 112.9388, 28.2282  # Changsha
        elif spell.what == "frozen":
            rows = rows[rng.random(n) < 0.95]
            measured.lon[rows], measured.lat[rows] = home_lon + 1e-4, home_lat
        else:
            if spell.what == "disagree":
                rows = rows[rng.random(n) < 0.65]  # the rest are true cell positions
                others = np.setdiff1d(
                    np.flatnonzero(
                        (measured.times >= spell.from_s) & (measured.times < spell.until_s)
                    ),
                    rows,
                )
                wifi = others[measured.source[others] != CELL]
                measured.source[wifi] = NONE
            measured.lon[rows], measured.lat[rows] = home_lon, home_lat
            shift(
                measured.lon,
                measured.lat,
                rows,
                rng.normal(0, 5, len(rows)),
                rng.normal(0, 5, len(rows)),
            )
        measured.source[rows] = GNSS
        measured.accuracy_m[rows] = 10
        measured.speed_mps[rows] = 0.0
        if spell.what == "mock":
            mock = np.zeros(len(measured.times), dtype=bool) if mock is None else mock
            mock[rows] = True
    return mock


def _faked_facts(script: Script, times: Ints) -> list[Fact]:
    facts = []
    for spell in script.faked:
        rows = np.flatnonzero((times >= spell.from_s) & (times < spell.until_s))
        if len(rows):
            facts.append(
                Fact(
                    "spoofing", int(times[rows[0]]), int(times[rows[-1]]), "phone", note=spell.what
                )
            )
    return facts


def _left_at_home(times: Ints, true: Places, script: Script, home: Point) -> None:
    rows = within(times, script.phone_at_home)
    true.lon[rows], true.lat[rows] = home
    true.mode[rows], true.speed_mps[rows] = 0, 0.0


def _battery(
    rng: np.random.Generator, plan: PersonPlan, script: Script, begin_s: int, end_s: int, calm: bool
) -> Battery:
    """Charged at night; forgotten now and then, and noticed late or not at all."""
    drain = float(np.clip(rng.lognormal(np.log(3.0), 0.25), 1.8, 4.6))
    bed = rng.uniform(21.5, 24.3)
    plugs = []
    for day in range(-1, DAYS):
        start = day_start(day) + (bed + rng.uniform(-0.7, 0.7)) * _H
        wake = day_start(day + 1) + rng.uniform(6.3, 8.3) * _H
        forgets, notices, rest = rng.random(), rng.random(), rng.random()
        if calm or forgets > _FORGETS_TO_CHARGE:
            plugs.append(Spell(start, wake))
        elif notices < 0.7:
            plugs.append(Spell(wake + rest * 2 * _H, wake + (1.2 + 2 * rest) * _H))
    return run_down(rng, begin_s, end_s, rng.uniform(45, 95), drain, 32.0, plugs, script.starve)


def _gaps(
    rng: np.random.Generator, track: Track, begin_s: int, end_s: int, calm: bool
) -> list[Spell]:
    """The app killed (nothing measured), or no network (measured, stored, sent later)."""
    days = (end_s - begin_s) / DAY_S
    found = []
    kinds = (("killed", 0.02, 1.5, 9.0), ("stored", 0.03, 1.0, 6.0), ("country", 0.12, 1.2, 6.0))
    for what, rate, median_h, longest_h in kinds:
        for _ in range(int(rng.poisson(rate * days))):
            start = begin_s + rng.uniform(0, days) * DAY_S
            how_long = min(rng.lognormal(np.log(median_h), 0.8), longest_h) * _H
            order = "newest" if rng.random() < 0.4 else "oldest"
            if what == "country" and track.at(np.array([start])).mode[0] != 1:
                continue
            if not calm:
                found.append(
                    Spell(start, start + how_long, "killed" if what == "killed" else order)
                )
    return _apart(found)


def _location_off(rng: np.random.Generator, begin_s: int, end_s: int) -> list[Spell]:
    """Location switched off in the phone's settings: the app goes on, and finds nothing."""
    found = []
    for _ in range(int(rng.poisson(_LOCATION_OFF_A_DAY * (end_s - begin_s) / DAY_S))):
        start = rng.uniform(begin_s, end_s)
        found.append(Spell(start, start + min(rng.lognormal(np.log(5.0), 0.7), 17.0) * _H))
    return found


def _apart(spells: list[Spell]) -> list[Spell]:
    """Those that do not follow closely upon another."""
    found: list[Spell] = []
    for spell in sorted(spells, key=lambda s: s.from_s):
        if not found or spell.from_s > found[-1].until_s + 4 * _H:
            found.append(spell)
    return found


def _from_memory(
    rng: np.random.Generator, head: str, gap: Spell, kept: Ints, texts: list[str], tail: list[str]
) -> list[Line]:
    """What was measured without network, sent when it is back: up to 20 fixes an upload."""
    rows = [i for i in kept.tolist() if texts[i]]
    if gap.what == "newest":
        rows = rows[::-1]
    lines = []
    now = int(gap.until_s) + int(rng.integers(3, 90))
    for k in range(0, len(rows), 20):
        part = rows[k : k + 20]
        text = ",".join(texts[i] for i in part)
        stored = tail[part[-1]].replace(',"fixes"', ',"stored":true,"fixes"')
        received = time_texts(np.array([now]))[0]
        lines.append((now, f"{head}{received}{stored}{text}]}}".encode()))
        now += int(rng.integers(1, 5))
    return lines


def _power(
    rng: np.random.Generator,
    head: str,
    script: Script,
    battery: Battery,
    begin_s: int,
    end_s: int,
) -> list[Line]:
    """The last word before a deliberate switching off, and the first after it, where told."""
    lines = []
    for spell in script.phone_off:
        if spell.what != "told" or not begin_s < spell.from_s < end_s:
            continue
        for at, power in ((int(spell.from_s), "off"), (int(spell.until_s) + 40, "on")):
            if at >= end_s or any(s.from_s <= at < s.until_s for s in battery.dead):
                continue
            pct = round(float(battery.level(np.array([float(at)]))[0]))
            now = at + int(rng.integers(1, 4))
            text = time_texts(np.array([now]))[0]
            line = f'{head}{text}","battery_pct":{pct},"power":"{power}","fixes":[]}}'
            lines.append((now, line.encode()))
    return lines
