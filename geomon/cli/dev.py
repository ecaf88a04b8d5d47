"""`geomon dev`: services for development, started without containers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from geomon.cli.output import talk

__all__ = ["dev"]

#: Between two looks whether a broker has ended by itself.
_LOOK_S = 0.5

_data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to keep everything in. Default: gone at the end.",
)


@click.group()
def dev() -> None:
    """Start services for development. None of it is for real work."""


@dev.command()
@click.option("--version", metavar="X.Y.Z", help="Default: the newest that is tested.")
@click.option(
    "--brokers", type=click.IntRange(1, 9), default=1, show_default=True, help="How many nodes."
)
@_data_option
@click.option(
    "--port",
    type=click.IntRange(1, 65_000),
    default=9092,
    show_default=True,
    help="Of the first node; the next has the next.",
)
def kafka(version: str | None, brokers: int, data: Path | None, port: int) -> None:
    """Run Apache Kafka until Ctrl-C or SIGTERM, for development only.

    Maven fetches its programs when they are first used; they are kept in ~/.cache/geomon (or
    GEOMON_KAFKA_CACHE). It listens on 127.0.0.1, open to everybody on this machine. Standard output
    has its address, as soon as it can be used.

    \b
    Example:
      geomon dev kafka --brokers 3 --data /tmp/kafka
    """
    from geomon.embedded.kafka import NEWEST, STEADY_JVM, KafkaCluster  # noqa: PLC0415

    cluster = KafkaCluster(
        brokers, version=version or NEWEST, directory=data, port=port, jvm=STEADY_JVM
    )
    talk.print(f"Kafka {cluster.version} starts (the first time it is fetched).")
    with _until_stopped(), cluster:
        _say_where(data)
        click.echo(cluster.bootstrap)
        _stay(cluster.check)


@dev.command()
@_data_option
def redis(data: Path | None) -> None:
    """Run a Redis server until Ctrl-C or SIGTERM, for development only.

    It listens on a free port of 127.0.0.1, open to everybody on this machine. Standard output has
    its address.

    \b
    Example:
      geomon dev redis --data /tmp/redis
    """
    from geomon.embedded.redis import EmbeddedRedis  # noqa: PLC0415

    with _until_stopped(), EmbeddedRedis(tcp=True, directory=data) as server:
        _say_where(data)
        click.echo(server.url)
        _stay(lambda: None)


@contextmanager
def _until_stopped() -> Iterator[None]:
    """Take SIGTERM for a Ctrl-C, and a Ctrl-C, at any moment, for the end that was wished for."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        talk.print("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


def _stay(check: Callable[[], None]) -> None:
    while True:
        time.sleep(_LOOK_S)
        check()


def _say_where(data: Path | None) -> None:
    kept = f"kept in {data}" if data else "gone at the end (--data keeps them)"
    talk.print(f"For development only. Its data are {kept}. Ctrl-C stops it.", markup=False)
