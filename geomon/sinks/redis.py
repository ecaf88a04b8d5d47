"""Alerts to Redis: on record once, on the screens, and the present state of each person.

What `deliver.lua` does for an alert happens in one step, or not at all:

    PREFIX:alerts:log              stream: fields id, type, subject, event; the record
    PREFIX:alerts                  channel of every alert; PREFIX:alerts:<district> of a district's
    PREFIX:open:<supervisee>       hash: kind → newest event of the open episode
    PREFIX:delivered:<supervisee>  hash: episode → highest number delivered, and the gaps below it

Alerts that were told once and lost here are put back in the log with a field more, `restored`.

**What holds.** An id enters the log once, whatever is retried and whoever else delivers it, while
the delivered hash remembers it: until 400 days after the person's last alert, when the whole hash
expires. It costs about 120 bytes an episode, beside one or two kilobytes for each entry of the log.
The log keeps everything unless `log_max_len` says otherwise; to keep a time instead, trim from
outside (`XTRIM geomon:alerts:log MINID ~ <milliseconds>`), not below the six months the law asks.

**What does not.** An alert is as durable as Redis: set `appendonly yes`, and `appendfsync always`
to survive a power cut without losing the last second. A replica promoted too early, or a server
that comes back empty, has forgotten ids and lost entries alike: `geomon restore` puts back what
Kafka has. Channels serve whoever listens now.

The keys of one step lie in different slots, so this needs one Redis (or a Sentinel's master): a
Redis Cluster answers CROSSSLOT. Redis 5 or newer, for streams and scripts replicated by effect.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
import redis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from geomon.errors import SettingsError
from geomon.settings.secrecy import public_url

__all__ = ["RedisSink", "check_url", "log_key", "why"]

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("deliver.lua").read_text(encoding="utf-8")
SCRIPT_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis's own name
#: Alerts in one call of the script: Redis answers nobody else meanwhile (some 3 ms).
CHUNK = 128
MEMORY_S = 400 * 86_400
TIMEOUT_S = 10.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

# Error codes that waiting alone does not heal, and what does.
REMEDIES = {
    "CROSSSLOT": "this is a Redis Cluster; geomon needs one Redis or a Sentinel's master",
    "MISCONF": "Redis cannot write to its disk; see its log",
    "NOAUTH": "check user name and password in the URL",
    "NOPERM": "the Redis user lacks a right; see deliver.lua for the commands used",
    "OOM": "Redis is out of memory; raise maxmemory or trim the log",
    "READONLY": "this is a replica; point the URL to the master",
    "WRONGPASS": "check user name and password in the URL",
    "WRONGTYPE": "another program uses a key of ours; rename or remove it",
}
CODES_CUT_OFF: Mapping[type[RedisError], str] = {
    AuthenticationError: "NOAUTH",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
}
#: A key of one person's, as it may stand in an error; lines that people read name nobody.
KEY_OF_ONE = re.compile(r":(open|delivered):\S+")
LACKS_A_RIGHT = re.compile("can't run this command|has no permissions")  # Redis 6, 7 and 8
ID = re.compile(r"(?P<episode>.+)#(?P<number>[1-9][0-9]{0,8})", re.DOTALL)
CODES = re.compile(r"\b(" + "|".join(REMEDIES) + r")\b")


class RedisSink:
    """Delivers alerts to one Redis, each id once.

    `url`: redis://, rediss:// or unix://. `prefix` begins every key and channel. `log_max_len`:
    about how many entries of the log to keep (None = all). Raises `SettingsError` when one of them
    is none.
    """

    def __init__(self, url: str, *, prefix: str = "geomon", log_max_len: int | None = None) -> None:
        if log_max_len is not None and log_max_len < 1:
            raise SettingsError(f"log_max_len: {log_max_len} is not at least 1")
        self._url = public_url(url)
        self._prefix = prefix
        self._log_max_len = "" if log_max_len is None else str(log_max_len)
        self._complaint = ""
        check_url(url)
        self._redis = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # One more attempt at once: after a restart of Redis the pooled connection is dead.
            retry=Retry(NoBackoff(), 1),
        )

    async def ping(self) -> None:
        """Ask whether Redis is there; raises redis-py's error when it is not."""
        await cast(Awaitable[Any], self._redis.ping())

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def deliver(self, alerts: Sequence[Mapping[str, Any]]) -> int:
        """Deliver alerts (CloudEvents form) in order; returns how many were new to the log.

        On an error (redis-py's own) a first part of them is delivered, the rest is not, and none is
        delivered by half: call again with all of them. Raises `ValueError`, before anything is
        sent, for an alert that lacks what delivery needs.

        Numbers of one episode should come in order. One that comes after a higher one is logged and
        published still, but no longer changes the open hash.
        """
        steps = [self._step(alert) for alert in alerts]
        # Chunks go one after the other, not in a pipeline: after a failed one the rest must wait.
        return sum([await self._run(chunk) for chunk in _chunks(steps)])

    def check(self, alert: Mapping[str, Any]) -> None:
        """Raise `ValueError` for an alert that lacks what delivery needs."""
        self._step(alert)

    async def put_back(self, alerts: Sequence[Mapping[str, Any]]) -> int:
        """Deliver alerts of the past to the log and to nobody; returns how many it did not have.

        No channel rings, and in the open hash only what ended ends: it may hold what a worker has
        entered meanwhile. `put_back_open` follows. On an error the same holds as for `deliver`.
        """
        steps = [self._step(alert) for alert in alerts]
        return sum([await self._run(chunk, "log") for chunk in _chunks(steps)])

    async def put_back_open(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Enter the newest alerts of episodes that were open at the end of what was put back.

        An episode that has been told of again meanwhile, or of whose kind a newer one is open by
        now, is left alone. On an error the same holds as for `deliver`.
        """
        steps = [self._step(alert) for alert in alerts]
        for chunk in _chunks(steps):
            await self._run(chunk, "present")

    async def deliver_until_done(
        self, alerts: Sequence[Mapping[str, Any]], *, on_trouble: Callable[[str], None]
    ) -> int:
        """Deliver, and try again until all are delivered, however long Redis is away.

        Each failure calls `on_trouble` with one line: what is wrong, what mends it, how many alerts
        wait and for how long. Pauses grow from 0.1 s to 10 s, with jitter so that workers do not
        return all at once. Ends otherwise only by cancellation, or `ValueError` as `deliver`.
        Returns how many were new to the log, as far as the answers came through.
        """
        steps = [self._step(alert) for alert in alerts]
        waiting = len(steps)
        logged = failures = 0
        for chunk in _chunks(steps):
            while True:
                try:
                    logged += await self._run(chunk)
                    break
                except (RedisError, OSError) as error:
                    # Every kind of error comes back here: given up, an alert would be lost.
                    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 30))
                    pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311
                    failures += 1
                    on_trouble(
                        f"Redis {self._url}: {why(error)}; "
                        f"{waiting} alerts wait, next try in {pause_s:.1f} s"
                    )
                    await asyncio.sleep(pause_s)
            failures = 0
            waiting -= len(chunk)
        return logged

    def _step(self, alert: Mapping[str, Any]) -> tuple[str, tuple[str | bytes, ...]]:
        """The person, and what the script wants to know of an alert."""
        try:
            data, person, identity = alert["data"], alert["subject"], alert["id"]
            kind, phase, episode = data["kind"], data["phase"], data["episode"]
            named = (identity, alert["type"], person, msgspec.json.encode(alert))
            district = data.get("district") or ""
            name = ID.fullmatch(identity)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an alert: {error!r}") from error
        if name is None or name["episode"] != episode:
            raise ValueError(f"alert id {identity!r} is not a number of episode {episode!r}")
        if phase not in ("opened", "updated", "closed"):
            raise ValueError(f"alert {identity}: phase {phase!r}")
        return person, (*named, district, kind, phase, episode, name["number"])

    async def _run(
        self,
        chunk: Sequence[tuple[str, tuple[str | bytes, ...]]],
        mode: Literal["live", "log", "present"] = "live",
    ) -> int:
        prefix = self._prefix
        keys = [log_key(prefix)]
        arguments: list[str | bytes] = [f"{prefix}:alerts", self._log_max_len, str(MEMORY_S), mode]
        for person, step in chunk:
            keys += (f"{prefix}:delivered:{person}", f"{prefix}:open:{person}")
            arguments += step
        parts: tuple[Any, ...] = (len(keys), *keys, *arguments)
        try:
            reply = await self._redis.evalsha(SCRIPT_SHA, *parts)
        except NoScriptError:
            # The first call, or a restarted Redis: nothing was run yet. EVAL keeps the script.
            reply = await self._redis.eval(SCRIPT, *parts)
        logged, complaint = reply
        self._report(complaint.decode() if isinstance(complaint, bytes) else str(complaint))
        return int(logged)

    def _report(self, complaint: str) -> None:
        """Warn of alerts that are on record but not on the screens; once for each reason."""
        if complaint and complaint != self._complaint:
            log.warning("Redis %s: logged but not published: %s", self._url, complaint)
        self._complaint = complaint


def check_url(url: str) -> None:
    """Raise `SettingsError` when a URL is none of Redis."""
    try:
        parts = urlsplit(url)
        redis.ConnectionPool.from_url(url)  # stricter than its twin: redis:6379 is none
        pool: Any = ConnectionPool.from_url(url)
    except (ValueError, TypeError):
        parts = None
    # Behind the host an @ is of a password with /, # or ?: a piece of it was taken for the host.
    behind = parts.path + parts.query + parts.fragment if parts else ""
    if parts is None or ("@" in behind and parts.scheme != "unix"):
        # What is wrong may be a piece of the password, so it is not repeated.
        raise SettingsError(
            f"Redis URL {public_url(url)} is not like redis://user:password@host:6379/0 (rediss:// "
            "for TLS, unix:// for a socket; what is special in a password written as %2F)"
        )
    try:
        # redis-py looks at these options only when it connects, and raises what no caller expects.
        pool.make_connection()
    except (TypeError, ValueError, AttributeError, RedisError) as error:
        raise SettingsError(
            f"Redis URL {public_url(url)}: what follows its ? is wrong: {error}"
        ) from None


def log_key(prefix: str = "geomon") -> str:
    """The stream that is the record of all alerts."""
    return f"{prefix}:alerts:log"


def why(error: BaseException) -> str:
    """A redis-py error as one line; with what mends it, where waiting does not."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = KEY_OF_ONE.sub(r":\1:...", text)
    # redis-py cuts the code off where it has a class for it, and wraps what goes wrong while it
    # connects; where a script lacks a right there is no code at all, in words of each version.
    hints = [text, "NOPERM" if LACKS_A_RIGHT.search(text) else ""]
    for known in (error, error.__cause__):
        hints += [code for kind, code in CODES_CUT_OFF.items() if isinstance(known, kind)]
    code = CODES.search(" ".join(hints))
    return f"{text} ({REMEDIES[code.group()]})" if code else text


def _chunks(
    steps: Sequence[tuple[str, tuple[str | bytes, ...]]],
) -> Iterator[Sequence[tuple[str, tuple[str | bytes, ...]]]]:
    for start in range(0, len(steps), CHUNK):
        yield steps[start : start + CHUNK]
