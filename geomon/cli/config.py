"""`geomon config`: what the settings are and where each came from."""

from __future__ import annotations

from pathlib import Path

import click

from geomon.cli.output import json_option, print_rows, printable, talk
from geomon.settings import load, strange_variables

__all__ = ["config"]


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
@json_option
def show(file: Path | None, as_json: bool) -> None:
    """Print each setting's value, its unit and where it came from.

    \b
    Example:
      GEOMON_HORIZON_H=12 geomon config show
    """
    _, table = load(file=file)
    rows = [
        {
            "name": row.name,
            "value": row.value
            if as_json or not isinstance(row.value, list)
            else ",".join(map(str, row.value)),
            "unit": row.unit,
            "from": row.source,
            "meaning": row.meaning,
        }
        for row in table
    ]
    print_rows(rows, as_json=as_json)
    for said in strange_variables():
        talk.print(printable(said), markup=False, soft_wrap=True)
