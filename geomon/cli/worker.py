"""`geomon worker`: the Faust app against real Kafka and Redis."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import click

from geomon.cli.options import city_option, config_option
from geomon.cli.service import Service
from geomon.errors import UnavailableError
from geomon.settings import Settings, WatchedSettings
from geomon.settings.secrecy import public_url
from geomon.topics import EVENTS, differences, wanted
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
    from redis.exceptions import RedisError  # noqa: PLC0415

    from geomon.sinks.redis import why  # noqa: PLC0415
    from geomon.stream.worker import Worker  # noqa: PLC0415

    service = Service("geomon")
    log = service.log

    async def serve() -> None:
        partitions, warnings = await _topics(settings)
        stop = service.told_to_stop()
        judge = Worker(
            settings,
            zones,
            faust_options={"topic_partitions": partitions},
            watched=watched,
        )
        try:
            await judge.check()
        except (RedisError, OSError) as error:
            await judge.close()
            where = public_url(settings.redis)
            raise UnavailableError(f"Redis at {where}: {why(error)}") from None
        # What keeps it from starting is said in one line; from here on there is a log.
        service.log_as(settings.log_format)
        for warning in warnings:
            log.warning("%s", warning)
        async with AsyncExitStack() as stack:
            # First, so that it tells of the recovery; what it has no answer to yet, it says so.
            await service.tell_health(stack, settings.web, judge.vitals)
            await stack.enter_async_context(judge.running())
            log.info("the worker is running")
            await judge.until_stopped(stop)
        events, alerts = judge.counts["events"], judge.counts["alerts"]
        log.info("stopped after %s events and %s alerts", f"{events:,}", f"{alerts:,}")

    # What a batch brings comes and goes by the ten thousand and holds no cycles; Python's own
    # thresholds would have it looked through after every few hundred. And what stays, people, would
    # be looked through again and again: a pause of seconds, with a million of them.
    gc.set_threshold(50_000, 5, 1_000_000)
    gc.callbacks.append(_leave_what_stays)
    service.run(serve)


def _leave_what_stays(phase: str, info: Mapping[str, int]) -> None:
    """Have the collector never look again at what has just survived it twice.

    Right after a collection, so that no cycle is kept that could have been collected by then.
    """
    if phase == "stop" and info["generation"] == 1:
        gc.freeze()


async def _topics(settings: Settings) -> tuple[int, list[str]]:
    """Compare the topics with what they ought to be; give the events' partitions, and warnings.

    Raises `UnavailableError`, in one line, when to go on would lose states or events.
    """
    from geomon.cluster import Cluster  # noqa: PLC0415

    forms = wanted(settings)
    async with Cluster(settings.kafka) as cluster:
        found = await cluster.look(form.name for form in forms)
    differ = differences(forms, found)
    faults = [difference.advice for difference in differ if difference.verdict == "fault"]
    if faults:
        more = f" (and {len(faults) - 1} more: `geomon topics check`)" if faults[1:] else ""
        raise UnavailableError(f"Kafka at {settings.kafka}: {faults[0]}{more}")
    warnings = [difference.advice for difference in differ if difference.verdict == "warning"]
    return found.topics[EVENTS].partitions, warnings
