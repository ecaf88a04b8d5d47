"""`geomon replay`: recorded events through the core, in process or into a running system."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from geomon.cli.board import alert_line, command_line, heading
from geomon.cli.options import Moment, Time, city_option, config_option
from geomon.cli.output import json_option, talk
from geomon.cli.reading import lines_of
from geomon.intake import Intake, Raw, Rejected
from geomon.pacing import Pace, paced
from geomon.replay import Replay
from geomon.settings import Settings, load, rules_from
from geomon.zones.index import zones_for

__all__ = ["replay"]

EPILOG = """\b
Examples:
  geomon replay case.ndjson.gz
  geomon convert track.gpx --person SZ-0009 --device phone --datum wgs84 | geomon replay -
  geomon replay --json --until 2024-02-24T00:00:00+08:00 case.ndjson > alerts.ndjson
  geomon replay --kafka 127.0.0.1:9092 --speed 60 case.ndjson
"""


@click.command(epilog=EPILOG)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--until", type=Time(), help="Let all clocks run on: RFC 3339, or a date.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Pace by arrival times: 1 = as it was, 60 = an hour a minute. Default: no pacing.",
)
@click.option("--commands", is_flag=True, help="Print requests to devices as well.")
@click.option("--kafka", metavar="HOST:PORT", help="Send the events to a running system instead.")
@city_option
@config_option
@json_option
def replay(
    files: tuple[str, ...],
    until: Moment | None,
    speed: float | None,
    commands: bool,
    kafka: str | None,
    city: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Replay recorded events; print the alerts. "-" is standard input.

    The order of lines is the order of arrival. Several files follow one another. Refused events
    are told on stderr, a line each, and counted.
    """
    settings, _ = load({"city": city, "kafka": kafka}, file=file)
    until_s = until.posix_s(settings.utc_offset_h) if until else 0
    with ExitStack() as stack:
        lines: Iterable[Raw] = lines_of(files, stack)
        if kafka:
            _send(lines, settings, until_s, Pace(speed) if speed else None)
        else:
            if speed:
                lines = paced(lines, speed)
            zones = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
            rules = rules_from(settings)
            play = Replay(Intake(zones), rules, _tell_rejected, commands=commands)
            _judge(lines, play, until_s, as_json=as_json, at_once=bool(speed))


def _judge(
    lines: Iterable[Raw], play: Replay, until_s: int, *, as_json: bool, at_once: bool
) -> None:
    begun = time.perf_counter()
    if not as_json:
        click.echo(heading())
    # Paced lines are judged one by one, or an alert would wait for its batch to fill.
    alerts = (
        (alert for line in lines for alert in play.feed_batch([line]))
        if at_once
        else play.feed(lines)
    )
    for group in (alerts, play.finish(until_s)):
        for alert in group:
            _show(alert, as_json=as_json)
    _tell_counts(play, time.perf_counter() - begun)


def _show(alert: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(alert))
        return
    line = alert_line(alert) if "phase" in alert["data"] else command_line(alert)
    if talk.is_terminal and sys.stdout.isatty():
        # On one screen with the progress bar: the bar's console makes way for the line.
        talk.print(Text.from_ansi(line), soft_wrap=True)
    else:
        click.echo(line)


def _send(lines: Iterable[Raw], settings: Settings, until_s: int, pace: Pace | None) -> None:
    # Only this way of replaying needs a Kafka client.
    from geomon.sinks.events import send_events  # noqa: PLC0415

    rejections: Counter[str] = Counter()

    def refuse(rejected: Rejected) -> None:
        rejections[rejected.reason] += 1
        _tell_rejected(rejected)

    sent = send_events(
        lines,
        settings.kafka,
        until_s=until_s,
        settle_s=settings.settle_s,
        on_rejected=refuse,
        pace=pace,
    )
    talk.print(f"{sent:,} events sent to {settings.kafka}")
    _tell_rejections(rejections)


def _tell_rejected(rejected: Rejected) -> None:
    fix = f" fix {rejected.fix}" if rejected.fix >= 0 else ""
    detail = f": {rejected.detail}" if rejected.detail else ""
    talk.print(
        f"refused {rejected.raw.where}{fix}: {rejected.reason}{detail}",
        markup=False,
        soft_wrap=True,
    )


def _tell_counts(play: Replay, elapsed_s: float) -> None:
    events, fixes = play.counts["events"], play.counts["fixes"]
    talk.print(
        f"{events:,} events, {fixes:,} fixes of {len(play.people):,} people "
        f"in {elapsed_s:.1f} s ({fixes / max(elapsed_s, 1e-9):,.0f} fixes/s)"
    )
    if play.counts["canaries"]:
        talk.print(f"canaries left out: {play.counts['canaries']:,}")
    for (kind, phase), count in sorted(play.alerts.items()):
        talk.print(f"  {kind} {phase}: {count:,}")
    for reason, count in sorted(play.commands.items()):
        talk.print(f"  asked to report more often ({reason}): {count:,}")
    _tell_rejections(play.rejections)


def _tell_rejections(rejections: Counter[str]) -> None:
    if rejections:
        talk.print(f"refused: {sum(rejections.values()):,}")
    for reason, count in rejections.most_common():
        talk.print(f"  {reason}: {count:,}")
