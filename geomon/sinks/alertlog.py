"""The alert log in Redis, read: its connection, and a walk from an entry to the end.

A reader is a command somebody waits for, so a Redis that is not there is one line and the end; only
`geomon watch --follow` has reason to wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from geomon.errors import UnavailableError
from geomon.settings.secrecy import public_url
from geomon.sinks.redis import check_url, log_key, why

__all__ = ["connect", "log_entries"]

#: A dead connection is told after this; longer than any wait of ours for new entries.
TIMEOUT_S = 10.0
ENTRIES_AT_ONCE = 1000


def connect(url: str) -> redis.Redis:
    """Make a client that fails at once where Redis does not answer.

    Raises `SettingsError` when `url` is none.
    """
    check_url(url)
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def log_entries(url: str) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
    """Read the log from its beginning to where it ended when this began: ids and fields.

    In pages, so that Redis answers others between two of them. Raises `SettingsError` when `url` is
    none, `UnavailableError` when Redis cannot be asked.
    """
    client = connect(url)
    try:
        with client:
            newest: Any = client.xrevrange(log_key(), count=1)
            if not newest:
                return
            at, end = "-", newest[0][0].decode()
            # A busy system would keep a reader without an end for ever.
            while page := _page(client, at, end):
                yield from page
                at = _after(page[-1][0])
    except (RedisError, OSError) as error:
        raise UnavailableError(f"Redis {public_url(url)}: {why(error)}") from error


def _page(client: redis.Redis, at: str, end: str) -> list[tuple[str, Mapping[bytes, bytes]]]:
    reply: Any = client.xrange(log_key(), min=at, max=end, count=ENTRIES_AT_ONCE)
    return [(log_id.decode(), fields) for log_id, fields in reply]


def _after(log_id: str) -> str:
    """The least id behind one; XRANGE knows no exclusive begin before Redis 6.2."""
    milliseconds, _, number = log_id.partition("-")
    return f"{milliseconds}-{int(number) + 1}"
