"""Options that several commands share, each of them a setting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from geomon.decoding import parse_time
from geomon.errors import Refusal

__all__ = ["Moment", "Time", "UtfText", "city_option", "config_option"]

F = TypeVar("F", bound=Callable[..., Any])


class Moment(NamedTuple):
    """What somebody wrote for a time; where a date begins only the settings say.

    `time` is aware, in UTC; of a date, its midnight there.
    """

    time: datetime
    is_date: bool

    def in_city(self, utc_offset_h: float) -> datetime:
        """Give the time, aware, in UTC: of a date, its midnight where `utc_offset_h` holds."""
        # A duty room thinks in days, and they are its own.
        return self.time - timedelta(hours=utc_offset_h if self.is_date else 0)

    def posix_s(self, utc_offset_h: float) -> int:
        """Give the same as whole POSIX seconds."""
        return int(self.in_city(utc_offset_h).timestamp())


class UtfText(click.ParamType):
    """A text as UTF-8, as an id in an event is: a shell hands over any bytes."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give the text as it is."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is not UTF-8", param, ctx)
        return text


class Time(click.ParamType):
    """A time: RFC 3339, or a date, which is its beginning in the city."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Moment:
        """Give what was written, read."""
        text = str(value)
        is_date = len(text) == len("2024-02-09")
        try:
            return Moment(parse_time(f"{text}T00:00:00Z" if is_date else text), is_date)
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
