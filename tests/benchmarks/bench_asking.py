"""What asking a phone for more fixes near the line brings, and what it costs.

    python tests/benchmarks/bench_asking.py [--people N] [--json]

A departure: somebody lives 2 km inside, leaves straight across the line at some time of the day, on
foot, by bicycle or by car, to a place 15 km out, and stays there. The phone reports each 15, 30 or
60 minutes, its phase drawn, with the errors of ordinary life of the detection bench (see
`detection/noise.py`). The delay is from crossing the line to the alert, for the same people and the
same errors:

never           nobody is asked: what the regular reports tell
at once         the phone gets a request when it is made (a connection that is open, a push message)
when it talks   the phone gets it with its next regular report (an app that asks when it reports)

The cost: requests and further reports of people who stay at home, 2 km and 150 m inside.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_zones import machine
from detection.noise import measure
from timeline import Fix, observed

from geomon.core.episodes import Alert
from geomon.core.person import Person
from geomon.core.plans import Plan
from geomon.core.requests import Request
from geomon.core.rules import Rules
from geomon.core.step import step

WAYS = ("never", "at once", "when it talks")
INTERVALS_MIN = (15, 30, 60)
SPEEDS_MPS = (1.4, 6.0, 20.0)
HOMES_M = (2_000.0, 150.0)
FAR_M = 15_000.0
CLAIMED_M = 20.0
_SOURCES = ("gnss", "wifi", "cell")
_BEGIN_S = 1_709_222_400
_EVERY_S = 60


@dataclass
class Outcome:
    """What came of one person's day, or days."""

    told_s: int = 0  # when leaving was told; 0 = never
    requests: int = 0
    reports: int = 0


def live(seen: list[Fix], every_min: int, phase: int, way: str) -> Outcome:
    """Judge a phone that could report each minute and does so when it is due, or asked."""
    asks = _EVERY_S if way != "never" else 0
    rules = Rules(plans=(Plan(report_s=(60 * every_min, 120), ask_interval_s=asks),) * 3)
    person, outcome = Person("P"), Outcome()
    until_s = 0  # the phone has been asked to report each minute until then
    pending: Request | None = None
    for minute, fix in enumerate(seen):
        regular = minute % every_min == phase
        if not regular and fix.time_s > until_s:
            continue
        if regular and pending is not None:
            until_s, pending = pending.until_s, None
        outcome.reports += 1
        person, told = step(person, observed(fix.time_s + 5, [fix], device="phone"), rules)
        for one in told:
            if isinstance(one, Request):
                outcome.requests += 1
                if way == "at once":
                    until_s = one.until_s
                else:
                    pending = one
            elif isinstance(one, Alert) and (one.kind, one.phase) == ("leave_city", "opened"):
                outcome.told_s = outcome.told_s or one.detected_s
    return outcome


def path(rng: np.random.Generator, home_m: float, speed_mps: float, days: float) -> list[Fix]:
    """Measure somebody's way, a fix a minute; who has no speed stays at home."""
    times = np.arange(_BEGIN_S, _BEGIN_S + int(86_400 * days), _EVERY_S)
    x = np.full(len(times), -home_m)
    crossing_s = crossing(home_m, speed_mps)
    if speed_mps:
        x = np.clip((times - crossing_s) * speed_mps, -home_m, FAR_M)
    found = measure(rng, "ordinary", times, x, np.zeros(len(times)), CLAIMED_M)
    rows = zip(times.tolist(), found.x.tolist(), found.source, found.accuracy_m, strict=True)
    return [Fix(t, m, _SOURCES[source], float(claim)) for t, m, source, claim in rows]


def crossing(home_m: float, speed_mps: float) -> float:
    """Give when the line is crossed: after ten hours at home, and the way to it."""
    return _BEGIN_S + 36_000 + (home_m / speed_mps if speed_mps else 0.0)


def departures(people: int) -> Iterator[dict[str, object]]:
    for every_min, speed_mps in product(INTERVALS_MIN, SPEEDS_MPS):
        delays: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(people):
            rng = np.random.default_rng((1, every_min, int(10 * speed_mps), number))
            seen = path(rng, HOMES_M[0], speed_mps, 1.0)
            phase = int(rng.integers(every_min))
            for way in WAYS:
                told_s = live(seen, every_min, phase, way).told_s
                late_s = told_s - crossing(HOMES_M[0], speed_mps) if told_s else np.inf
                delays[way].append(max(late_s, 0.0) / 60)
        for way in WAYS:
            median, p95 = np.quantile(delays[way], [0.5, 0.95], method="higher")
            yield {
                "phone_report_min": every_min,
                "speed_mps": speed_mps,
                "asked": way,
                "median_min": round(float(median), 1),
                "p95_min": round(float(p95), 1),
                "never_told": int(np.isinf(delays[way]).sum()),
            }


def stays(people: int, days: int = 10) -> Iterator[dict[str, object]]:
    for home_m in HOMES_M:
        for every_min in INTERVALS_MIN:
            both = Outcome(), Outcome()
            for number in range(people):
                rng = np.random.default_rng((2, every_min, int(home_m), number))
                seen = path(rng, home_m, 0.0, days)
                for sums, way in zip(both, ("never", "at once"), strict=True):
                    found = live(seen, every_min, 0, way)
                    sums.requests += found.requests
                    sums.reports += found.reports
            plain, asked = (asdict(sums) for sums in both)
            yield {
                "home_m": home_m,
                "phone_report_min": every_min,
                "requests_a_month": round(asked["requests"] / people * 30 / days, 2),
                "more_reports_pct": round(100 * (asked["reports"] / plain["reports"] - 1), 1),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.json:
        print(machine())
    for rows in (departures(options.people), stays(max(options.people // 20, 1))):
        for row in rows:
            print(
                json.dumps(row) if options.json else "  ".join(f"{k}={v}" for k, v in row.items())
            )


if __name__ == "__main__":
    main()
