"""What `bench_stream.py` measured, as rows and as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "line", "table"]

#: Peers that only count in a plain Faust agent; the better one is what a worker is set against.
PLAIN = ("faust-for", "faust-take")


@dataclass
class Row:
    """One measurement; None = it was not measured, or could not be."""

    what: str
    people: int
    per_upload: int
    processes: int = 1
    uploads_per_s: float | None = None
    fixes_per_s: float | None = None
    cpu_us_per_fix: float | None = None
    cores: float | None = None
    broker_cores: float | None = None
    busy_cores: float | None = None  # of the whole machine, others' work with it
    peak_mb: float | None = None
    bytes_per_person: float | None = None
    p50_s: float | None = None
    p99_s: float | None = None
    worst_s: float | None = None
    alerts: int | None = None
    lag_most: int | None = None
    stop_s: float | None = None
    recovery_s: float | None = None
    changelog: int | None = None
    note: str = ""


Column = tuple[str, Callable[[Row], Any]]

_CORES: Column = (
    "cores (broker; machine)",
    lambda r: None if r.cores is None else f"{r.cores} ({r.broker_cores}; {r.busy_cores})",
)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the rows in Markdown: drains, live runs, recoveries."""
    best: dict[int, Row] = {}
    for row in rows:
        known = best.get(row.per_upload)
        better = row.uploads_per_s or 0.0
        if row.what in PLAIN and better > (known.uploads_per_s or 0.0 if known else 0.0):
            best[row.per_upload] = row
    yield from _part(
        [row for row in rows if row.what not in {"live", "recovery"}],
        ("drain", lambda r: r.what),
        ("people", lambda r: r.people),
        ("fixes an upload", lambda r: r.per_upload),
        ("processes", lambda r: r.processes),
        ("uploads/s", lambda r: r.uploads_per_s),
        ("fixes/s", lambda r: r.fixes_per_s),
        ("x plain Faust (by CPU)", lambda r: _ratio(r, best.get(r.per_upload))),
        ("CPU µs a fix", lambda r: r.cpu_us_per_fix),
        _CORES,
        ("peak MB", lambda r: r.peak_mb),
        ("B a person", lambda r: r.bytes_per_person),
        ("alerts", lambda r: r.alerts),
        ("records", lambda r: r.changelog),
        ("stop s", lambda r: r.stop_s),
        ("note", lambda r: r.note),
    )
    yield from _part(
        [row for row in rows if row.what == "live"],
        ("live: people", lambda r: r.people),
        ("fixes an upload", lambda r: r.per_upload),
        ("uploads/s", lambda r: r.uploads_per_s),
        ("fixes/s", lambda r: r.fixes_per_s),
        ("alerts", lambda r: r.alerts),
        ("p50 s", lambda r: r.p50_s),
        ("p99 s", lambda r: r.p99_s),
        ("worst s", lambda r: r.worst_s),
        ("most lag, messages", lambda r: r.lag_most),
        ("CPU µs a fix", lambda r: r.cpu_us_per_fix),
        _CORES,
        ("peak MB", lambda r: r.peak_mb),
        ("note", lambda r: r.note),
    )
    yield from _part(
        [row for row in rows if row.what == "recovery"],
        ("recovery: people", lambda r: r.people),
        ("records", lambda r: r.changelog),
        ("s", lambda r: r.recovery_s),
        ("peak MB", lambda r: r.peak_mb),
        ("note", lambda r: r.note),
    )


def _ratio(row: Row, plain: Row | None) -> str | None:
    """Give how many times the rate of plain Faust a row has, and how many at the same CPU time."""
    if plain is None or not (row.uploads_per_s and plain.uploads_per_s):
        return None
    cpu = (plain.cpu_us_per_fix or 0) / row.cpu_us_per_fix if row.cpu_us_per_fix else 0
    return f"{row.uploads_per_s / plain.uploads_per_s:.2f} ({cpu:.2f})"


def _part(rows: Sequence[Row], *columns: Column) -> Iterator[str]:
    if not rows:
        return
    yield line(head for head, _ in columns)
    yield line("---" for _ in columns)
    for row in rows:
        yield line(cell(row) for _, cell in columns)
    yield ""


def line(cells: Iterable[Any]) -> str:
    """Give a line of a table."""
    texts = [
        "" if cell is None else f"{cell:,}" if isinstance(cell, int | float) else str(cell)
        for cell in cells
    ]
    return "| " + " | ".join(texts) + " |"
