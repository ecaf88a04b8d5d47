"""`geomon worker`: the Faust app against real Kafka and Redis."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import click

from geomon.cli.options import city_option, config_option
from geomon.errors import UnavailableError
from geomon.settings import WatchedSettings
from geomon.topics import ALERTS, EVENTS, REJECTED, changelog_of
from geomon.zones.index import zones_for

__all__ = ["worker"]

EPILOG = """\b
Example:
  geomon worker --kafka kafka-1:9092,kafka-2:9092 --redis redis://redis:6379/0
"""


@click.command(epilog=EPILOG)
@click.option("--kafka", metavar="HOST:PORT,...", help="Default: the setting `kafka`.")
@click.option("--redis", metavar="URL", help="Default: the setting `redis`.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "recording"]),
    help="What lets deadlines fall due. Default: the setting `clock`.",
)
@city_option
@config_option
def worker(
    kafka: str | None, redis: str | None, clock: str | None, city: str | None, file: Path | None
) -> None:
    """Judge the events of a Kafka cluster; SIGTERM or Ctrl-C stops it cleanly.

    A settings file that changes is read again: its plans and thresholds then hold.
    """
    flags = {"kafka": kafka, "redis": redis, "clock": clock, "city": city}
    _run(WatchedSettings(flags, file=file))


def _run(watched: WatchedSettings) -> None:
    settings = watched.settings
    zones = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
    # Faust is imported only where a stream is run.
    import uvloop  # noqa: PLC0415
    from faust.contrib.asgi import faust_app_running  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    from geomon.sinks.redis import public_url, why  # noqa: PLC0415
    from geomon.stream.worker import Worker  # noqa: PLC0415

    async def main() -> None:
        topics = await _topics(settings.kafka)
        if EVENTS not in topics:
            raise UnavailableError(
                f"Kafka at {settings.kafka} has no topic {EVENTS}: create it, "
                "with as many partitions as there may ever be workers"
            )
        ours = {ALERTS, REJECTED, changelog_of(settings.app_id)}
        # The state's changelog must be cut as the events are, or states would be looked for in
        # the wrong partition after a restart.
        changelog = topics.get(changelog_of(settings.app_id), topics[EVENTS])
        if changelog != topics[EVENTS]:
            raise UnavailableError(
                f"topic {changelog_of(settings.app_id)} has {changelog} partitions and {EVENTS} "
                f"has {topics[EVENTS]}: make them equal, or use another app_id"
            )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        judge = Worker(
            settings,
            zones,
            declare_topics=not ours <= topics.keys(),
            faust_options={"topic_partitions": topics[EVENTS]},
            watched=watched,
        )
        try:
            await judge.check()
        except (RedisError, OSError) as error:
            await judge.close()
            where = public_url(settings.redis)
            raise UnavailableError(f"Redis at {where}: {why(error)}") from None
        logging.basicConfig(force=True, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        logging.getLogger("geomon").setLevel(logging.INFO)
        try:
            async with faust_app_running(judge.app):
                click.echo("geomon: the worker is running", err=True)
                await judge.until_stopped(stop)
        finally:
            await judge.close()
        events, alerts = judge.counts["events"], judge.counts["alerts"]
        click.echo(f"geomon: stopped after {events:,} events and {alerts:,} alerts", err=True)

    uvloop.install()
    asyncio.run(main())


async def _topics(kafka: str) -> dict[str, int]:
    """Ask a cluster for its topics and their partitions. Raises `UnavailableError`."""
    from aiokafka.client import AIOKafkaClient  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    client = AIOKafkaClient(bootstrap_servers=kafka)
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
        return {t: len(cluster.partitions_for_topic(t) or ()) for t in cluster.topics()}
    except (KafkaError, OSError, ValueError) as error:
        raise UnavailableError(f"Kafka at {kafka}: {error}") from None
    finally:
        await client.close()
