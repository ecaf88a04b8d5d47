"""The festival city as cases: what arrived from each person, what leave they had, when they left.

The recording (`tests/festival`) is read by geomon's own intake, so that a detector gets what geomon
gets: decoded, in WGS-84, with the distance to the boundary, faked positions refused. What is true
comes from the recording's truth, which is the path without noise:

absence    a breach of the kind leave_city, from the crossing; and an overdue return, cured or not,
           from an hour (GRACE_S) after the leave's end
leave      a permit from its arrival on, with the same grace after its end. A return that is
           reported early does not end it: nobody leaves again within a leave

Everybody else who is outside has leave, so every other alarm is false.

People none of whose fixes come within NEAR_M of the boundary cannot be called outside by anybody:
their cases have no fixes, only the days for which they were watched. Reading takes some minutes for
the whole city, and what was read is kept beside the recording (0.8 GB for the whole city).
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from festival.almanac import BEGIN_S, END_S
from festival.verdict import Fact, episodes_of, facts_of
from numpy.typing import NDArray

from geomon.core.observed import Announced, Observed, PermitSet
from geomon.fixes import Clues
from geomon.intake import Intake, Raw
from geomon.replay import Replay, batches, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import NEAR_M, ZoneIndex, zones_for

from .cases import Absence, Case, Fixes, Leave, Spell

__all__ = [
    "DEEP_M",
    "GRACE_S",
    "Granted",
    "as_a_whole",
    "cases",
    "leaves_of",
    "record",
]

#: After a leave's end: nobody is overdue for being late by less.
GRACE_S = 3600
#: Who lives further inside than this should hardly ever be called outside.
DEEP_M = 500.0

ROOT = Path(__file__).resolve().parents[3]
_DAY_S = 86_400
#: As they are kept: nothing is lost, and a third is saved.
_KEPT = {"arrival_s": "i4", "time_s": "i4", "accuracy_m": "f4", "source": "i1", "device": "i1"}


class Granted(NamedTuple):
    """A version of a permit, as it arrived."""

    arrival_s: int
    permit_id: str
    from_s: int
    until_s: int
    cancelled: bool


def record(folder: Path, sample: int = 0, jobs: int = 2) -> None:
    """Make the recording of the city, or of a sample of it, where it is missing."""
    if (folder / "truth.ndjson").exists():
        return
    make = [sys.executable, "-m", "tests.festival", "--out", str(folder), "--jobs", str(jobs)]
    subprocess.run([*make, "--sample", str(sample)], cwd=ROOT, check=True)


def as_a_whole(folder: Path) -> dict[str, list[Spell]]:
    """Replay the recording through the whole of geomon; give the absences that it told, by person.

    All of its rules, at default settings: permits, horizon, deadlines, what a memory brings.
    """
    replay = Replay(Intake(zones_for()), rules_from(Settings()))
    alerts = [*replay.feed(_lines(folder)), *replay.finish()]
    told = defaultdict(list)
    for episode in episodes_of(alerts):
        if episode.kind in {"leave_city", "overdue_return"}:
            withdrawn = episode.reasons[-1] == "withdrawn"
            spell = Spell(episode.since_s, episode.told_s, episode.until_s, withdrawn)
            told[episode.supervisee_id].append(spell)
    return dict(told)


def cases(folder: Path, *, near_m: float = NEAR_M) -> list[Case]:
    """Give a case for each person of a recording, in the order of `people.ndjson`.

    With fixes only for those who come within `near_m` of the boundary.
    """
    people = _rows(folder / "people.ndjson")
    facts = defaultdict(list)
    for fact in facts_of(_rows(folder / "truth.ndjson")):
        facts[fact.supervisee_id].append(fact)
    zones = zones_for()
    read = _read(folder, [row["id"] for row in people], zones, near_m)
    homes = zones.classify([row["lon"] for row in people], [row["lat"] for row in people])
    return [
        Case(
            fixes,
            _absences(facts[row["id"]]),
            leaves_of(granted),
            days,
            {
                "id": row["id"],
                "level": row["level"],
                "story": row["story"] or "",
                "device": "wristband" if _has_band(row) else "phone",
                "home_m": -float(home_m),
            },
        )
        for row, home_m, (fixes, granted, days) in zip(
            people, homes.distance_m.tolist(), read, strict=True
        )
    ]


def leaves_of(granted: Sequence[Granted]) -> list[Leave]:
    """Give the times that permits cover as known at each time, those that touch as one.

    A version covers from its arrival until the next version of the same permit arrives, or GRACE_S
    after its end. So an extension granted after the end leaves a gap: the person was overdue. What
    ends after the recording does not end.
    """
    spans = []
    for at, version in enumerate(granted):
        later = [g.arrival_s for g in granted[at + 1 :] if g.permit_id == version.permit_id]
        end_s = min([version.until_s + GRACE_S, *later])
        begin_s = max(version.from_s, version.arrival_s)
        if begin_s < end_s and not version.cancelled:
            spans.append((begin_s, end_s))
    merged: list[tuple[int, int]] = []
    for begin_s, end_s in sorted(spans):
        if merged and begin_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((begin_s, end_s))
    return [Leave(a, b if b < END_S else float("inf")) for a, b in merged]


def _absences(facts: Sequence[Fact]) -> list[Absence]:
    found = []
    for fact in facts:
        since_s = fact.since_s
        if fact.kind == "overdue_return":
            since_s += GRACE_S
        elif fact.kind != "leave_city":
            continue
        if since_s < fact.until_s:
            found.append(Absence(since_s, fact.until_s))
    return sorted(found)


def _has_band(row: dict[str, Any]) -> bool:
    return any(name.startswith("band") for name in row["devices"])


_Read = tuple[Fixes, list[Granted], float]


class _Columns(NamedTuple):
    """The fixes of everybody who comes near the boundary, an array a field, person by person."""

    person: NDArray[np.int32]
    fixes: Fixes


def _read(folder: Path, ids: Sequence[str], zones: ZoneIndex, near_m: float) -> list[_Read]:
    """Give everybody's fixes, permits and days of watching."""
    kept = folder / f"read-{zones.version}-{near_m:g}.npz"
    days = sorted(folder.glob("2024-*.ndjson.gz"))
    newest = max(path.stat().st_mtime for path in days)
    if not kept.exists() or kept.stat().st_mtime < newest:
        _keep(kept, _gather(folder, ids, zones, near_m))
    with np.load(kept) as arrays:
        papers = msgspec.json.decode(arrays["papers"].tobytes())
        person = arrays["person"]
        columns = Fixes._make(_wide(arrays[name]) for name in Fixes._fields)
    bounds = np.searchsorted(person, np.arange(len(ids) + 1)).tolist()
    found: list[_Read] = []
    for at, name in enumerate(ids):
        part = slice(bounds[at], bounds[at + 1])
        from_s, until_s = papers["watched"].get(name, (BEGIN_S, END_S))
        watched_s = min(until_s, END_S) - max(from_s, BEGIN_S)
        granted = [Granted(*version) for version in papers["permits"].get(name, ())]
        fixes = Fixes._make(column[part] for column in columns)
        found.append((fixes, granted, watched_s / _DAY_S))
    return found


def _wide(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype("f8" if column.dtype.kind == "f" else "i8", copy=False)


class _Gathered(NamedTuple):
    columns: _Columns
    permits: dict[str, list[Granted]]
    watched: dict[str, tuple[int, int]]


def _gather(folder: Path, ids: Sequence[str], zones: ZoneIndex, near_m: float) -> _Gathered:
    """Read the recording once, in order of arrival."""
    intake = Intake(zones)
    number = {name: at for at, name in enumerate(ids)}
    permits: dict[str, list[Granted]] = defaultdict(list)
    watched: dict[str, tuple[int, int]] = {}
    parts: list[_Columns] = []
    near = np.zeros(len(ids), dtype=bool)
    for batch in batches(_lines(folder)):
        arrivals, _ = intake.take(batch)
        uploads: list[tuple[int, Observed]] = []
        for arrival in arrivals:
            whose, event = arrival.supervisee_id, arrival.event
            if isinstance(event, Observed):
                uploads.append((number[whose], event))
            elif isinstance(event, PermitSet):
                p = event.permit
                granted = Granted(event.at_s, p.permit_id, p.from_s, p.until_s, event.cancelled)
                permits[whose].append(granted)
            elif isinstance(event, Announced):
                watched[whose] = (event.profile.from_s, event.profile.until_s)
        if uploads:
            part = _columns_of(uploads)
            near[part.person[part.fixes.distance_m > -near_m]] = True
            parts.append(part)
    return _Gathered(_sorted_by_person(parts, near), dict(permits), watched)


def _columns_of(uploads: Sequence[tuple[int, Observed]]) -> _Columns:
    """Give the fixes of the uploads of one batch, which lie one after the other in its columns."""
    clues = uploads[0][1].clues
    assert isinstance(clues, Clues)
    placed = clues.batch
    sizes = [event.fixes for _, event in uploads]
    assert sum(sizes) == len(placed.lon)

    def each(values: Sequence[int], kind: str) -> NDArray[Any]:
        return np.repeat(np.array(values, dtype=kind), sizes)

    return _Columns(
        each([person for person, _ in uploads], "i4"),
        Fixes(
            each([event.at_s for _, event in uploads], "i8"),
            placed.columns.time_s,
            placed.lon,
            placed.lat,
            placed.columns.accuracy_m,
            placed.columns.source,
            each([event.device for _, event in uploads], "i8"),
            placed.distance_m,
        ),
    )


def _sorted_by_person(parts: list[_Columns], near: NDArray[np.bool_]) -> _Columns:
    """Put the parts together, only of people who come near; each person's stay in their order."""
    chosen = [near[part.person] for part in parts]
    person = np.concatenate([p.person[c] for p, c in zip(parts, chosen, strict=True)])
    order = np.argsort(person, kind="stable")
    columns = []
    for at in range(len(Fixes._fields)):
        whole = np.concatenate([p.fixes[at][c] for p, c in zip(parts, chosen, strict=True)])
        columns.append(whole[order])
    return _Columns(person[order], Fixes(*columns))


def _keep(path: Path, gathered: _Gathered) -> None:
    papers = msgspec.json.encode({"permits": gathered.permits, "watched": gathered.watched})
    unfinished = path.with_suffix(".part.npz")
    np.savez(
        unfinished,
        papers=np.frombuffer(papers, dtype=np.uint8),
        person=gathered.columns.person,
        **{
            name: column.astype(_KEPT.get(name, column.dtype), copy=False)
            for name, column in gathered.columns.fixes._asdict().items()
        },
    )
    unfinished.replace(path)


def _lines(folder: Path) -> Iterator[Raw]:
    for path in sorted(folder.glob("2024-*.ndjson.gz")):
        with open_recording(str(path)) as stream:
            yield from read_recording(stream, path.name)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
