"""How commands speak: a table for people on a terminal, JSON lines for programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

__all__ = ["json_option", "print_rows", "printable", "reading_bar", "talk"]


class _Output(Console):
    """Tables on stdout. rich would end with exit 1 where nobody reads any more; a pipe may end."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Talk(Console):
    """Talk on stderr. Where nobody reads it, what the command was called for goes on."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


#: Talk and progress go here, so that stdout stays clean for data.
talk = _Talk(emoji=False, stderr=True, highlight=False)

#: Wider than any row; a table takes only what it needs.
_UNFOLDED = 100_000

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def print_rows(
    rows: Iterable[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str] | None = None
) -> None:
    """Print rows (mappings with the same keys) as a table, or as JSON lines when `as_json`.

    A table is folded to a terminal's width; in a pipe or a file each row is one line.
    """
    if as_json:
        for row in rows:
            # Bytes: JSON is UTF-8 whatever a terminal's encoding is.
            click.echo(msgspec.json.encode(row))
        return
    rows = list(rows)
    if not rows:
        talk.print("nothing to show")
        return
    columns = columns or list(rows[0])
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        cells = ("" if row.get(c) is None else str(row[c]) for c in columns)
        # `Text`: brackets in somebody's data are no markup.
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console = _Output(emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _UNFOLDED
    console.print(table)


def printable(text: str) -> str:
    """Make control characters visible: what came over the wire must not steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def reading_bar(*, shown: bool) -> Progress:
    """Give a bar on stderr for files being read, by bytes; gone when they are read."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=talk,
        transient=True,
        # stdout may be a file or a pipe: what is printed there is no business of the bar's.
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not shown,
    )
