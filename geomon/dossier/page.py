"""A dossier as one HTML page: opens offline, prints on A4."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from geomon.dossier.bands import CHECK_IN_COLOURS, MOST_DAYS, WHERE_COLOURS, days, overview
from geomon.dossier.entries import Dossier
from geomon.dossier.tables import Table, notes, tables
from geomon.dossier.wording import Wording
from geomon.errors import UserError
from geomon.picture.sheet import figure, sheet, table

__all__ = ["dossier_page", "write_page"]

#: Rows of a table: a wristband's year has more than anybody reads on paper.
MOST_LISTED = 120
#: A cell up to this long is not broken: times, ids, numbers.
SHORT = 16
_OPEN_ALREADY = ("/dev/stdout", "/dev/stderr", "/dev/fd", "/proc")


def write_page(dossier: Dossier, names: Mapping[str, str], utc_offset_s: int, path: Path) -> None:
    """Write a dossier's page, readable by its owner alone; `names` are those of places by adcode.

    What was there before is replaced as a whole; a link stays, and leads to the new page. A device
    or a pipe is written to as it is. Raises `UserError` when `path` cannot be written.
    """
    page = dossier_page(dossier, names, utc_offset_s).encode()
    try:
        if _is_open_already(path) or (path.exists() and not path.is_file()):
            path.write_bytes(page)
        else:
            _replace(Path(os.path.realpath(path)), page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _is_open_already(path: Path) -> bool:
    """Whether a name leads to what somebody has opened for us: not ours to move."""
    return any(path.absolute().is_relative_to(place) for place in _OPEN_ALREADY)


def _replace(path: Path, page: bytes) -> None:
    # A new file, private from its first byte on: one that is there may be open to everybody, or
    # be open in somebody's hands.
    number, name = tempfile.mkstemp(prefix=".dossier-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(page)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def dossier_page(dossier: Dossier, names: Mapping[str, str], utc_offset_s: int) -> str:
    """Give the page as text: the same dossier is the same page."""
    words = Wording(names, utc_offset_s)
    parts = {
        "times": escape(f"times 时间 {words.offset}"),
        "body": "".join(_body(dossier, words, utc_offset_s)),
        "notes": "".join(f"<li>{escape(note)}</li>" for note in notes(dossier)),
    }
    title = f"{dossier.supervisee_id} 一人一档 dossier"
    return sheet("geomon.dossier", title, parts, language="zh")


def _body(dossier: Dossier, words: Wording, utc_offset_s: int) -> Iterator[str]:
    for found in tables(dossier, words, most=MOST_LISTED):
        yield _table(found)
        # What is urgent first, then the whole at a glance, then all of it.
        if found.section == "person":
            yield figure("时间线 Timeline", overview(dossier, words, utc_offset_s), _keys(words))
        elif found.section == "presence":
            svg = days(dossier, words, utc_offset_s)
            title = f"逐日位置 Day by day (the newest {MOST_DAYS} days, midnight to midnight)"
            yield figure(title, svg, _where_keys(words)) if svg else ""


def _keys(words: Wording) -> Iterator[tuple[str, str]]:
    yield from _where_keys(words)
    for state, colour in CHECK_IN_COLOURS.items():
        if state != "open":
            yield colour, words.label("state", state)


def _where_keys(words: Wording) -> Iterator[tuple[str, str]]:
    for where, colour in WHERE_COLOURS.items():
        yield colour, words.label("where", where)


def _table(found: Table) -> str:
    title = f"<h2>{escape(found.title)}</h2>"
    if not found.rows:
        return title
    columns = found.columns
    rows = ([row[column] for column in columns] for row in found.rows)
    heading = () if found.section == "person" else columns
    more = ""
    if found.left_out:
        more = f'<p class="more">… 另有 and {found.left_out:,} earlier (--json lists them all)</p>'
    return title + table(heading, rows, short=SHORT) + more
