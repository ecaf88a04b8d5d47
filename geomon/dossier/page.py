"""A dossier as one HTML page: opens offline, prints on A4.

No script and, by its Content-Security-Policy, no network: a person's dossier must not leave the
machine through its own page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib import resources
from pathlib import Path

from geomon.dossier.bands import CHECK_IN_COLOURS, MOST_DAYS, WHERE_COLOURS, days, overview
from geomon.dossier.entries import Dossier
from geomon.dossier.tables import Table, notes, tables
from geomon.dossier.wording import Wording
from geomon.errors import UserError

__all__ = ["dossier_page", "write_page"]

#: Rows of a table: a wristband's year has more than anybody reads on paper.
MOST_LISTED = 120
#: A cell up to this long is not broken: times, ids, numbers.
SHORT = 16


def write_page(dossier: Dossier, names: Mapping[str, str], utc_offset_s: int, path: Path) -> None:
    """Write a dossier's page; `names` are those of places by adcode.

    Raises `UserError` when `path` cannot be written.
    """
    page = dossier_page(dossier, names, utc_offset_s)
    try:
        # Readable by its owner alone from the first byte on: it is about a person.
        path.touch(mode=0o600)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def dossier_page(dossier: Dossier, names: Mapping[str, str], utc_offset_s: int) -> str:
    """Give the page as text: the same dossier is the same page."""
    words = Wording(names, utc_offset_s)
    parts = {
        "title": escape(f"{dossier.supervisee_id} 一人一档 dossier"),
        "times": escape(f"times 时间 {words.offset}"),
        "body": "".join(_body(dossier, words, utc_offset_s)),
        "notes": "".join(f"<li>{escape(note)}</li>" for note in notes(dossier)),
    }
    page = resources.files("geomon.dossier").joinpath("page.html").read_text(encoding="utf-8")
    pieces = page.split("@@")  # text, slot, text, slot, ... text
    pieces[1::2] = [parts[slot] for slot in pieces[1::2]]
    return "".join(pieces)


def _body(dossier: Dossier, words: Wording, utc_offset_s: int) -> Iterator[str]:
    for table in tables(dossier, words, most=MOST_LISTED):
        yield _table(table)
        # What is urgent first, then the whole at a glance, then all of it.
        if table.section == "person":
            yield _figure("时间线 Timeline", overview(dossier, words, utc_offset_s), _keys(words))
        elif table.section == "presence":
            svg = days(dossier, words, utc_offset_s)
            title = f"逐日位置 Day by day (the newest {MOST_DAYS} days, midnight to midnight)"
            yield _figure(title, svg, _where_keys(words)) if svg else ""


def _keys(words: Wording) -> Iterator[tuple[str, str]]:
    yield from _where_keys(words)
    for state, colour in CHECK_IN_COLOURS.items():
        if state != "open":
            yield colour, words.label("state", state)


def _where_keys(words: Wording) -> Iterator[tuple[str, str]]:
    for where, colour in WHERE_COLOURS.items():
        yield colour, words.label("where", where)


def _figure(title: str, svg: str, keys: Iterable[tuple[str, str]]) -> str:
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(label)}</span>' for colour, label in keys
    )
    return f'<figure><h2>{escape(title)}</h2>{svg}<div class="legend">{legend}</div></figure>'


def _table(table: Table) -> str:
    title = f"<h2>{escape(table.title)}</h2>"
    if not table.rows:
        return title
    columns = table.columns
    head = ""
    if table.section != "person":
        cells = "".join(f"<th>{escape(column)}</th>" for column in columns)
        head = f"<thead><tr>{cells}</tr></thead>"
    rows = "".join(
        f"<tr>{''.join(_cell(row[column]) for column in columns)}</tr>" for row in table.rows
    )
    more = ""
    if table.left_out:
        more = f'<p class="more">… 另有 and {table.left_out:,} earlier (--json lists them all)</p>'
    return f"{title}<table>{head}<tbody>{rows}</tbody></table>{more}"


def _cell(text: str) -> str:
    return f"<td{' class=short' if len(text) <= SHORT else ''}>{escape(text)}</td>"
