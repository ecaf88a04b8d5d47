"""How many fixes a second one core judges, what a person costs in memory, and where the time goes.

    python tests/benchmarks/bench_replay.py [--fixes N] [--people N] [--per-upload 1,10,50] [--json]

A seeded recording is written to a temporary folder and replayed through `geomon.replay.Replay`
against the real zones, in a fresh process a run, so that peak memory is that run's alone:

*inside*   everybody plainly inside: what nearly all fixes are
*mixed*    a tenth of the fixes GCJ-02; 97 % of people plainly inside, most of the others living
           within 300 m of the boundary, a few outside on a leave

Beside them, over the same lines in the same run: bare `msgspec` decoding, and what one would write
otherwise, `json.loads` and one prepared `shapely.contains_xy` a fix.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_zones import machine

from geomon import intake, replay
from geomon.core.person import freeze
from geomon.core.rules import Rules
from geomon.datum import from_wgs84
from geomon.zones.index import CITY, NEAR_M, ZoneIndex, zones_for

Floats = NDArray[np.float64]

SEED = 20240213
BEGIN_S = 1_707_753_600  # 2024-02-13T00:00:00+08:00
VARIANTS = ("inside", "mixed")
#: Of the people of the mixed variant.
NEAR_SHARE, ON_LEAVE_SHARE, GCJ02_SHARE = 0.025, 0.005, 0.1


class People(NamedTuple):
    """Who is recorded: where each stays, and what they carry."""

    lon: Floats
    lat: Floats
    on_leave: NDArray[np.bool_]
    gcj02: NDArray[np.bool_]


def settle(zones: ZoneIndex, people: int, variant: str) -> People:
    """Give each person a place to stay at."""
    rng = np.random.default_rng(SEED)
    west, south, east, north = zones.city_geometry.bounds
    lon, lat = rng.uniform(west, east, 100_000), rng.uniform(south, north, 100_000)
    distance_m = zones.classify(lon, lat).distance_m
    chosen = rng.choice(np.flatnonzero(distance_m <= -NEAR_M), people)
    on_leave = np.zeros(people, dtype=bool)
    gcj02 = np.zeros(people, dtype=bool)
    if variant == "mixed":
        kind = rng.random(people)
        on_leave = kind < ON_LEAVE_SHARE
        near = ~on_leave & (kind < ON_LEAVE_SHARE + NEAR_SHARE)
        gcj02 = rng.random(people) < GCJ02_SHARE
        by_the_line = np.flatnonzero((distance_m < 0) & (distance_m > -300))
        chosen[near] = rng.choice(by_the_line, np.count_nonzero(near))
        away = np.flatnonzero((distance_m > 2_000) & (distance_m < NEAR_M))
        chosen[on_leave] = rng.choice(away, np.count_nonzero(on_leave))
    return People(lon[chosen], lat[chosen], on_leave, gcj02)


def recording(people: People, fixes: int, per_upload: int) -> Iterator[str]:
    """Give the lines: a fix a minute from everybody, `per_upload` of them at a time."""
    rng = np.random.default_rng(SEED)
    count = len(people.lon)
    for who in np.flatnonzero(people.on_leave):
        yield (
            f'{{"type":"permit","supervisee_id":"SZ-{who:06}","permit_id":"L-{who}","kind":"leave",'
            '"from":"2024-02-12T00:00:00+08:00","until":"2024-12-31T24:00:00+08:00",'
            '"destinations":["000000"],"received":"2024-02-12T00:00:00+08:00"}\n'
        )
    heads = [
        f'{{"type":"upload","supervisee_id":"SZ-{who:06}","device_id":"band-{who}",'
        f'"device":"wristband","datum":"{"gcj02" if gcj02 else "wgs84"}"'
        for who, gcj02 in enumerate(people.gcj02.tolist())
    ]
    second = np.sort(rng.integers(0, 55, count))
    last = np.int64(per_upload - 1)
    for round_ in range(fixes // (count * per_upload)):
        shape = (count, per_upload)
        time_s = BEGIN_S + 60 * (round_ * per_upload + np.arange(per_upload)) + second[:, None]
        # The usual error of satellite positions; much the same from one minute to the next.
        wander = rng.normal(0, 8e-5, (2, count, 1)) + rng.normal(0, 3e-5, (2, *shape))
        lon, lat = people.lon[:, None] + wander[0], people.lat[:, None] + wander[1]
        shifted = from_wgs84(lon[people.gcj02], lat[people.gcj02], "gcj02")
        lon[people.gcj02], lat[people.gcj02] = shifted
        times = local(time_s)
        received = local(time_s[:, last] + 3)
        lons, lats = lon.round(6).tolist(), lat.round(6).tolist()
        accuracy_m = rng.integers(4, 30, shape).tolist()
        speed_mps = rng.integers(0, 20, shape).tolist()
        for who in range(count):
            text = ",".join(
                f'{{"time":"{t}","lon":{x},"lat":{y},"accuracy_m":{a},"source":"gnss",'
                f'"speed_mps":{v / 10}}}'
                for t, x, y, a, v in zip(
                    times[who], lons[who], lats[who], accuracy_m[who], speed_mps[who], strict=True
                )
            )
            yield (
                f'{heads[who]},"received":"{received[who]}","battery_pct":{71 - round_ % 50},'
                f'"strap":"closed","fixes":[{text}]}}\n'
            )


def local(time_s: NDArray[np.int64]) -> Any:
    """Times as a device in China writes them."""
    text = np.datetime_as_string((time_s + 8 * 3600).astype("M8[s]"), unit="s")
    return np.char.add(text, "+08:00").tolist()


# -- one run, in a process of its own ----------------------------------------------------------


def run(path: str, what: str) -> dict[str, Any]:
    """Do one measurement over a recording; give what it says."""
    return {"replay": run_replay, "profile": run_profile}.get(what, run_other)(path, what)


def run_replay(path: str, what: str) -> dict[str, Any]:
    """Replay once, as `geomon replay` does."""
    zones = zones_for(CITY)
    play = replay.Replay(intake.Intake(zones), Rules())
    ready_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    with replay.open_recording(path) as stream:
        alerts = sum(1 for _ in play.feed(replay.read_recording(stream, path)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes = [len(freeze(person)) for person in play.people.values()]
    fixes = play.counts["fixes"]
    return {
        "fixes": fixes,
        "lines": play.counts["events"],
        "fixes_per_s": round(fixes / wall),
        "fixes_per_cpu_s": round(fixes / cpu),
        "lines_per_s": round(play.counts["events"] / wall),
        "peak_mb": round(peak_kb / 1024, 1),
        "of_it_zones_and_code_mb": round(ready_kb / 1024, 1),
        "state_bytes": round(sum(sizes) / len(sizes)),
        "state_bytes_most": max(sizes),
        "alerts": alerts,
        "refused": play.rejections.total(),
    }


def run_profile(path: str, what: str) -> dict[str, Any]:
    """Replay once with a stopwatch at every stage that works on whole batches."""
    spent: Counter[str] = Counter()

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def measured(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = call(*args, **kwargs)
            spent[stage] += time.perf_counter() - begin  # type: ignore[assignment]
            return result

        return measured

    zones = zones_for(CITY)
    zones.classify = timed("zones", zones.classify)  # type: ignore[method-assign]
    zones.places = timed("zones", zones.places)  # type: ignore[method-assign]
    for stage, name in (
        ("decode", "_decode"),
        ("columns", "_columns"),
        ("checks", "_trouble"),
        ("datum", "_in_wgs84"),
        ("weigh", "weigh"),
    ):
        setattr(intake, name, timed(stage, getattr(intake, name)))
    replay.cloud_event = timed("alerts", replay.cloud_event)  # type: ignore[attr-defined]
    take = timed("take", intake.Intake(zones).take)
    play = replay.Replay(intake.Intake(zones), Rules())
    play._intake.take = take  # type: ignore[method-assign]
    begin = time.perf_counter()
    with replay.open_recording(path) as stream:
        batches = replay.batches(replay.read_recording(stream, path))
        while True:
            reading = time.perf_counter()
            batch = next(batches, None)
            spent["read"] += time.perf_counter() - reading  # type: ignore[assignment]
            if batch is None:
                break
            feeding = time.perf_counter()
            sum(1 for _ in play.feed_batch(batch))
            spent["feed"] += time.perf_counter() - feeding  # type: ignore[assignment]
    total = time.perf_counter() - begin
    stages = ("decode", "columns", "checks", "datum", "zones", "weigh")
    spent["step"] = spent["feed"] - spent["take"] - spent["alerts"]
    spent["gather"] = spent["take"] - sum(spent[stage] for stage in stages)
    order = ("read", *stages, "gather", "step", "alerts")
    fixes = play.counts["fixes"]
    return {
        "total_us_per_fix": round(total / fixes * 1e6, 3),
        "percent": {stage: round(100 * spent[stage] / total, 1) for stage in order},
    }


def run_other(path: str, what: str) -> dict[str, Any]:
    """Do what is compared with, over the same lines."""
    geometry = zones_for(CITY).city_geometry
    shapely.prepare(geometry)
    outside = fixes = 0
    wall, cpu = time.perf_counter(), time.process_time()
    with Path(path).open("rb") as stream:
        if what == "msgspec":
            decode = msgspec.json.Decoder().decode
            for line in stream:
                fixes += len(decode(line).get("fixes", ()))
        else:
            for line in stream:
                for fix in json.loads(line).get("fixes", ()):
                    fixes += 1
                    outside += not shapely.contains_xy(geometry, fix["lon"], fix["lat"])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "fixes": fixes,
        "fixes_per_s": round(fixes / wall),
        "fixes_per_cpu_s": round(fixes / cpu),
    }


# -- all runs, and the table -------------------------------------------------------------------


def measure(path: Path, what: str) -> dict[str, Any]:
    """Do one run in a fresh process."""
    command = [sys.executable, __file__, "--run", what, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ})
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def rows(fixes: int, people: int, per_uploads: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Write the recordings one by one and measure each."""
    zones = zones_for(CITY)
    with tempfile.TemporaryDirectory(prefix="geomon-bench-") as folder:
        path = Path(folder) / "recording.ndjson"

        def record(whom: People, how_many: int, per_upload: int) -> None:
            with path.open("w") as file:
                file.writelines(recording(whom, how_many, per_upload))

        for variant in VARIANTS:
            whom = settle(zones, people, variant)
            for per_upload in per_uploads:
                record(whom, fixes, per_upload)
                for what in ("replay", "msgspec", "json+shapely", "profile"):
                    yield {
                        "what": what,
                        "variant": variant,
                        "per_upload": per_upload,
                        **measure(path, what),
                    }
        # Twice as long a recording, the same people: memory must not grow with the lines.
        record(whom, 2 * fixes, per_uploads[0])
        yield {
            "what": "replay",
            "variant": f"{VARIANTS[-1]}, twice as long",
            "per_upload": per_uploads[0],
            **measure(path, "replay"),
        }


def tell(row: dict[str, Any]) -> str:
    """Give one measurement as text."""
    head = f"{row['what']:<13} {row['variant']:<20} {row['per_upload']:>4} a upload "
    if row["what"] == "profile":
        shares = "  ".join(f"{k} {v}" for k, v in row["percent"].items())
        return f"{head} µs/fix {row['total_us_per_fix']}; %: {shares}"
    text = f"{head} {row['fixes_per_s']:>11,} fixes/s  {row['fixes_per_cpu_s']:>11,} a CPU second"
    if row["what"] == "replay":
        text += (
            f"  {row['lines']:,} lines, peak {row['peak_mb']} MB"
            f" ({row['of_it_zones_and_code_mb']} before the first line),"
            f" state {row['state_bytes']:,} B a person (most {row['state_bytes_most']:,}),"
            f" {row['alerts']} alerts, {row['refused']} refused"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fixes", type=int, default=1_000_000, help="of one recording, about")
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--per-upload", default="1,10,50", help="fixes in one upload")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "FILE"), help="one run, used by itself")
    arguments = parser.parse_args()
    if arguments.run:
        what, path = arguments.run
        print(json.dumps(run(path, what)))
        return
    head = machine()
    print(
        json.dumps(head) if arguments.json else "\n".join(f"{k:>10}  {v}" for k, v in head.items())
    )
    per_uploads = [int(n) for n in arguments.per_upload.split(",")]
    for row in rows(arguments.fixes, arguments.people, per_uploads):
        print(json.dumps(row) if arguments.json else tell(row), flush=True)


if __name__ == "__main__":
    main()
