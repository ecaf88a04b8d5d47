"""How many positions a second the zone index places, beside bare Shapely in the same run.

    python tests/benchmarks/bench_zones.py [--city ADCODE|FILE] [--points N] [--json]

Kinds of position: *inside*, 3 km or more from the boundary (answered by the table alone); *near*,
within 300 m of it on either side (measured exactly); *outside*, 3 km or more beyond; *mixed*,
uniform over the city's bounding box; *away*, anywhere in China. A rate is the best of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geomon.zones.index import CITY, NEAR_M, ZoneIndex, zones_for

Floats = NDArray[np.float64]
Call = Callable[[Floats, Floats], object]

BATCHES = (1, 10, 100, 10_000, 1_000_000)


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((v.strip() for k, _, v in lines if k.startswith("model name")), model)
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return {
        "machine": f"{model}, {os.cpu_count()} cores",
        "commit": git.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "shapely": f"{shapely.__version__} (GEOS {shapely.geos_version_string})",
    }


def seconds_a_call(call: Call, lon: Floats, lat: Floats) -> float:
    """Best of five rounds; a round lasts at least 50 ms and holds at least one call."""
    call(lon[:1], lat[:1])
    best, calls = np.inf, 1
    rounds = 0
    while rounds < 5:
        begin = time.perf_counter()
        for _ in range(calls):
            call(lon, lat)
        spent = time.perf_counter() - begin
        best = min(best, spent / calls)
        if spent < 0.05:
            calls *= 4
        else:
            rounds += 1
    return float(best)


def positions(index: ZoneIndex, geometry: shapely.Geometry, points: int) -> dict[str, Floats]:
    """Positions of each kind: arrays of two rows, longitude and latitude."""
    rng = np.random.default_rng(20240213)
    west, south, east, north = geometry.bounds
    lon, lat = rng.uniform(west, east, points), rng.uniform(south, north, points)
    distance_m = index.classify(lon, lat).distance_m

    def some(chosen: NDArray[np.bool_]) -> Floats:
        pick = rng.choice(np.flatnonzero(chosen), points)
        return np.stack([lon[pick], lat[pick]])

    return {
        "inside": some(distance_m <= -NEAR_M),
        "near": some(np.abs(distance_m) < 300),
        "outside": some(distance_m >= NEAR_M),
        "mixed": np.stack([lon, lat]),
        "away": np.stack([rng.uniform(85, 125, points), rng.uniform(20, 48, points)]),
    }


def rates(index: ZoneIndex, geometry: shapely.Geometry, points: int) -> Iterator[dict[str, object]]:
    """One row a measurement."""
    shapely.prepare(geometry)
    line = geometry.boundary
    shapely.prepare(line)
    kinds = positions(index, geometry, points)

    def contains(lon: Floats, lat: Floats) -> object:
        return shapely.contains_xy(geometry, lon, lat)

    def distance(lon: Floats, lat: Floats) -> object:
        return shapely.distance(line, shapely.points(lon, lat))

    def row(what: str, call: Call, kind: str, most: int) -> dict[str, object]:
        lon, lat = (np.ascontiguousarray(values[:most]) for values in kinds[kind])
        spent_s = seconds_a_call(call, lon, lat)
        return {
            "what": what,
            "positions": kind,
            "batch": len(lon),
            "us_per_call": round(spent_s * 1e6, 1),
            "us_per_point": round(spent_s / len(lon) * 1e6, 4),
            "points_per_s": round(len(lon) / spent_s),
        }

    for kind in kinds:
        for batch in BATCHES:
            if batch <= points:
                yield row("classify", index.classify, kind, batch)
    for kind in ("inside", "near", "outside"):
        yield row("places", index.places, kind, 10_000)
    for kind in ("inside", "near", "mixed"):
        yield row("shapely.contains_xy, prepared", contains, kind, 100_000)
        yield row("shapely.distance, degrees", distance, kind, 2_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--city", default=CITY, help="six-digit code or zone file")
    parser.add_argument("--points", type=int, default=1_000_000, help="size of the largest batch")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    index = zones_for(arguments.city)
    ready_s = time.perf_counter() - begin
    geometry = index.city_geometry
    head = {
        **machine(),
        "zones": index.version,
        "vertices": int(shapely.get_num_coordinates(geometry)),
        "ready_s": round(ready_s, 2),
    }
    if arguments.json:
        print(json.dumps(head))
    else:
        print("\n".join(f"{key:>10}  {value}" for key, value in head.items()))
        print(
            f"\n{'what':<30} {'positions':<9} {'batch':>9} "
            f"{'µs/call':>12} {'µs/point':>9}  points/s"
        )
    for row in rates(index, geometry, arguments.points):
        if arguments.json:
            print(json.dumps(row), flush=True)
        else:
            print(
                f"{row['what']:<30} {row['positions']:<9} {row['batch']:>9,} "
                f"{row['us_per_call']:>12,} {row['us_per_point']:>9}  {row['points_per_s']:,}",
                flush=True,
            )


if __name__ == "__main__":
    main()
