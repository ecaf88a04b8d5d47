"""`geomon zones`: build zone files, prove them, and say where a coordinate is."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import click

from geomon.cli.output import json_option, print_rows, talk
from geomon.cli.where import where
from geomon.errors import ZoneError
from geomon.zones.files import zone_directory

__all__ = ["zones"]

DEFAULT_ADCODE = "440300"


def _adcode(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[0-9]{6}", value):
        raise click.BadParameter("an adcode has six digits, such as 440300")
    return value


adcode_option = click.option(
    "--adcode",
    default=DEFAULT_ADCODE,
    show_default=True,
    callback=_adcode,
    help="Administrative code of the city.",
)


@click.group()
def zones() -> None:
    """Zone files: the city, its districts, and the places around."""


@zones.command()
@adcode_option
@click.option(
    "--out",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to. [default: the zone files that come with geomon]",
)
@click.option(
    "--places/--no-places",
    default=None,
    help="Also build places.geojson, all cities of China. [default: with 440300 only]",
)
def build(adcode: str, directory: Path | None, places: bool | None) -> None:
    """Build the zone files of a city from published boundaries.

    Needs the packages of geomon[zones]; the files it writes need none of them.

    \b
    geomon zones build
    geomon zones build --adcode 441900 --out /tmp/dongguan
    """
    from geomon.zones.build import build_city, build_places  # noqa: PLC0415

    directory = directory or zone_directory()
    written = build_city(adcode, directory, say=_say)
    if places or (places is None and adcode == DEFAULT_ADCODE):
        written.append(build_places(directory, say=_say))
    for path in written:
        click.echo(path)


@zones.command()
@adcode_option
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the files. [default: the zone files that come with geomon]",
)
@json_option
def check(adcode: str, directory: Path | None, as_json: bool) -> None:
    """Prove the zone files of a city; exit 1 when a proof fails.

    Proofs against other maps need the packages of geomon[zones] and are skipped without them.

    \b
    geomon zones check
    geomon zones check --adcode 441900 --dir /tmp/dongguan --json
    """
    from geomon.zones.check import FAILED, check_zones  # noqa: PLC0415

    proofs = list(check_zones(directory or zone_directory(), adcode))
    print_rows((asdict(proof) for proof in proofs), as_json=as_json)
    failed = sum(proof.verdict == FAILED for proof in proofs)
    if failed:
        raise ZoneError(f"{failed} of {len(proofs)} proofs failed")


zones.add_command(where)


def _say(line: str) -> None:
    talk.print(line, markup=False, soft_wrap=True)
