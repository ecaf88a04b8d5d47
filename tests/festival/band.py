"""A wristband: one fix a minute, sent at once or in pairs, kept while out of coverage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .almanac import DAY_S, DAYS, day_start
from .battery import Battery, run_down
from .ground import ground
from .heard import Heard, delays, low_battery, sent, within
from .levels import LEVELS
from .lines import Line, fix_texts, time_texts
from .noise import CELL, GNSS, NONE, WRISTBAND, Measured, measure, shift
from .people import PersonPlan, stream, watched
from .phone import far_mast
from .script import Fact, Script, Spell
from .track import Places, Track

__all__ = ["band"]

_H = 3600
Ints = NDArray[np.int64]


def band(plan: PersonPlan, script: Script, track: Track) -> Heard:
    """Everything a wristband sends."""
    rng = stream(plan, 5)
    begin_s, end_s = watched(plan)
    battery = _battery(rng, begin_s, end_s)
    gaps = _gaps(rng, begin_s, end_s)
    times = (
        begin_s + np.arange(30, end_s - begin_s, 60) + rng.integers(-3, 4, (end_s - begin_s) // 60)
    )
    for spell in script.strap_open + script.case_open:  # the sensor is told at once
        times = np.append(times, [int(spell.from_s) + 1, int(spell.until_s) + 1])
    times = np.unique(times[(times >= begin_s) & (times < end_s)])
    times = times[~within(times, battery.dead)]
    true = track.at(times)
    measured = measure(rng, times, true, WRISTBAND)
    measured.source[true.mode == 6] = NONE
    measured.source[within(times, _cellars(rng, begin_s, end_s))] = NONE
    _mishaps(rng, plan, measured, true)
    texts = fix_texts(measured, "wgs84")
    pct = battery.level(times.astype(np.float64)).round().astype(np.int64)
    charging = within(times, battery.charging)
    strap = within(times, script.strap_open)
    case = within(times, script.case_open) if script.case_open else None

    flights = [Spell(a, b, "newest") for trip in script.trips for a, b in trip.flights]
    out_of_reach = gaps + flights
    in_gap = within(times, out_of_reach)
    groups, singles = _groups(times, true, strap, in_gap)
    last = groups + ~singles  # row of the newest fix of each upload
    device_id = plan.devices[-1]
    head = (
        f'{{"type":"upload","supervisee_id":"{plan.supervisee_id}","device_id":"{device_id}",'
        f'"device":"wristband","datum":"wgs84","received":"'
    )
    tails = _tails(pct, charging, strap, case)
    received = times[last] + delays(rng, len(last), 0.04, 0.0)
    rows, arrivals, first_sent = sent(rng, received, out_of_reach + battery.dead)
    lines: list[Line] = []
    fix_heard: list[int] = []
    pairs = zip(groups.tolist(), last.tolist(), strict=True)
    fixes = [_joined(texts[a], texts[b]) if a != b else texts[a] for a, b in pairs]
    tail = [tails[b] for b in last.tolist()]
    for t, text, k in zip(arrivals.tolist(), time_texts(arrivals), rows.tolist(), strict=True):
        if fixes[k]:
            fix_heard.append(t)
        lines.append((t, f'{head}{text}"{tail[k]},"seq":{k},"fixes":[{fixes[k]}]}}'.encode()))
    seq = len(last)
    for gap in out_of_reach:
        kept = np.flatnonzero((times >= gap.from_s) & (times < gap.until_s))
        found = _from_memory(rng, head, gap, kept, texts, tails, seq)
        seq += len(found)
        lines += found
        fix_heard += [t for t, _ in found]
    heard = np.sort(np.array([t for t, _ in lines], dtype=np.int64))
    once = rows[:first_sent]
    told = last[once]
    facts = low_battery(
        "wristband", received[once], pct[told], charging[told], LEVELS[plan.level].battery_pct[1]
    )
    facts += [_tamper(spell, end_s, "strap opened") for spell in script.strap_open]
    facts += [_tamper(spell, end_s, "case opened") for spell in script.case_open]
    return Heard(
        "wristband",
        device_id,
        lines,
        heard,
        np.sort(np.array(fix_heard, dtype=np.int64)),
        out_of_reach + battery.dead,
        facts,
    )


def _joined(a: str, b: str) -> str:
    return f"{a},{b}" if a and b else a or b


def _tamper(spell: Spell, end_s: int, note: str) -> Fact:
    until = int(spell.until_s) + 1
    return Fact(
        "tamper", int(spell.from_s) + 1, until if until < end_s else None, "wristband", note=note
    )


def _groups(
    times: Ints, true: Places, strap: NDArray[np.bool_], in_gap: NDArray[np.bool_]
) -> tuple[Ints, NDArray[np.bool_]]:
    """First row of each upload made in coverage, and whether it holds one measurement only.

    At rest two measurements share an upload; on the way, and when the strap changes, each is sent
    at once.
    """
    rows = np.flatnonzero(~in_gap)
    rest = (true.mode[rows] <= 1) & ~strap[rows]
    # Runs of rest in unbroken coverage are cut into pairs from their beginning.
    joined = rest[1:] & rest[:-1] & (np.diff(rows) == 1) & (np.diff(times[rows]) < 90)
    run_start = np.append(True, ~joined)
    starts = np.flatnonzero(run_start)
    place = np.arange(len(rows)) - starts[np.cumsum(run_start) - 1]
    is_first = place % 2 == 0
    following = np.append(place[1:], 0)
    single = is_first & (following == 0)
    return rows[is_first], single[is_first]


def _tails(
    pct: Ints, charging: NDArray[np.bool_], strap: NDArray[np.bool_], case: NDArray[np.bool_] | None
) -> list[str]:
    """Battery, strap and housing of each moment."""
    tails = [
        f',"battery_pct":{b}{C if c else ""},"strap":"{"open" if s else "closed"}"'
        for b, c, s in zip(pct.tolist(), charging.tolist(), strap.tolist(), strict=True)
    ]
    if case is not None:
        tails = [
            f'{tail},"case":"{"open" if c else "closed"}"'
            for tail, c in zip(tails, case.tolist(), strict=True)
        ]
    return tails


C = ',"charging":true'


def _from_memory(
    rng: np.random.Generator,
    head: str,
    gap: Spell,
    kept: Ints,
    texts: list[str],
    tails: list[str],
    seq: int,
) -> list[Line]:
    """What was kept out of coverage, in a burst of uploads of up to 30 fixes."""
    rows = [i for i in kept.tolist() if texts[i]]
    if gap.what == "newest":
        rows = rows[::-1]
    lines = []
    now = int(gap.until_s) + int(rng.integers(2, 40))
    for k in range(0, len(rows), 30):
        part = rows[k : k + 30]
        text = ",".join(texts[i] for i in part)
        received = time_texts(np.array([now]))[0]
        line = (
            f'{head}{received}"{tails[part[-1]]},"stored":true,"seq":{seq + k // 30},'
            f'"fixes":[{text}]}}'
        )
        lines.append((now, line.encode()))
        now += int(rng.integers(1, 4))
    return lines


def _mishaps(rng: np.random.Generator, plan: PersonPlan, measured: Measured, true: Places) -> None:
    """Reflections in street canyons by day; far masts where the boundary is near."""
    n = len(measured.times)
    days = n / 1440
    for _ in range(int(rng.poisson(0.08 * days))):
        start = int(rng.integers(n))
        rows = np.arange(start, min(n, start + int(rng.integers(3, 11))))
        rows = rows[(true.mode[rows] == 2) | (true.mode[rows] == 4) | (true.mode[rows] == 0)]
        if not len(rows):
            continue
        angles = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.3, len(rows))
        far = rng.uniform(50, 300) * rng.uniform(0.8, 1.2, len(rows))
        measured.lon[rows], measured.lat[rows] = true.lon[rows], true.lat[rows]
        shift(measured.lon, measured.lat, rows, far * np.cos(angles), far * np.sin(angles))
        measured.source[rows] = GNSS
        measured.accuracy_m[rows] = rng.integers(6, 26, len(rows))
        measured.speed_mps[rows] = rng.uniform(0, 2, len(rows)).round(1)
    near = float(ground().depth_m([plan.home])[0]) < 1500
    for _ in range(int(rng.poisson((0.25 if near else 0.01) * days))):
        start = int(rng.integers(n))
        number = 1 if rng.random() < 0.6 else int(rng.integers(3, 15))
        rows = np.arange(start, min(n, start + number))
        mast, far_m = far_mast(rng, (float(true.lon[start]), float(true.lat[start])))
        measured.lon[rows], measured.lat[rows] = mast
        measured.source[rows] = CELL
        stated = np.clip(far_m * rng.uniform(0.5, 1.2, len(rows)), 200, 3000)
        measured.accuracy_m[rows] = stated.round()
        measured.speed_mps[rows] = -1.0


def _battery(rng: np.random.Generator, begin_s: int, end_s: int) -> Battery:
    """Charged for an hour or more each evening; now and then forgotten."""
    usual = rng.uniform(18.5, 22.0)
    plugs = []
    for day in range(-1, DAYS):
        start = day_start(day) + (usual + rng.uniform(-0.5, 0.5)) * _H
        if rng.random() > 0.015:
            plugs.append(Spell(start, start + rng.uniform(1.2, 1.9) * _H))
        else:  # remembered in the morning
            start = day_start(day + 1) + rng.uniform(7.0, 12.0) * _H
            plugs.append(Spell(start, start + rng.uniform(1.2, 1.9) * _H))
    drain = float(rng.uniform(1.8, 2.8))
    return run_down(rng, begin_s, end_s, rng.uniform(60, 95), drain, 60.0, plugs)


def _cellars(rng: np.random.Generator, begin_s: int, end_s: int) -> list[Spell]:
    """Where there is network but no position: a cellar, a car park, a workshop underground."""
    number = int(rng.poisson(0.012 * (end_s - begin_s) / DAY_S))
    starts = rng.uniform(begin_s, end_s, number)
    return [Spell(a, a + rng.uniform(10, 110) * 60) for a in starts.tolist()]


def _gaps(rng: np.random.Generator, begin_s: int, end_s: int) -> list[Spell]:
    """Out of coverage: mostly minutes (underground), seldom an hour, very seldom half a day."""
    days = (end_s - begin_s) / DAY_S
    found: list[Spell] = []
    for rate, shortest, longest in ((0.35, 3, 14), (0.04, 20, 120), (0.006, 120, 360)):
        for _ in range(int(rng.poisson(rate * days))):
            start = begin_s + rng.uniform(0, days) * DAY_S
            order = "newest" if rng.random() < 0.4 else "oldest"
            found.append(Spell(start, start + rng.uniform(shortest, longest) * 60, order))
    found.sort(key=lambda s: s.from_s)
    apart: list[Spell] = []
    for spell in found:
        if not apart or spell.from_s > apart[-1].until_s + 1800:
            apart.append(spell)
    return apart
