"""A recording on disk: one file a day, in the order of arrival, written in bounded memory.

People are recorded one after the other (in as many processes as asked for), each into the day files
of its process; then each day is brought into the order of arrival and packed. Of two events that
arrive in the same second the one of the lower id comes first, then the one sent first, so that the
bytes do not depend on the number of processes.
"""

from __future__ import annotations

import gzip
import itertools
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .almanac import BEGIN_S, DAY_S, DAYS, day_start, local_text
from .people import PersonPlan, person
from .recording import recording
from .roles import Role

__all__ = ["day_name", "write"]

_LEVEL = 1  # of gzip: a tenth of the time of the best level for a third more bytes


def day_name(day: int) -> str:
    """The date of a day of the period: 2024-02-02 is day 0."""
    return local_text(day_start(day))[:10]


def write(
    folder: Path, seed: int, roles: Sequence[Role], *, jobs: int = 1, days: range = range(DAYS)
) -> int:
    """Record people into a folder; gives the number of events.

    Writes a `DATE.ndjson.gz` for each of the days, `truth.ndjson` and `people.ndjson`. Roles are in
    the order of their index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".festival-", dir=folder) as name:
        scratch = Path(name)
        cuts = np.linspace(0, len(roles), jobs + 1).astype(int).tolist()
        parts = [
            (seed, list(roles[a:b]), scratch / f"{n}", days)
            for n, (a, b) in enumerate(itertools.pairwise(cuts))
        ]
        if jobs == 1:
            _record(parts[0])
            counts = [_merge((folder, scratch, day, jobs)) for day in days]
        else:
            with multiprocessing.get_context("spawn").Pool(jobs) as pool:
                pool.map(_record, parts, chunksize=1)
                counts = pool.map(
                    _merge, [(folder, scratch, day, jobs) for day in days], chunksize=1
                )
        for what in ("truth", "people"):
            with (folder / f"{what}.ndjson").open("wb") as out:
                for n in range(jobs):
                    with (scratch / f"{n}" / f"{what}.ndjson").open("rb") as part:
                        shutil.copyfileobj(part, out)
    return sum(counts)


def _record(part: tuple[int, list[Role], Path, range]) -> None:
    seed, roles, scratch, days = part
    scratch.mkdir()
    texts: list[BinaryIO] = [(scratch / f"{day}.lines").open("wb") for day in range(DAYS)]
    times: list[BinaryIO] = [(scratch / f"{day}.times").open("wb") for day in range(DAYS)]
    with (
        (scratch / "truth.ndjson").open("wb") as truth,
        (scratch / "people.ndjson").open("wb") as people,
    ):
        for role in roles:
            plan = person(seed, role)
            made = recording(plan)
            arrivals = np.array([at for at, _ in made.lines], dtype=np.int64)
            day_of = np.clip((arrivals - BEGIN_S) // DAY_S, 0, DAYS - 1)
            cuts = np.searchsorted(day_of, np.arange(DAYS + 1)).tolist()
            for day in days:
                a, b = cuts[day], cuts[day + 1]
                if a < b:
                    texts[day].write(b"\n".join([line for _, line in made.lines[a:b]]) + b"\n")
                    times[day].write((arrivals[a:b] - BEGIN_S).astype("<i4").tobytes())
            truth.writelines(_row(fact) for fact in made.truth)
            people.write(_row(_about(plan)))
    for file in texts + times:
        file.close()


def _merge(work: tuple[Path, Path, int, int]) -> int:
    """Bring one day into the order of arrival."""
    folder, scratch, day, jobs = work
    lines: list[bytes] = []
    arrivals = []
    for n in range(jobs):
        path = scratch / f"{n}" / f"{day}.lines"
        lines += path.read_bytes().split(b"\n")[:-1]
        path.unlink()
        arrivals.append(np.fromfile(scratch / f"{n}" / f"{day}.times", dtype="<i4"))
    order = np.argsort(np.concatenate(arrivals), kind="stable").tolist()
    with (
        (folder / f"{day_name(day)}.ndjson.gz").open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as out,
    ):
        for k in range(0, len(order), 4096):
            out.write(b"".join([lines[i] + b"\n" for i in order[k : k + 4096]]))
    return len(lines)


def _about(plan: PersonPlan) -> dict[str, Any]:
    return {
        "id": plan.supervisee_id,
        "level": plan.level,
        "district": plan.district,
        "street": plan.street,
        "lon": round(plan.home[0], 6),
        "lat": round(plan.home[1], 6),
        "home_kind": plan.home_kind,
        "datum": plan.datum,
        "devices": plan.devices,
        "story": plan.role.story or None,
    }


def _row(item: dict[str, Any]) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
