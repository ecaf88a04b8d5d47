"""Options that several commands share, each of them a setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["city_option", "config_option"]

F = TypeVar("F", bound=Callable[..., Any])


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
