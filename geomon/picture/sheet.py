"""One HTML page in one file, which opens offline.

A page asks the network for nothing, by its Content-Security-Policy: names and movements of people
must not leave the machine through their own page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources

__all__ = ["figure", "sheet", "table"]

NO_SCRIPT = "default-src 'none'; style-src 'unsafe-inline'"


def sheet(
    package: str,
    title: str,
    parts: Mapping[str, str],
    *,
    language: str = "en",
    policy: str = NO_SCRIPT,
) -> str:
    """Give a page as text: the head that all share, then `page.html` of a package.

    `@@name@@` there is a slot for the part of that name, HTML as it is; `title` is plain text.
    """
    filled = {**parts, "title": escape(title), "lang": language, "policy": policy}
    page = _template("geomon.picture", "head.html") + _template(package, "page.html")
    pieces = page.split("@@")  # text, slot, text, slot, ... text
    pieces[1::2] = [filled[slot] for slot in pieces[1::2]]
    return "".join(pieces)


def figure(title: str, svg: str, keys: Iterable[tuple[str, str]]) -> str:
    """Give a drawing with its title and its legend, a colour and what it stands for each."""
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(label)}</span>' for colour, label in keys
    )
    return f'<figure><h2>{escape(title)}</h2>{svg}<div class="legend">{legend}</div></figure>'


def table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, short: int) -> str:
    """Give a table of plain text; without columns it has no heading.

    A cell of up to `short` characters is not broken: times, ids, numbers.
    """
    head = "".join(f"<th>{'<br>'.join(map(escape, name.split(chr(10))))}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(_cell(text, short) for text in row)}</tr>" for row in rows)
    heading = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{heading}<tbody>{body}</tbody></table>"


def _cell(text: str, short: int) -> str:
    return f"<td{' class=short' if len(text) <= short else ''}>{escape(text)}</td>"


def _template(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
