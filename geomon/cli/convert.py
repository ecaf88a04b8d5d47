"""`geomon convert`: recorded tracks → events on stdout."""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.progress import TaskID

from geomon.cli.output import reading_bar, talk
from geomon.errors import TrackError, UserError
from geomon.tracks.formats import FORMATS, read_track, sniff
from geomon.tracks.layout import SPEED_UNITS, Layout
from geomon.tracks.timeorder import in_time_order
from geomon.tracks.timestamps import time_reader, zone_named
from geomon.tracks.trackfile import open_track
from geomon.tracks.trackfix import BadRow, TrackFix
from geomon.tracks.uploads import DATUMS, DEVICES, MOST_FIXES, SOURCES, Carrier, uploads

__all__ = ["convert"]

#: So many bad rows are shown one by one, and so many reasons; beyond, they are only counted.
_SHOWN_BAD_ROWS = 10
_ROWS_BETWEEN_PROGRESS = 2_000

_Command = TypeVar("_Command", bound=click.Command)

_EPILOG = """\b
Examples:
  geomon convert walk.gpx --person SZ-0001 --device-id phone-3 --datum wgs84 > walk.ndjson
  geomon convert taxis.csv.gz --datum wgs84 --source gnss --sort \\
    --id-column id --time-column t --day 2013-10-22 --timezone +08:00 \\
    --speed-column speed --speed-unit kmh | geomon replay -
"""


@click.command(epilog=_EPILOG)
@click.argument(
    "tracks", metavar="TRACK...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *FORMATS]),
    default="auto",
    show_default=True,
    help="Of all the tracks; auto looks into each.",
)
@click.option(
    "--datum",
    type=click.Choice(DATUMS),
    required=True,
    help="What the coordinates are in. No default: a mistaken one is 600 m off.",
)
@click.option("--person", metavar="ID", help="Who carried the device (supervisee_id).")
@click.option(
    "--person-prefix", metavar="TEXT", default="", help="Put before each id of --id-column."
)
@click.option("--device", type=click.Choice(DEVICES), default="phone", show_default=True)
@click.option("--device-id", metavar="ID", help="Default: DEVICE-PERSON.")
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="unknown",
    show_default=True,
    help="Of positions, where the track does not say it.",
)
@click.option(
    "--fixes-per-upload",
    metavar="N",
    type=click.IntRange(1, MOST_FIXES),
    default=1,
    show_default=True,
    help="Fixes of a person in one upload.",
)
@click.option(
    "--sort/--no-sort",
    default=False,
    show_default=True,
    help="By time, all tracks together; otherwise the order of the file is the order of arrival.",
)
@click.option(
    "--time-column",
    metavar="NAME",
    default="time",
    show_default=True,
    help="CSV column or GeoJSON property, as are the next.",
)
@click.option("--lon-column", metavar="NAME", default="lon", show_default=True, help="CSV only.")
@click.option("--lat-column", metavar="NAME", default="lat", show_default=True, help="CSV only.")
@click.option("--id-column", metavar="NAME", help="Each id becomes a supervisee.")
@click.option("--accuracy-column", metavar="NAME", help="Radius in metres.")
@click.option("--source-column", metavar="NAME", help="gps, wifi, cell...")
@click.option("--speed-column", metavar="NAME")
@click.option(
    "--speed-unit", type=click.Choice(list(SPEED_UNITS)), default="mps", show_default=True
)
@click.option("--heading-column", metavar="NAME", help="Degrees from north.")
@click.option("--altitude-column", metavar="NAME", help="Metres.")
@click.option(
    "--time-format",
    metavar="FORM",
    default="iso",
    show_default=True,
    help="iso, epoch (seconds), epoch-ms, or a strptime pattern.",
)
@click.option(
    "--timezone", metavar="ZONE", help="Of times without an offset: +08:00, UTC, Asia/Shanghai."
)
@click.option(
    "--day",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The date of times of day that have none.",
)
@click.option(
    "--delimiter",
    metavar="CHAR",
    default="",
    help="Of CSV; 'tab' for a tab. Default: by the first line.",
)
@click.option("--header/--no-header", default=True, help="Without one, columns are numbers from 1.")
@click.option(
    "--encoding",
    metavar="NAME",
    default="utf-8-sig",
    help="Of CSV, for example gb18030. Default: UTF-8.",
)
def convert(
    tracks: tuple[Path, ...],
    form: str,
    sort: bool,
    fixes_per_upload: int,
    **options: Any,
) -> None:
    """Turn recorded tracks (GPX, GeoLife PLT, CSV, GeoJSON, Google location history) into events.

    Writes one upload event a line on stdout, for `geomon replay` or Kafka. Tracks may be gzipped;
    `-` is standard input. Rows without a usable time and position are left out, counted and told
    on stderr. GPX hdop is not an accuracy in metres and is not used as one.
    """
    carrier = Carrier(**{name: options[name] for name in _CARRIER})
    layout = _layout(options, carrier)
    # All formats first: a wrong file must not be found after an hour of output.
    forms = [sniff(path) if form == "auto" else form for path in tracks]
    _check_people(forms, options)
    out = sys.stdout.buffer
    reading = _Reading(list(zip(tracks, forms, strict=True)), layout)
    written = 0
    with reading:
        fixes = in_time_order(reading.fixes()) if sort else reading.fixes()
        try:
            for event in uploads(fixes, carrier, fixes_per_upload=fixes_per_upload):
                out.write(event + b"\n")
                written += 1
            out.flush()
        except TrackError:
            # A file that breaks off has still given what stood before the break.
            out.flush()
            reading.tell(written)
            raise
    reading.tell(written)
    if not reading.good:
        raise TrackError("no usable fix in " + ", ".join(str(path) for path in tracks))


_CARRIER = ("datum", "device", "device_id", "person", "person_prefix", "source")


def _layout(options: dict[str, Any], carrier: Carrier) -> Layout:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(options["delimiter"], options["delimiter"])
    if len(delimiter) > 1 or delimiter in {'"', "\r", "\n"}:
        raise click.UsageError("--delimiter is one character, or 'tab'")
    try:
        carrier.check_ids()
        codecs.lookup(options["encoding"])
        zone = None if options["timezone"] is None else zone_named(options["timezone"])
        day: datetime | None = options["day"]
        return Layout(
            time=options["time_column"],
            lon=options["lon_column"],
            lat=options["lat_column"],
            track_id=options["id_column"],
            accuracy=options["accuracy_column"],
            source=options["source_column"],
            speed=options["speed_column"],
            heading=options["heading_column"],
            altitude=options["altitude_column"],
            speed_unit=options["speed_unit"],
            id_pattern=carrier.id_pattern,
            read_time=time_reader(
                options["time_format"], zone, None if day is None else day.date()
            ),
            delimiter=delimiter,
            header=options["header"],
            encoding=options["encoding"],
        )
    except LookupError:
        raise click.UsageError(f"no encoding {options['encoding']!r}") from None
    except UserError as error:
        raise click.UsageError(str(error)) from None


def _check_people(forms: list[str], options: dict[str, Any]) -> None:
    """Every track needs to say who it is of, once: by its ids or by --person."""
    by_id = [options["id_column"] is not None and FORMATS[form].has_ids for form in forms]
    if not all(by_id) and options["person"] is None:
        raise click.UsageError(
            "whose track is it? give --person ID (or, for many, --id-column NAME)"
        )
    if all(by_id) and options["person"] is not None:
        raise click.UsageError("--person and --id-column both say whose track it is: give one")
    if any(by_id) and options["device_id"] is not None:
        raise click.UsageError("--device-id cannot be the device of every id of --id-column")


class _Reading:
    """Reads tracks one after another, showing how far it has come and what it could not use."""

    def __init__(self, tracks: list[tuple[Path, str]], layout: Layout) -> None:
        self._tracks = tracks
        self._layout = layout
        self._reasons: Counter[str] = Counter()
        self._stack = ExitStack()
        self.good = 0

    def __enter__(self) -> _Reading:
        self._stack.__enter__()
        # A bar above events scrolling by on the same terminal would only tear both.
        shown = talk.is_terminal and not sys.stdout.isatty()
        self._progress = self._stack.enter_context(reading_bar(shown=shown))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def fixes(self) -> Iterator[TrackFix]:
        for path, form in self._tracks:
            with open_track(path) as track:
                size = path.stat().st_size if path.exists() else None
                task = self._progress.add_task(path.name, total=size)
                for rows, item in enumerate(read_track(track, form, self._layout)):
                    if rows % _ROWS_BETWEEN_PROGRESS == 0:
                        self._advance(task, track.bytes_read)
                    if isinstance(item, TrackFix):
                        self.good += 1
                        yield item
                    else:
                        self._refuse(track.name, item)
                self._advance(task, track.bytes_read)

    def _advance(self, task: TaskID, bytes_read: int) -> None:
        self._progress.update(task, completed=bytes_read)

    def _refuse(self, name: str, row: BadRow) -> None:
        self._reasons[row.reason] += 1
        count = self._reasons.total()
        if count <= _SHOWN_BAD_ROWS:
            _say(f"{name}, {row.where}: {row.reason}")
        elif count == _SHOWN_BAD_ROWS + 1:
            _say("further bad rows are only counted")

    def tell(self, written: int) -> None:
        """Say what was read, what was left out and why, and what was written."""
        bad = self._reasons.total()
        if not self.good and not bad:
            return  # the error that follows says all there is
        _say(f"{self.good:,} fixes, {bad:,} bad rows, {written:,} uploads")
        for reason, count in self._reasons.most_common(_SHOWN_BAD_ROWS):
            _say(f"  {count:,} x {reason}")


def _say(text: str) -> None:
    # Names of files are not markup, and a log line is not to be wrapped at 80 columns.
    talk.print(text, markup=False, soft_wrap=True)
