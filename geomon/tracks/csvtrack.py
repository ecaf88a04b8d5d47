"""Tracks in CSV, columns named by the user; read row by row in constant memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from geomon.errors import TrackError
from geomon.tracks.layout import Layout
from geomon.tracks.trackfile import decoded
from geomon.tracks.trackfix import BadRow, TrackFix, Unusable

__all__ = ["likely_delimiter", "read_csv"]

_DELIMITERS = ",;\t|"
_SHOWN_CHARACTERS = 200


def likely_delimiter(line: str) -> str:
    """The most frequent of comma, semicolon, tab and bar; a comma where there is none."""
    return max(_DELIMITERS, key=line.count)


def read_csv(stream: BinaryIO, layout: Layout) -> Iterator[TrackFix | BadRow]:
    """Fixes of a CSV file in the order of its rows; blank lines are passed over.

    Raises `TrackError` where the file is empty or has no column of a name that `layout` gives.
    """
    with decoded(stream, layout.encoding, newline="") as text:
        first = text.readline()
        if not first.strip():
            raise TrackError("it is empty" if not first else "its first line is empty")
        if "\0" in first:
            raise TrackError(f"it is not text in {layout.encoding} (--encoding)")
        delimiter = layout.delimiter or likely_delimiter(first)
        rows = csv.reader(chain([first], text), delimiter=delimiter)
        places = _places(layout, next(rows) if layout.header else None)
        row: list[str] = []

        def value(name: str) -> str:
            return row[places[name]]

        while True:
            line_before = rows.line_num
            reason = None
            try:
                row = next(rows)
                if row:
                    yield layout.fix(value)
            except StopIteration:
                return
            except Unusable as error:
                reason = str(error)
            except IndexError:
                reason = "too few columns"
            except csv.Error as error:
                reason = f"not CSV: {error}"
            if reason is not None:
                yield BadRow(_lines(line_before + 1, rows.line_num), reason)


def _lines(first: int, last: int) -> str:
    # A stray quote makes one row of many lines: say how far it reached, or rows vanish unseen.
    return f"line {first}" if last <= first else f"lines {first}-{last}"


def _places(layout: Layout, header: list[str] | None) -> dict[str, int]:
    """Column name -> index in a row."""
    wanted = {
        "--time-column": layout.time,
        "--lon-column": layout.lon,
        "--lat-column": layout.lat,
        "--id-column": layout.track_id,
        "--accuracy-column": layout.accuracy,
        "--source-column": layout.source,
        "--speed-column": layout.speed,
        "--heading-column": layout.heading,
        "--altitude-column": layout.altitude,
    }
    names = None if header is None else [name.strip() for name in header]
    places = {}
    for flag, name in wanted.items():
        if name is None:
            continue
        if names is None:
            if not name.isdecimal() or int(name) == 0:
                raise TrackError(f"without a header columns are numbers from 1: give {flag} NUMBER")
            places[name] = int(name) - 1
        elif name in names:
            places[name] = names.index(name)
        else:
            has = ", ".join(names)[:_SHOWN_CHARACTERS]
            raise TrackError(f"no column {name!r}; it has {has} (name it with {flag})")
    return places
