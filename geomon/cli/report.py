"""`geomon report`: what the alert log comes to in a period, as a duty room reports it."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from geomon.cli.options import Moment, Time, config_option
from geomon.cli.output import json_option, print_rows, talk
from geomon.cli.reading import lines_of
from geomon.errors import Refusal, UserError, ZoneError
from geomon.report import GROUPINGS, LoggedAlert, People, Report, decode_alert, summarise
from geomon.report.register import read_register
from geomon.report.rows import csv_columns, csv_rows, json_rows
from geomon.report.tables import notes, period, sections
from geomon.settings import Settings, load
from geomon.wallclock import now_s

__all__ = ["report"]

#: Broken lines told one by one; a file of another kind would fill the screen.
MOST_TOLD = 10
#: Open cases listed on a terminal, gravest first; the page and JSON have more.
MOST_LISTED = 20

EPILOG = """\b
Examples:
  geomon report --from 2024-02-09 --until 2024-02-18 --people 11000
  geomon report --from 2024-02-09 --until 2024-02-18 --by district --register people.ndjson
  geomon replay --json case.ndjson | geomon report --json -
  geomon report --html festival.html --from 2024-02-09 --until 2024-02-18 alerts.ndjson.gz
"""


@click.command(epilog=EPILOG)
@click.argument("files", metavar="[FILE...]", nargs=-1)
@click.option("--from", "begin", type=Time(), help="Begin of the period: RFC 3339, or a date.")
@click.option("--until", type=Time(), help="Its end, not in it. Default: the log's end, or now.")
@click.option("--by", type=click.Choice(GROUPINGS), help="One row of figures for each.")
@click.option("--people", type=click.IntRange(min=1), metavar="N", help="How many are supervised.")
@click.option(
    "--register",
    metavar="FILE",
    multiple=True,
    help="Recorded events that announce the people; repeatable.",
)
@click.option("--redis", "url", metavar="URL", help="Default: the setting `redis`.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="One row a group, below a stable heading.")
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page with plots, which opens offline and prints on A4.",
)
@config_option
def report(
    files: tuple[str, ...],
    begin: Moment | None,
    until: Moment | None,
    by: str | None,
    people: int | None,
    register: tuple[str, ...],
    url: str | None,
    as_json: bool,
    as_csv: bool,
    page: Path | None,
    file: Path | None,
) -> None:
    """Report on a period: breaches, alarms, delays, open cases, from files or the log in Redis.

    FILE: alerts as `geomon replay --json` or `geomon watch --json` print them; "-" is standard
    input. Without a FILE, the whole log in Redis is read. Broken lines are told on stderr and
    counted.
    """
    if as_json + as_csv + (page is not None) > 1:
        raise click.UsageError("--json, --csv and --html: one of them")
    if people is not None and register:
        raise click.UsageError(
            "--people and --register: one of them says how many people there are"
        )
    if url is not None and files:
        raise click.UsageError("FILE and --redis: alerts come from one of them")
    if [*files, *register].count("-") > 1:
        raise click.UsageError("standard input can be read once")
    settings, _ = load({"redis": url}, file=file)
    from_s = begin.posix_s(settings.utc_offset_h) if begin else None
    until_s = until.posix_s(settings.utc_offset_h) if until else None
    if from_s is not None and until_s is not None and until_s <= from_s:
        raise click.UsageError("--until is not after --from")
    with ExitStack() as stack:
        supervised = _register(register, stack) if register else people
        log = _Alerts()
        alerts = log.of_files(files, stack) if files else log.of_redis(settings.redis)
        if not files:
            # What has not come yet is not in the log either: no age and no rate may reach there.
            until_s = min(until_s or sys.maxsize, int(now_s()) + 1)
        try:
            found = summarise(alerts, from_s, until_s, supervised, by=by)
        except ValueError as error:
            log.tell()
            raise UserError(f"nothing to report: {error}") from None
    log.tell()
    if found.duplicates:
        talk.print(f"{found.duplicates:,} repeated alerts counted once")
    _print(found, settings, as_json=as_json, as_csv=as_csv, page=page)


def _print(
    found: Report, settings: Settings, *, as_json: bool, as_csv: bool, page: Path | None
) -> None:
    names = _district_names(settings) if found.by == "district" or not (as_json or as_csv) else {}
    if page is not None:
        # Only a page needs a plotting library.
        from geomon.report.page import write_page  # noqa: PLC0415

        write_page(found, names, page)
        talk.print(f"Report: {page} (opens offline)", markup=False, soft_wrap=True)
    elif as_json:
        print_rows(json_rows(found, names), as_json=True)
    elif as_csv:
        writer = csv.writer(click.get_text_stream("stdout"), lineterminator="\n")
        writer.writerow(csv_columns())
        writer.writerows(csv_rows(found, names))
    else:
        _print_tables(found, names)


def _print_tables(found: Report, names: Mapping[str, str]) -> None:
    click.echo(f"{period(found)}, {found.alerts:,} alerts read")
    for section in sections(found, names, most=MOST_LISTED):
        click.secho(f"\n{section.title}", bold=True)
        print_rows(section.rows, as_json=False)
        if section.left_out:
            click.echo(f"… and {section.left_out:,} more (--json lists them all)")
    click.echo()
    for note in notes(found):
        talk.print(note, markup=False, soft_wrap=True)


def _district_names(settings: Settings) -> Mapping[str, str]:
    """Chinese names of the city's districts; none where no file of them is known."""
    # The file alone: an index of places would take a hundred times as long.
    from geomon.zones.files import read_zone_file, zone_directory  # noqa: PLC0415

    path = zone_directory() / f"districts-{settings.city}.geojson"
    if not path.is_file():
        return {}
    try:
        return {f.adcode: f.name for f in read_zone_file(path).features}
    except ZoneError as error:
        talk.print(f"no names of districts: {error}", markup=False, soft_wrap=True)
        return {}


class _Alerts:
    """Reads alerts from files or Redis; tells what is none, and counts it."""

    def __init__(self) -> None:
        self.good = self.broken = 0
        self.broken_by_reason: Counter[str] = Counter()

    def of_files(self, files: tuple[str, ...], stack: ExitStack) -> Iterator[LoggedAlert]:
        for raw in lines_of(files, stack):
            if alert := self._decoded(raw.data, raw.where):
                yield alert

    def of_redis(self, url: str) -> Iterator[LoggedAlert]:
        from geomon.sinks.alertlog import log_entries  # noqa: PLC0415

        for log_id, fields in log_entries(url):
            if alert := self._decoded(fields.get(b"event", b""), f"log entry {log_id}"):
                yield alert

    def tell(self) -> None:
        """Tell what was left out; raise `UserError` when that was all there was."""
        if self.broken > MOST_TOLD:
            talk.print(f"left out: {self.broken:,} that are no alerts")
            for reason, count in self.broken_by_reason.most_common(MOST_TOLD):
                talk.print(f"  {reason}: {count:,}", markup=False, soft_wrap=True)
        if self.broken and not self.good:
            raise UserError(f"no alert in it: {self.broken:,} lines of something else")

    def _decoded(self, raw: bytes, where: str) -> LoggedAlert | None:
        try:
            alert = decode_alert(raw)
        except ValueError as error:
            self.broken += 1
            self.broken_by_reason[str(error)] += 1
            if self.broken <= MOST_TOLD:
                talk.print(f"left out {where}: {error}", markup=False, soft_wrap=True)
            return None
        self.good += 1
        return alert


def _register(files: tuple[str, ...], stack: ExitStack) -> People:
    def tell(raw: Any, refusal: Refusal) -> None:
        talk.print(f"refused {raw.where}: {refusal}", markup=False, soft_wrap=True)

    people = read_register(lines_of(files, stack), tell)
    if not people:
        raise UserError(f"{', '.join(files)}: no `supervisee` event in it")
    return people
