"""How many fixes a second one core judges, what a person costs in memory, and where the time goes.

    python tests/benchmarks/bench_replay.py [--fixes N] [--people N] [--per-upload 1,10,50] [--json]

A seeded recording (a fix a minute from everybody's wristband, announced and ordered beforehand) is
written to a temporary folder and replayed through `geomon.replay.Replay` against the real zones, by
the rules of the default settings: every kind of alert is looked for. Every run is a fresh process
with one thread, so that its peak memory is its own; the best of some runs counts.

*inside*   everybody plainly inside: what nearly all fixes are
*mixed*    97 % of people plainly inside, 2.5 % living within 300 m of the boundary, 0.5 % outside
           on a leave; a tenth of all with GCJ-02 positions

Rates count reading, decoding and all that follows, but not the loading of zones: per second of the
clock, and per second of this process's own time, which other programs disturb less. Beside them,
over the same lines: bare `msgspec` decoding to dictionaries; and what one would write otherwise,
`json.loads` and one `shapely.contains_xy`, prepared, a fix.

A profile puts a stopwatch at every stage that works on whole batches: *gather* is what lies between
them, *step* the core. The last run is twice as long as the one before: memory is per person, not
per line.
"""

from __future__ import annotations

import argparse
import json
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
from geomon.datum import from_wgs84
from geomon.settings import Settings, rules_from
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
    term = '"from":"2024-02-01T00:00:00+08:00","until":"2024-04-30T24:00:00+08:00"'
    for who in range(count):
        head = f'"supervisee_id":"SZ-{who:06}","received":"2024-02-11T00:00:00+08:00",{term}'
        yield f'{{"type":"supervisee",{head},"district":"440303","level":"loose"}}\n'
        yield f'{{"type":"authorisation",{head},"authorisation_id":"A-{who}","ground":2}}\n'
    for who in np.flatnonzero(people.on_leave).tolist():
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
    for round_ in range(max(1, fixes // (count * per_upload))):
        shape = (count, per_upload)
        minute = round_ * per_upload + np.arange(per_upload, dtype=np.int64)
        time_s = BEGIN_S + 60 * minute + second[:, None]
        # The usual error of satellite positions; much the same from one minute to the next.
        wander = rng.normal(0, 8e-5, (2, count, 1)) + rng.normal(0, 3e-5, (2, *shape))
        lon, lat = people.lon[:, None] + wander[0], people.lat[:, None] + wander[1]
        shifted = from_wgs84(lon[people.gcj02], lat[people.gcj02], "gcj02")
        lon[people.gcj02], lat[people.gcj02] = shifted
        times = local(time_s)
        received = local(time_s[:, -1] + 3)
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


def run_replay(path: str) -> dict[str, Any]:
    """Replay once, as `geomon replay` does."""
    zones = zones_for(CITY)
    play = replay.Replay(intake.Intake(zones), rules_from(Settings()))
    ready_mb = forget_peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    with replay.open_recording(path) as stream:
        alerts = sum(1 for _ in play.feed(replay.read_recording(stream, path)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = [len(freeze(person)) for person in play.people.values()]
    fixes = play.counts["fixes"]
    return {
        "fixes": fixes,
        "lines": play.counts["events"],
        "fixes_per_s": round(fixes / wall),
        "fixes_per_cpu_s": round(fixes / cpu),
        "lines_per_s": round(play.counts["events"] / wall),
        "peak_mb": round(peak_mb, 1),
        "zones_and_code_mb": round(ready_mb, 1),
        "state_bytes": round(sum(sizes) / len(sizes)),
        "state_bytes_most": max(sizes),
        "alerts": alerts,
        "refused": play.rejections.total(),
    }


def forget_peak_mb() -> float:
    """Give the memory in use now, and let peak memory count from here.

    Loading zones takes more for a moment than a replay ever does, and would hide what that takes.
    """
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if clear.exists():
        clear.write_text("5")  # proc(5): reset the peak resident set size
        lines = status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_profile(path: str) -> dict[str, Any]:
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
        ("columns", "columns_of"),
        ("checks", "trouble_in"),
        ("datum", "_in_wgs84"),
        ("weigh", "weigh"),
    ):
        setattr(intake, name, timed(stage, getattr(intake, name)))
    replay.cloud_event = timed("alerts", replay.cloud_event)  # type: ignore[attr-defined]
    take = timed("take", intake.Intake(zones).take)
    play = replay.Replay(intake.Intake(zones), rules_from(Settings()))
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


def run_msgspec(path: str) -> dict[str, Any]:
    """Decode the same lines, and do nothing with them."""
    decode = msgspec.json.Decoder().decode
    return compared(path, lambda line: len(decode(line).get("fixes", ())))


def run_plain(path: str) -> dict[str, Any]:
    """Do what one would write otherwise."""
    geometry = zones_for(CITY).city_geometry
    shapely.prepare(geometry)
    outside = 0

    def judge(line: bytes) -> int:
        nonlocal outside
        fixes = json.loads(line).get("fixes", ())
        for fix in fixes:
            outside += not shapely.contains_xy(geometry, fix["lon"], fix["lat"])
        return len(fixes)

    return {**compared(path, judge), "outside": outside}


def compared(path: str, take: Callable[[bytes], int]) -> dict[str, Any]:
    """Measure a way of taking lines, which gives the number of fixes in each."""
    wall, cpu = time.perf_counter(), time.process_time()
    with Path(path).open("rb") as stream:
        fixes = sum(map(take, stream))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "fixes": fixes,
        "fixes_per_s": round(fixes / wall),
        "fixes_per_cpu_s": round(fixes / cpu),
    }


RUNS: dict[str, Callable[[str], dict[str, Any]]] = {
    "replay": run_replay,
    "msgspec": run_msgspec,
    "json+shapely": run_plain,
    "profile": run_profile,
}


# -- all runs, and the table -------------------------------------------------------------------


def measure(path: Path, what: str, repeats: int) -> dict[str, Any]:
    """Do some runs, each in a fresh process; give the quickest, and the highest peak of all."""
    command = [sys.executable, __file__, "--run", what, str(path)]
    results: list[dict[str, Any]] = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(repeats)
    ]
    best = max(results, key=lambda r: r.get("fixes_per_s", -r.get("total_us_per_fix", 0)))
    if "peak_mb" in best:
        best["peak_mb"] = max(result["peak_mb"] for result in results)
    return best


def rows(
    fixes: int, people: int, per_uploads: Sequence[int], repeats: int
) -> Iterator[dict[str, Any]]:
    """Write the recordings one by one and measure each."""
    zones = zones_for(CITY)
    with tempfile.TemporaryDirectory(prefix="geomon-bench-") as folder:
        path = Path(folder) / "recording.ndjson"

        def record(whom: People, how_many: int, per_upload: int) -> None:
            with path.open("w") as file:
                file.writelines(recording(whom, how_many, per_upload))

        def row(what: str, variant: str, per_upload: int) -> dict[str, Any]:
            head = {"what": what, "recording": variant, "per_upload": per_upload}
            return {**head, **measure(path, what, repeats)}

        for variant in VARIANTS:
            whom = settle(zones, people, variant)
            for per_upload in per_uploads:
                record(whom, fixes, per_upload)
                for what in RUNS:
                    yield row(what, variant, per_upload)
        for times in (1, 2):
            record(whom, times * fixes, per_uploads[0])
            yield row("replay", f"{variant}, {times} x as long", per_uploads[0])


def tell(row: dict[str, Any]) -> str:
    """Give one measurement as text."""
    head = f"{row['what']:<13} {row['recording']:<20} {row['per_upload']:>4}"
    if row["what"] == "profile":
        shares = "  ".join(f"{stage} {share}" for stage, share in row["percent"].items())
        return f"{head}  {row['total_us_per_fix']} µs a fix, of it %: {shares}"
    text = f"{head} {row['fixes_per_s']:>11,} {row['fixes_per_cpu_s']:>11,}"
    if row["what"] == "replay":
        text += (
            f"  {row['lines']:,} lines, {row['alerts']} alerts, {row['refused']} refused; peak"
            f" {row['peak_mb']} MB ({row['zones_and_code_mb']} before the first line);"
            f" state {row['state_bytes']:,} B a person (most {row['state_bytes_most']:,})"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fixes", type=int, default=1_000_000, help="of one recording, about")
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--per-upload", default="1,10,50", help="fixes in one upload")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--run", nargs=2, metavar=("WHAT", "FILE"), help="one run, used by itself")
    arguments = parser.parse_args()
    if arguments.run:
        what, path = arguments.run
        print(json.dumps(RUNS[what](path)))
        return
    head = machine()
    if arguments.json:
        print(json.dumps(head), flush=True)
    else:
        print("\n".join(f"{key:>10}  {value}" for key, value in head.items()))
        print(f"\n{'what':<13} {'recording':<20} {'a up':>4} {'fixes/s':>11} {'fixes/CPU s':>11}")
    per_uploads = [int(n) for n in arguments.per_upload.split(",")]
    for row in rows(arguments.fixes, arguments.people, per_uploads, arguments.repeats):
        print(json.dumps(row) if arguments.json else tell(row), flush=True)


if __name__ == "__main__":
    main()
