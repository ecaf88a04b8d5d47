"""Leave-city detection: false alarms against delay, for geomon and for what is built elsewhere.

    geomon bench detection [--quick] [--only PART]... [--json FILE] [--plot FILE.png]

Prints tables in Markdown with machine and commit. What the parts are: `detection/design.py`; the
errors and where they are known from: `detection/noise.py`; the rules compared with:
`detection/baselines.py`; what counts as a true alarm: `detection/scores.py`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "benchmarks")]

from detection.curve import draw  # noqa: E402
from detection.field import Judged, as_told, judge, tables, together, tracks  # noqa: E402
from detection.field import festival as of_festival  # noqa: E402
from detection.ours import Geomon  # noqa: E402
from detection.realtracks import PHONE, TAXIS, data_folder  # noqa: E402
from detection.runs import PARTS, Row, run  # noqa: E402
from detection.summary import by_detector, limits_of  # noqa: E402
from detection.tables import as_row, overall, pages  # noqa: E402

from geomon.cli import cli  # noqa: E402

#: Of the full size, with --quick.
QUICK = 0.02
#: People of the festival city, when not everything is run.
SAMPLE = 200


def bench(
    *,
    quick: bool,
    size: float,
    only: Sequence[str],
    festival: Path | None,
    seed: int,
    jobs: int,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Compare ways to tell that somebody left the city."""
    where = machine()
    share = QUICK if quick else size
    of = "" if share == 1 else f"; {share:g} of the full size"
    print("; ".join(where.values()) + f"; seed {seed}{of}")
    print()
    begun = time.perf_counter()
    parts = [name for name in only or PARTS if name in PARTS]
    rows: list[Row] = []
    for name in parts:
        # Told as soon as they are there: the whole takes some minutes.
        found_here = run([name], share=share, seed=seed, jobs=jobs, on_done=_tell)
        print(*pages(found_here, Geomon().setting), sep="\n", flush=True)
        rows += found_here
    print(*overall(rows, Geomon().setting), sep="\n", flush=True)
    found: list[Judged] = []
    for judged in (
        _tracks(share, jobs) if not only or "tracks" in only else (),
        _festival(festival, share, jobs) if festival else (),
    ):
        for _, group in groupby(judged, key=attrgetter("label")):
            of_table = list(group)
            print(*tables(of_table), sep="\n", flush=True)
            found += of_table
    print(f"{time.perf_counter() - begun:,.0f} s")
    if json_file:
        json_file.write_text(
            json.dumps({**where, "seed": seed, "rows": _plain(rows, found)}) + "\n"
        )
    curve = [row for row in rows if row.cell.part in {"stay", "departure"}]
    if plot and curve:
        limits = limits_of([row for row in rows if row.cell.part == "limits"])
        draw(by_detector(curve), limits, plot, f"Leave-city detection, {where['commit']}")


def _tracks(share: float, jobs: int) -> Iterable[Judged]:
    folder = data_folder()
    if not (folder / TAXIS).exists() or not (folder / PHONE).exists():
        print(f"tracks: not in {folder} (GEOMON_TEST_DATA)", file=sys.stderr)
        return ()
    return judge(tracks(folder, share), jobs)


def _festival(folder: Path, share: float, jobs: int) -> Iterable[Judged]:
    groups = list(of_festival(folder, sample=0 if share == 1 else SAMPLE, jobs=jobs))
    return together([*judge(groups, jobs), *as_told(folder, groups)])


def machine() -> dict[str, str]:
    """Give what the figures depend on."""
    git = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores",
        "commit": f"commit {git.stdout.strip() or 'unknown'}",
        "python": f"Python {platform.python_version()}",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _plain(rows: Sequence[Row], found: Sequence[Judged]) -> list[dict[str, Any]]:
    of_cells = [
        {
            **asdict(row.cell),
            "claims": row.claims,
            "detector": row.name,
            "setting": row.setting,
            **as_row(row.score),
        }
        for row in rows
    ]
    of_field = [
        {
            "part": j.part,
            "kind": j.label,
            "people": j.people,
            "detector": j.name,
            "setting": j.setting,
            **as_row(j.score),
        }
        for j in found
    ]
    return of_cells + of_field


def _tell(part: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{part}: {done:,} of {of:,}", end="\n" if done == of else "", file=sys.stderr)


if __name__ == "__main__":
    cli(["bench", "detection", *sys.argv[1:]])
