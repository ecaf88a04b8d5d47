"""`geomon dossier`: one person's timeline and what falls due next (一人一档)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import click

from geomon.cli.options import Moment, Time, UtfText, city_option, config_option
from geomon.cli.output import json_option, print_rows, printable, talk
from geomon.cli.reading import lines_of
from geomon.core.rules import Rules
from geomon.dossier import Dossier, Record, dossier_of
from geomon.dossier.rows import json_rows
from geomon.dossier.tables import notes, tables
from geomon.dossier.wording import Wording
from geomon.errors import SettingsError, UnavailableError, UserError
from geomon.intake import Intake, Raw
from geomon.settings import Settings, load, rules_from
from geomon.settings.secrecy import public_url
from geomon.topics import EVENTS
from geomon.wallclock import now_s
from geomon.zones.index import ZoneIndex, zones_for

__all__ = ["dossier"]

#: Rows of a section on a terminal, the newest; the page has more and JSON has all.
MOST_LISTED = 40

EPILOG = """\b
Examples:
  geomon dossier SZ-0001 case.ndjson.gz
  geomon dossier SZ-0001 --from 2024-02-01 --html SZ-0001.html
  geomon dossier SZ-0001 --json | jq 'select(.section == "clock")'
"""


@click.command(epilog=EPILOG)
@click.argument("supervisee_id", type=UtfText())
@click.argument("files", metavar="[FILE...]", nargs=-1)
@click.option("--from", "begin", type=Time(), help="Show from here on: RFC 3339, or a date.")
@click.option("--until", type=Time(), help="As it was then. Default: the recording's end, or now.")
@json_option
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page with a timeline, which opens offline and prints on A4.",
)
@click.option("--kafka", metavar="HOST:PORT", help="Default: the setting `kafka`.")
@click.option("--redis", "url", metavar="URL", help="Default: the setting `redis`.")
@city_option
@config_option
def dossier(
    supervisee_id: str,
    files: tuple[str, ...],
    begin: Moment | None,
    until: Moment | None,
    as_json: bool,
    page: Path | None,
    kafka: str | None,
    url: str | None,
    city: str | None,
    file: Path | None,
) -> None:
    """Show one person's dossier: papers, contact, check-ins, episodes, what falls due next.

    FILE: recorded events ("-" is standard input), judged as `geomon replay` judges them. Without a
    FILE, the person's events are read from Kafka, judged, and compared with the log of alerts in
    Redis: alerts are shown as they are on record.

    A dossier is sensitive personal information: it names a person's absences, contacts and
    measures. Places are named, positions are not shown. Keep it where only those may read it who
    supervise the person, and keep a record of who has looked at it.
    """
    if as_json and page is not None:
        raise click.UsageError("--json and --html: one of them")
    if files and (kafka is not None or url is not None):
        raise click.UsageError("FILE and --kafka or --redis: events come from one of them")
    if files.count("-") > 1:
        raise click.UsageError("standard input can be read once")
    settings, _ = load({"city": city, "kafka": kafka, "redis": url}, file=file)
    from_s = begin.posix_s(settings.utc_offset_h) if begin else 0
    until_s = until.posix_s(settings.utc_offset_h) if until else 0
    if from_s and until_s and until_s <= from_s:
        raise click.UsageError("--until is not after --from")
    rules = rules_from(settings)
    zones = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
    desk = _Desk(supervisee_id, zones, rules, from_s, until_s)
    found = desk.of_files(files) if files else desk.of_system(settings)
    _print(found, zones, rules, as_json=as_json, page=page)


class _Desk:
    """Composes the dossier from either kind of source."""

    def __init__(
        self,
        supervisee_id: str,
        zones: ZoneIndex,
        rules: Rules,
        from_s: int,
        until_s: int,
    ) -> None:
        self._whose, self._zones, self._rules = supervisee_id, zones, rules
        self._from_s, self._until_s = from_s, until_s

    def of_files(self, files: tuple[str, ...]) -> Dossier:
        from geomon.dossier.sources import events_of  # noqa: PLC0415  (needs a Kafka client)

        with ExitStack() as stack:
            raws = events_of(self._whose, lines_of(files, stack))
            found = self._compose(raws, self._until_s, None, list(files))
        if found is None:
            raise UserError(f"nothing is known of {self._whose} in {', '.join(files)}")
        return found

    def of_system(self, settings: Settings) -> Dossier:
        """Read Redis, then Kafka: what is judged and not on record was not delivered by then."""
        from geomon.dossier.sources import alerts_on_record, events_in_topic  # noqa: PLC0415

        alerts, held, missing, sources = None, None, [], []
        try:
            alerts, broken = alerts_on_record(self._whose, settings.redis)
            sources.append(f"log of alerts in Redis {public_url(settings.redis)}")
            if broken:
                _say(f"left out: {broken:,} entries of the log that are no alerts")
        except SettingsError:
            raise
        except UnavailableError as error:
            missing.append((str(error), "alerts are shown as they are judged here"))
        try:
            held = events_in_topic(self._whose, settings.kafka)
            sources.append(f"topic {EVENTS}/{held.partition}")
        except UnavailableError as error:
            missing.append((str(error), "only the alerts on record are shown"))
        if alerts is None and held is None:
            raise UnavailableError("; ".join(what for what, _ in missing))
        for what, rest in missing:
            _say(f"{what}: {rest}")
        kept_from_s = held.kept_from_s if held else 0
        if kept_from_s:
            since = Wording({}, self._rules.utc_offset_s).time(kept_from_s)
            _say(f"{EVENTS} holds nothing from before {since}: papers told earlier are not known")
        until_s = self._until_s
        if not until_s and settings.clock == "wall":
            until_s = int(now_s())
        record = None if alerts is None else Record(alerts, kept_from_s)
        found = self._compose(held.raws if held else (), until_s, record, sources)
        if found is None:
            raise UserError(f"nothing is known of {self._whose} in {' and '.join(sources)}")
        return found

    def _compose(
        self, raws: Iterable[Raw], until_s: int, record: Record | None, sources: list[str]
    ) -> Dossier | None:
        return dossier_of(
            self._whose,
            raws,
            Intake(self._zones),
            self._rules,
            from_s=self._from_s,
            until_s=until_s,
            record=record,
            sources=sources,
        )


def _print(
    found: Dossier, zones: ZoneIndex, rules: Rules, *, as_json: bool, page: Path | None
) -> None:
    names: Mapping[str, str] = zones.names
    if page is not None:
        from geomon.dossier.page import write_page  # noqa: PLC0415  (most calls draw nothing)

        write_page(found, names, rules.utc_offset_s, page)
        _say(f"dossier: {page} (opens offline; sensitive)")
    elif as_json:
        print_rows(json_rows(found), as_json=True)
    else:
        words = Wording(names, rules.utc_offset_s)
        for table in tables(found, words, most=MOST_LISTED):
            click.secho(f"\n{printable(table.title)}", bold=True)
            if table.rows:
                print_rows(table.rows, as_json=False, columns=table.columns)
            if table.left_out:
                click.echo(f"… and {table.left_out:,} earlier (--json lists them all)")
        click.echo()
        for note in notes(found):
            _say(note)


def _say(text: str) -> None:
    talk.print(text, markup=False, soft_wrap=True)
