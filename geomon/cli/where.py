"""`geomon zones where`: in the city or out of it, in which place, how far from the boundary."""

from __future__ import annotations

import itertools
import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from geomon.cli.options import city_option, config_option
from geomon.cli.output import json_option, print_rows
from geomon.datum import DATUMS, to_wgs84
from geomon.errors import UserError
from geomon.settings import load
from geomon.zones.index import ZoneIndex, zones_for

__all__ = ["where"]

# Positions are judged in portions, so that a long file is answered as it is read.
_PORTION = 1000


class _Given(NamedTuple):
    """A position as the user gave it, in the user's datum."""

    text: str
    lon: float
    lat: float


@click.command()
@click.argument("positions", metavar="LON,LAT...", nargs=-1, required=True)
@click.option(
    "--datum",
    type=click.Choice(DATUMS),
    default="wgs84",
    show_default=True,
    help="The datum of the positions: AMap and Tencent give gcj02, Baidu gives bd09.",
)
@click.option(
    "--extra",
    multiple=True,
    metavar="FILE",
    help="An area that belongs to the city as well; repeatable. Default: the setting `city_extra`.",
)
@click.option(
    "--minus",
    multiple=True,
    metavar="FILE",
    help="An area that does not belong to it; repeatable. Default: the setting `city_minus`.",
)
@city_option
@config_option
@json_option
def where(
    positions: tuple[str, ...],
    *,
    datum: str,
    city: str | None,
    extra: tuple[str, ...],
    minus: tuple[str, ...],
    file: Path | None,
    as_json: bool,
) -> None:
    """Say where positions are: inside the city or outside, the place, the distance to the boundary.

    Longitude comes first. "-" reads positions from stdin, one a line. Distances are in metres,
    positive outside the city, negative inside.

    \b
    geomon zones where 114.0545,22.5445
    geomon zones where --datum gcj02 114.118806,22.529113
    cut -d, -f3,4 fixes.csv | geomon zones where --json -
    """
    given = _read(positions)
    first = list(itertools.islice(given, 1))  # a mistake in it is told before zones are loaded
    flags = {"city": city, "city_extra": list(extra) or None, "city_minus": list(minus) or None}
    settings, _ = load(flags, file=file)
    index = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
    rows = _answers(itertools.chain(first, given), datum, index)
    columns = ["position", "side", "distance_m", "place", "name"]
    print_rows(rows, as_json=as_json, columns=None if as_json else columns)


def _read(positions: Iterable[str]) -> Iterator[_Given]:
    for argument in positions:
        if argument != "-":
            yield _parse(argument)
            continue
        for number, line in enumerate(_stdin(), start=1):
            if line.strip():
                try:
                    yield _parse(line.strip())
                except UserError as error:
                    raise UserError(f"stdin, line {number}: {error}") from None


def _stdin() -> Iterator[str]:
    try:
        yield from sys.stdin
    except OSError as error:
        raise UserError(f"stdin: {error.strerror}") from None


def _parse(text: str) -> _Given:
    try:
        lon, lat = (float(part) for part in re.split(r"\s*[,，\s]\s*", text))
    except ValueError:
        raise UserError(f"cannot read {text!r} as LON,LAT, such as 114.0545,22.5445") from None
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise UserError(f"{text!r} is not a position")
    if abs(lat) > 90 >= abs(lon):
        raise UserError(f"{text!r} has latitude {lat}: longitude comes first, write {lat},{lon}")
    if abs(lat) > 90 or abs(lon) > 180:
        raise UserError(f"{text!r} is not on the globe: longitude -180..180, latitude -90..90")
    return _Given(text, lon, lat)


def _answers(given: Iterator[_Given], datum: str, index: ZoneIndex) -> Iterator[dict[str, Any]]:
    while portion := list(itertools.islice(given, _PORTION)):
        lon, lat = to_wgs84(
            np.array([g.lon for g in portion]), np.array([g.lat for g in portion]), datum
        )
        codes = index.places(lon, lat)
        for position, lon_1, lat_1, code in zip(portion, lon, lat, codes, strict=True):
            distance_m = index.boundary_distance_m(lon_1, lat_1)
            yield {
                "position": position.text,
                "lon": round(float(lon_1), 7),
                "lat": round(float(lat_1), 7),
                "side": "inside" if distance_m < 0 else "outside",
                "distance_m": round(distance_m, 1),
                "place": code,
                "name": index.names.get(code, ""),
                "zones": index.version,
            }
