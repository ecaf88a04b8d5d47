"""The pages of the documentation, taken apart: sections, tables, sessions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import click

from geomon.cli import cli

__all__ = [
    "COMMANDS",
    "MODULES",
    "READMES",
    "REFERENCE",
    "ROOT",
    "Row",
    "Section",
    "blocks",
    "code",
    "inline",
    "json_fields",
    "of_parts",
    "sections",
    "transcript",
]

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for path in (ROOT / "geomon").rglob("*.py") if path.name != "__main__.py")
READMES = ("README.md", "README.zh.md")

Row = list[str]


class Section(NamedTuple):
    """A part of a page: its text, and its tables as rows of cells, headings left out."""

    text: str
    tables: list[list[Row]]

    def keyed(self, table: int = 0) -> dict[str, Row]:
        """Rows by the code in their first cell; a code that stands twice is a mistake."""
        rows = self.tables[table]
        keyed = {code(row[0]): row for row in rows}
        assert len(keyed) == len(rows), "a row stands twice"
        return keyed


def code(cell: str) -> str:
    """What a cell has between backticks; the cell itself when it has none."""
    found = re.search(r"`([^`]*)`", cell)
    return found[1] if found else cell


def sections(name: str) -> dict[str, Section]:
    """The sections of a page, by their headings without backticks."""
    page = (ROOT / name).read_text("utf-8")
    parts = re.split(r"^#{1,3} (.+)$", page, flags=re.MULTILINE)
    return {
        heading.replace("`", ""): Section(text, list(_tables(text)))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _tables(text: str) -> Iterator[list[Row]]:
    for is_table, group in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            rows = [
                [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in group
            ]
            yield rows[2:]


REFERENCE = sections("docs/reference.md")


def commands(group: click.Group = cli, path: str = "geomon") -> dict[str, click.Command]:
    """Every command that does something, by what is typed to call it."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= commands(command, f"{path} {name}")
        else:
            arguments = [p for p in command.params if isinstance(p, click.Argument)]
            shown = "".join(f" {argument.make_metavar(context)}" for argument in arguments)
            found[f"{path} {name}{shown}"] = command
    return found


COMMANDS = commands()


def json_fields(command: str) -> list[str]:
    """What the reference says that each row of a command has in JSON."""
    section = next(REFERENCE[name] for name in COMMANDS if name.startswith(f"geomon {command[:9]}"))
    listed = re.search(r"JSON fields:(.*?)\. ?(?:\n\n| [A-Z])", section.text + "\n\n", re.DOTALL)
    assert listed
    return re.findall(r"`(\w+)`", listed[1])


def of_parts(command: str) -> Iterable[tuple[str, Row]]:
    """The second table of a command: what the objects inside its rows have."""
    section = next(REFERENCE[name] for name in COMMANDS if name.startswith(command))
    return section.keyed(1).items()


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    page = (ROOT / name).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def transcript(name: str) -> list[tuple[str, str]]:
    """The commands typed in a page's sessions, and what each is said to have printed."""
    parts = re.split(r"^\$ (.*)\n", "".join(blocks(name, "console")), flags=re.MULTILINE)
    assert not parts[0]
    return list(zip(parts[1::2], parts[2::2], strict=True))


def inline(name: str) -> list[str]:
    """What stands between single backticks in a page."""
    page = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", page)
