"""`geomon bench`: measurements that need the tree that geomon is developed in."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from geomon.errors import UnavailableError

__all__ = ["DETECTION_PARTS", "bench", "detection_options"]

#: Parts of the detection bench; what they are says `tests/benchmarks/detection/design.py`.
DETECTION_PARTS = (
    "stay",
    "departure",
    "resident",
    "deep",
    "short",
    "wild",
    "limits",
    "sensitivity",
    "tracks",
)

_BENCHMARKS = Path(__file__).resolve().parents[2] / "tests" / "benchmarks"
_File = click.Path(path_type=Path, dir_okay=False)
_Folder = click.Path(path_type=Path, file_okay=False)


def detection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the detection bench."""
    options = (
        click.option("--quick", is_flag=True, help="A fiftieth of everything, to see it run."),
        click.option(
            "--size",
            type=click.FloatRange(0, 1, min_open=True),
            default=1.0,
            show_default=True,
            help="Share of everything.",
        ),
        click.option(
            "--only",
            type=click.Choice(DETECTION_PARTS),
            multiple=True,
            help="This part alone.",
        ),
        click.option(
            "--festival",
            type=_Folder,
            help="The festival city too; recorded there if it is not yet (700 MB, minutes).",
        ),
        click.option("--seed", default=20_240_301, show_default=True, help="Of all chance."),
        click.option("--jobs", type=click.IntRange(1), help="Processes. Default: one a core."),
        click.option("--json", "json_file", type=_File, help="Every figure, to this file."),
        click.option("--plot", type=_File, help="The curve, as a picture (PNG). Needs [demo]."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def bench() -> None:
    """Measure. Works in the source tree alone."""


@bench.command()
@detection_options
def detection(jobs: int | None, **options: Any) -> None:
    """Compare ways to tell that somebody left the city: false alarms against delay.

    Prints tables in Markdown; the better part of an hour on two cores, twice that with the festival
    city.

    \b
    Example:
      geomon bench detection --quick --plot curve.png
    """
    script = _BENCHMARKS / "bench_detection.py"
    if not script.exists():
        raise UnavailableError("the benches are in the source tree, not in an installed geomon")
    runpy.run_path(str(script))["bench"](jobs=jobs or os.cpu_count() or 1, **options)
