"""The parts of the bench, and how they are run: cells to processes, scores back.

Each part lets its detectors judge its cells. A cell's case is made where it is judged, from the
seed and the cell, so the number of processes changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pool

from .baselines import baselines
from .cases import Detector
from .design import (
    CLAIMS,
    Cell,
    case_of,
    deeps,
    departures,
    limits,
    residents,
    shorts,
    some,
    stays,
    wilds,
)
from .ours import POINTS, Geomon, operating_points
from .scores import Score, score_spells

__all__ = ["PARTS", "Row", "run", "sum_of"]


@dataclass
class Row:
    """What one detector made of one cell."""

    cell: Cell
    claims: str
    name: str
    setting: str
    score: Score


@dataclass(frozen=True)
class Part:
    """Cells and who is to judge them."""

    cells: Callable[[float], list[Cell]]  # of a share of the full size
    detectors: str  # every | standard | ours
    claims: tuple[str, ...] = (CLAIMS[0],)


def _stay(share: float) -> list[Cell]:
    return stays() if share == 1 else some(stays(), share)


def _departure(share: float) -> list[Cell]:
    return departures() if share == 1 else some(departures(), share)


def _number(full: int, share: float) -> int:
    return max(round(full * share), 1)


def _resident(share: float) -> list[Cell]:
    return residents(_number(2, share), 365.0 * min(2 * share, 1.0))


def _deep(share: float) -> list[Cell]:
    people = max(_number(100, share), 10)
    return deeps(people, 36_500.0 * share / people)


def _sensitive(share: float) -> list[Cell]:
    """Give people near the line, and people who leave, with two kinds of error."""
    kinds = {"correlated", "ordinary"}
    at_home = [
        cell
        for cell in stays()
        if cell.kind in kinds and cell.home_m <= 500 and cell.interval_s == 600
    ]
    away = [cell for cell in departures() if cell.kind in kinds and cell.interval_s in {60, 600}]
    chosen = [*some(at_home, max(share, 1 / 12)), *some(away, share / 2)]
    return [replace(cell, part="sensitivity") for cell in chosen]


PARTS: dict[str, Part] = {
    "stay": Part(_stay, "every"),
    "departure": Part(_departure, "every"),
    "resident": Part(_resident, "standard"),
    "deep": Part(_deep, "standard"),
    "short": Part(lambda share: shorts(_number(25, share)), "every"),
    "wild": Part(lambda share: wilds(_number(25, share)), "every"),
    "limits": Part(lambda share: limits(_number(20, share)), "standard"),
    "sensitivity": Part(_sensitive, "standard", CLAIMS),
}


def detectors(which: str) -> list[Detector]:
    """Give baselines and geomon: at `every` point, or at its `standard` one alone."""
    every = which == "every"
    return [*baselines(), *(operating_points(POINTS) if every else [Geomon()])]


def run(
    names: Iterable[str],
    *,
    share: float,
    seed: int,
    jobs: int,
    on_done: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Row]:
    """Run parts of the bench at a share of their size; the rows come in the order of the cells.

    `on_done` is told the part, how many of its cells are judged, and how many it has.
    """
    rows: list[Row] = []
    for name in names:
        part = PARTS[name]
        tasks = [
            (cell, claims, part.detectors, seed)
            for cell in part.cells(share)
            for claims in part.claims
        ]
        for done, found in enumerate(_each(tasks, jobs), 1):
            rows += found
            on_done(name, done, len(tasks))
    return rows


Task = tuple[Cell, str, str, int]


def _each(tasks: Sequence[Task], jobs: int) -> Iterator[list[Row]]:
    if jobs == 1:
        yield from map(_judge, tasks)
        return
    with Pool(jobs) as pool:
        yield from pool.imap(_judge, tasks, chunksize=1)


def _judge(task: Task) -> list[Row]:
    cell, claims, which, seed = task
    case = case_of(cell, seed, claims)
    return [
        Row(
            cell,
            claims,
            detector.name,
            detector.setting,
            score_spells(case, list(detector.spells(case.fixes))),
        )
        for detector in detectors(which)
    ]


def sum_of(rows: Iterable[Row]) -> Score:
    """Add up the scores of rows."""
    total = Score()
    for row in rows:
        total += row.score
    return total
