"""`geomon restore`: what Redis has lost, from the alerts in Kafka."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from geomon.cli.options import Moment, Time, config_option
from geomon.cli.output import json_option, print_rows, talk
from geomon.settings import load

__all__ = ["restore"]

#: Broken messages told one by one; more would fill the screen.
MOST_TOLD = 10

EPILOG = """\b
Examples:
  geomon restore
  geomon restore --since 2024-02-09 --redis redis://redis:6379/0 --json
"""


@click.command(epilog=EPILOG)
@click.option("--since", type=Time(), help="Only what Kafka has since then: RFC 3339, or a date.")
@click.option("--kafka", metavar="HOST:PORT,...", help="Default: the setting `kafka`.")
@click.option("--redis", metavar="URL", help="Default: the setting `redis`.")
@config_option
@json_option
def restore(
    since: Moment | None,
    kafka: str | None,
    redis: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Put the alerts in Kafka back into a Redis that lost them: the log, and what is open.

    Each id enters the log once, whatever is there already. No channel rings, and workers may run
    meanwhile.
    """
    from geomon.sinks import restore as restoring  # noqa: PLC0415  (aiokafka, only where needed)

    settings, _ = load({"kafka": kafka, "redis": redis}, file=file)
    told = 0

    def tell(where: str, trouble: str) -> None:
        nonlocal told
        told += 1
        if told <= MOST_TOLD:
            talk.print(f"{where}: {trouble}", markup=False, soft_wrap=True)

    done = asyncio.run(
        restoring.restore(
            settings.kafka,
            settings.redis,
            since=since.in_city(settings.utc_offset_h) if since else None,
            on_unreadable=tell,
        )
    )
    if told > MOST_TOLD:
        talk.print(f"... and {told - MOST_TOLD:,} more that are no alerts")
    print_rows([asdict(done)], as_json=as_json)
