"""`geomon watch`: alerts as they come, read from the log in Redis.

The log stream and not the channels: a channel forgets whoever was not listening, and after a broken
connection this goes on behind the last entry it has shown.
"""

from __future__ import annotations

import math
import os
import random
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import redis
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from geomon.alerts import KINDS, SEVERITIES
from geomon.cli.board import alert_line, heading
from geomon.cli.output import json_option, talk
from geomon.errors import UnavailableError
from geomon.operations.canary import noted
from geomon.settings import load
from geomon.settings.secrecy import public_url
from geomon.sinks.alertlog import connect
from geomon.sinks.redis import log_key, why

__all__ = ["watch"]

ENTRIES_AT_ONCE = 200
BLOCK_MS = 1000  # between two looks whether anyone still reads our output
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
CANARY_LOOK_S = 10.0
#: What a Redis answers while it changes its part or starts: by class where redis-py has one and
#: cuts the code off (MASTERDOWN is a CLUSTERDOWN to it), and by code.
PASSING = (ClusterDownError, ReadOnlyError, TryAgainError)
PASSING_CODES = re.compile(r"(UNBLOCKED|MASTERDOWN|LOADING|CLUSTERDOWN|READONLY|TRYAGAIN|BUSY)\b")
STREAM_ID = re.compile(r"\d{1,20}(-\d{1,20})?")

EPILOG = """\b
Examples:
  geomon watch --severity high --severity critical
  geomon watch --district 440304 --json --from 0 --no-follow > futian.ndjson
"""


class _Wanted(NamedTuple):
    """What to show: any of each list, everything where a list is empty."""

    districts: Sequence[str]
    kinds: Sequence[str]
    severities: Sequence[str]

    def takes(self, data: Mapping[str, Any]) -> bool:
        return all(
            not wanted or data.get(name) in wanted
            for name, wanted in (
                ("district", self.districts),
                ("kind", self.kinds),
                ("severity", self.severities),
            )
        )


def _stream_id(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value in (None, "$"):
        return None
    if value is None or not STREAM_ID.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is no id of the log: write one like 1707788012345-0, or 0 for the beginning"
        )
    return value


@click.command(epilog=EPILOG)
@click.option("--redis", "url", metavar="URL", help="Default: the setting `redis`.")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.option(
    "--district", "districts", metavar="CODE", multiple=True, help="Only this one; repeatable."
)
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True, help="Likewise.")
@click.option(
    "--severity", "severities", type=click.Choice(list(SEVERITIES)), multiple=True, help="Likewise."
)
@click.option(
    "--from",
    "begin",
    metavar="ID",
    callback=_stream_id,
    help="Begin behind this log id (`log_id` in --json); 0 = from the beginning. Default: now.",
)
@click.option(
    "--follow/--no-follow",
    default=True,
    help="Wait for more (default), or end with the log; that begins at its beginning.",
)
@json_option
def watch(
    url: str | None,
    file: Path | None,
    districts: tuple[str, ...],
    kinds: tuple[str, ...],
    severities: tuple[str, ...],
    begin: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show alerts as they come, from the log in Redis; Ctrl-C ends it.

    Says on stderr when a partition has been without a canary for too long: nobody judges its
    events then, and a worker that is dead cannot say so itself.
    """
    settings, _ = load({"redis": url}, file=file)
    url = settings.redis
    if begin is None and not follow:
        begin = "0"
    client = connect(url)
    wanted = _Wanted(districts, kinds, severities)
    try:
        with client:
            if not as_json and sys.stdout.isatty():
                click.echo(heading())
            listen = _CanaryListener(client, settings.canary_silence_s).listen
            idle = listen if follow else lambda: None
            entries = _entries(client, public_url(url), begin, follow=follow, idle=idle)
            told = False
            for log_id, fields in entries:
                if begin is None and b"restored" in fields:
                    # No news: the record of a time gone by, put back where it was lost.
                    if not told:
                        _say("alerts are being put back in the log; see them with --from")
                    told = True
                    continue
                _show(log_id, fields, wanted, as_json=as_json)
    except BrokenPipeError:
        # Whoever read our output (head, less) has enough: an end, not a failure. What is still in
        # the buffer goes nowhere, or the interpreter would complain about it as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _CanaryListener:
    """Tells of partitions that fall silent, and of their being heard again."""

    def __init__(self, client: redis.Redis, silence_s: float) -> None:
        self._client, self._silence_s = client, silence_s
        self._silent: set[int] = set()
        self._next_s = 0.0

    def listen(self) -> None:
        """Look, unless that was done just now; raises redis-py's errors."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + CANARY_LOOK_S
        try:
            sightings = {sighting.partition: sighting for sighting in noted(self._client)}
        except ResponseError as error:
            if _passing(error):
                raise
            # A reader of alerts may lack the right to these keys; alerts are what it is here for.
            self._next_s = math.inf
            _say(f"canaries cannot be listened to: {why(error)}")
            return
        silent = {n for n, sighting in sightings.items() if sighting.for_s > self._silence_s}
        for number in sorted(silent - self._silent):
            sighting = sightings[number]
            _say(
                f"no canary of partition {number} for {sighting.for_s:,.0f} s "
                f"(last seen by {sighting.worker or 'nobody known'}): its events are not judged"
            )
        for number in sorted(self._silent & sightings.keys() - silent):
            _say(f"the canary of partition {number} is back")
        self._silent = silent


def _entries(
    client: redis.Redis,
    where: str,
    begin: str | None,
    *,
    follow: bool,
    idle: Callable[[], None],
) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
    """Entries of the log behind `begin` (None = behind its present end), whatever comes between.

    With `follow` it never ends by itself, and waits while Redis is away. `idle` is called before
    each look.
    """
    at, failures, told, checked = begin, 0, "", begin in (None, "0")
    while True:
        try:
            if at is None:
                # "$" would mean a later end at each call, and skip what came between two of them.
                at = _edge(client, newest=True) or "0"
            if not checked:
                checked = True
                _warn_of_gap(at, _edge(client, newest=False))
            idle()
            found = _read(client, at, follow=follow)
        except (RedisError, OSError) as error:
            refused = isinstance(error, AuthenticationError | ResponseError)
            if not follow or (refused and not _passing(error)):
                raise UnavailableError(f"Redis {where}: {why(error)}") from error
            if why(error) != told:
                told = why(error)
                _say(f"Redis {where} is away, trying again: {told}")
            longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 30))
            failures += 1
            time.sleep(random.uniform(longest_s / 2, longest_s))  # noqa: S311
            continue
        if failures:
            _say(f"Redis {where} is back")
            failures, told = 0, ""
        for log_id, fields in found:
            at = log_id
            yield log_id, fields
        if not found:
            if not follow:
                return
            if _output_closed():
                raise BrokenPipeError


def _passing(error: BaseException) -> bool:
    """Whether Redis answered what another moment mends: a failover must not end a duty screen."""
    return isinstance(error, PASSING) or bool(PASSING_CODES.match(str(error)))


def _read(client: redis.Redis, at: str, *, follow: bool) -> list[tuple[str, Mapping[bytes, bytes]]]:
    reply: Any = client.xread(
        {log_key(): at}, count=ENTRIES_AT_ONCE, block=BLOCK_MS if follow else None
    )
    # [[key, entries]], or {key: [entries]} when the URL asks for protocol 3.
    batches = [batch for b in reply.values() for batch in b] if isinstance(reply, dict) else []
    if isinstance(reply, list):
        batches = [entries for _, entries in reply]
    return [(log_id.decode(), fields) for batch in batches for log_id, fields in batch]


def _edge(client: redis.Redis, *, newest: bool) -> str:
    """The id of the log's newest or oldest entry; empty when it has none."""
    reply: Any = (
        client.xrevrange(log_key(), count=1) if newest else client.xrange(log_key(), count=1)
    )
    return str(reply[0][0].decode()) if reply else ""


def _warn_of_gap(asked: str, oldest: str) -> None:
    def order(stream_id: str) -> tuple[int, int]:
        milliseconds, _, number = stream_id.partition("-")
        return int(milliseconds), int(number or 0)

    if oldest and order(oldest) > order(asked):
        _say(f"the log begins at {oldest}: what came between {asked} and that may be trimmed")


def _show(log_id: str, fields: Mapping[bytes, bytes], wanted: _Wanted, *, as_json: bool) -> None:
    try:
        event = msgspec.json.decode(fields[b"event"], type=dict[str, Any])
        data = msgspec.convert(event["data"], dict[str, Any])
        if not wanted.takes(data):
            return
        line = "" if as_json else alert_line(event)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError):
        _say(f"log entry {log_id} is not an alert: skipped")
        return
    if as_json:
        click.echo(msgspec.json.encode({**event, "log_id": log_id}))
    else:
        click.echo(line)


def _output_closed() -> bool:
    """Whether the reader of our output is gone, asked without writing anything."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # not a file: captured in a test
        return False
    return any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


def _say(text: str) -> None:
    talk.print(f"geomon: {text}", markup=False, soft_wrap=True)
