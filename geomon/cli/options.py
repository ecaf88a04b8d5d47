"""Options that several commands share, each of them a setting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from geomon.decoding import parse_time
from geomon.errors import Refusal

__all__ = ["Time", "city_option", "config_option"]

F = TypeVar("F", bound=Callable[..., Any])


class Time(click.ParamType):
    """A time: RFC 3339, or a date, which is its beginning in China's time."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Give the time, aware, in UTC."""
        text = str(value)
        # A duty room thinks in days.
        whole = f"{text}T00:00:00+08:00" if len(text) == len("2024-02-09") else text
        try:
            return parse_time(whole)
        except Refusal as refusal:
            self.fail(f"{text!r}: {refusal}", param, ctx)


def config_option(command: F) -> F:
    """Add --config: the settings file, handed to the command as `file`."""
    option = click.option(
        "--config", "file", type=click.Path(path_type=Path), help="Settings file (TOML)."
    )
    return option(command)


def city_option(command: F) -> F:
    """Add --city: the fence."""
    option = click.option(
        "--city", metavar="ADCODE|FILE", help="The fence. Default: the setting `city`."
    )
    return option(command)
