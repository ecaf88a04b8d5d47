"""The parts that are not made of the design's cells: real tracks, and the festival city.

Their people are judged by the same detectors and the same scores; each group of cases is a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isinf, isnan
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from .cases import Case, Spell
from .festival import DEEP_M, as_a_whole, record
from .festival import cases as of_festival
from .ours import Geomon
from .realtracks import moved_fences, phone_at_rest, phone_under_way, taxis
from .runs import detectors
from .scores import Score, score_spells
from .standing import Point, standing
from .tables import STANDARD

__all__ = ["Group", "Judged", "as_told", "festival", "judge", "tables", "together", "tracks"]

_CHUNK = 50


@dataclass(frozen=True)
class Group:
    """Cases that belong together."""

    part: str
    label: str
    cases: Sequence[Case]


@dataclass
class Judged:
    """What one detector made of a group."""

    part: str
    label: str
    name: str
    setting: str
    people: int
    score: Score

    @property
    def detector(self) -> str:
        """Family and member."""
        return f"{self.name} {self.setting}".strip()

    @property
    def point(self) -> Point:
        """What it is compared by."""
        s = self.score
        if not s.absences:
            return Point(self.detector, s.false_a_year)
        return Point(self.detector, s.false_a_year, s.share_missed, s.delay_s(50))


def tracks(folder: Path, share: float = 1.0) -> Iterator[Group]:
    """Give the real tracks of a folder: where they were driven, and at fences moved under them."""
    places = max(round(200 * share), 2)
    yield Group("tracks", "16 taxis, one day, the boundary as it is", taxis(folder))
    for interval_s, cases in moved_fences(folder, fences=max(round(60 * share), 1)):
        every = f"a fix each {interval_s} s" if interval_s else "as often as they reported"
        yield Group("tracks", f"taxis at moved boundaries, {every}", cases)
    for inside_m, cases in phone_at_rest(folder, places=places):
        yield Group("tracks", f"a phone's three nights, {inside_m:g} m inside", cases)
    yield Group("tracks", "a phone's four days", phone_under_way(folder, places=places))


def festival(folder: Path, *, sample: int, jobs: int) -> Iterator[Group]:
    """Give the festival city of a folder, made there if it is missing; `sample` 0: everybody.

    Each person is in one group; `together` sums them up.
    """
    record(folder, sample, jobs)
    parts: dict[str, list[Case]] = {label: [] for label in _PARTS}
    for case in of_festival(folder):
        deep = float(str(case.factors["home_m"])) > DEEP_M
        parts[_label(deep, str(case.factors["device"]))].append(case)
    for label, cases in parts.items():
        yield Group("festival", label, cases)


def together(found: Sequence[Judged]) -> Iterator[Judged]:
    """Give the tables of the festival from what was made of its groups."""
    for label, parts in _TABLES.items():
        chosen = [j for j in found if j.label in parts]
        for name, setting in dict.fromkeys((j.name, j.setting) for j in chosen):
            total, people = Score(), 0
            for j in chosen:
                if (j.name, j.setting) == (name, setting):
                    total += j.score
                    people += j.people
            yield Judged("festival", label, name, setting, people, total)


def _label(deep: bool, device: str) -> str:
    return f"{device}, {'more' if deep else 'no more'} than {DEEP_M:g} m inside"


_PARTS = [_label(deep, device) for deep in (True, False) for device in ("phone", "wristband")]
_TABLES = {
    "the festival city": _PARTS,
    f"its people living more than {DEEP_M:g} m inside": _PARTS[:2],
    "its people with a phone alone": _PARTS[::2],
    "its people with a wristband": _PARTS[1::2],
}


def judge(groups: Iterable[Group], jobs: int) -> Iterator[Judged]:
    """Let every detector judge groups of cases."""
    with Pool(jobs) as pool:
        for group in groups:
            near = [case for case in group.cases if (case.fixes.distance_m > 0).any()]
            rest = Score()
            for case in group.cases:
                if not (case.fixes.distance_m > 0).any():
                    rest += score_spells(case, [])
            chunks = [near[at : at + _CHUNK] for at in range(0, len(near), _CHUNK)]
            parts = pool.map(_score, chunks, chunksize=1)
            for at, detector in enumerate(detectors("every")):
                total = Score()
                total += rest
                for part in parts:
                    total += part[at]
                people = len(group.cases)
                names = (detector.name, detector.setting)
                yield Judged(group.part, group.label, *names, people, total)


def as_told(folder: Path, groups: Iterable[Group]) -> Iterator[Judged]:
    """Judge what the whole of geomon tells of the festival: with permits, deadlines, memories."""
    told = as_a_whole(folder)
    for group in groups:
        total = Score()
        for case in group.cases:
            total += score_spells(case, told.get(str(case.factors["id"]), []))
        yield Judged(group.part, group.label, "geomon", "as a whole", len(group.cases), total)


def _score(cases: Sequence[Case]) -> list[Score]:
    scores = []
    for detector in detectors("every"):
        total = Score()
        for case in cases:
            spells: list[Spell] = list(detector.spells(case.fixes))
            total += score_spells(case, spells)
        scores.append(total)
    return scores


def tables(found: Sequence[Judged]) -> Iterator[str]:
    """Give a table for each group, in Markdown."""
    labels = list(dict.fromkeys((j.part, j.label) for j in found))
    for part, label in labels:
        group = [j for j in found if (j.part, j.label) == (part, label)]
        first = group[0].score
        yield f"### {label[0].upper()}{label[1:]}"
        yield ""
        yield (
            f"{group[0].people:,} cases, {first.days:,.1f} days, {first.absences:,} absences "
            f"({first.unseen:,} unseen)."
        )
        yield ""
        head = "| detector | false alarms | a person-year | found | missed | repeats | true, % "
        yield head + "| delay: median, min | p95, min |"
        yield "| --- " * 9 + "|"
        for j in group:
            yield "| " + " | ".join(map(str, _cells(j))) + " |"
        yield ""
        yield from _stands(group)


def _stands(group: Sequence[Judged]) -> Iterator[str]:
    """Say how geomon stands among the others of a table."""
    ours = [j for j in group if j.name == STANDARD]
    own = next((j for j in ours if j.setting == Geomon().setting), None)
    if own is None:
        return
    others = [j.point for j in group if j not in ours]
    stands = standing([j.point for j in ours], others, own.point)
    equalled, ahead, by = (
        ", ".join(names) or "none" for names in (stands.equalled, stands.ahead, stands.beaten_by)
    )
    yield f"Beaten by some setting of geomon: {len(stands.beaten)} of {len(others)}."
    yield f"Equalled: {equalled}. Neither: {ahead}. geomon at {own.setting} is beaten by: {by}."
    yield ""


def _cells(judged: Judged) -> Iterator[Any]:
    s = judged.score
    yield judged.detector
    yield f"{s.false:,}"
    yield f"{s.false_a_year:,.2f}" if s.false else "0"
    yield f"{s.absences - s.missed - s.unseen:,}"
    yield f"{s.missed:,}"
    yield f"{s.repeats:,}"
    yield "" if isnan(s.share_true) else f"{100 * s.share_true:.1f}"
    for percentile in (50, 95):
        delay_s = s.delay_s(percentile)
        yield "" if isnan(delay_s) else "never" if isinf(delay_s) else f"{delay_s / 60:.1f}"
