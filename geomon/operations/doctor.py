"""The doctor: looks at everything a worker leans on, and says what to do.

Each finding is `ok`, a `warning` (it works, with less room for an accident) or a `failure` (a
worker would not start, or could lose or miss something). Nothing is changed, but for one canary
sent to each broker to learn what time it has; canaries concern nobody.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from geomon.cluster import Cluster
from geomon.errors import SettingsError, UnavailableError, ZoneError
from geomon.operations.brokerclock import steady_s
from geomon.operations.canary import canary_event, noted
from geomon.operations.folder import existing
from geomon.operations.probe import Probe
from geomon.settings import Settings, strange_variables
from geomon.settings.secrecy import public_url
from geomon.sinks.redis import check_url, why
from geomon.topics import EVENTS, FoundTopics, differences, wanted
from geomon.wallclock import now_s
from geomon.zones.index import city_file, zones_for

__all__ = ["CHECKS", "Finding", "examine"]

#: What is looked at, in this order, and what makes it a failure.
CHECKS = {
    "settings": "Never: they are read before; a warning names what leaves a gap.",
    "zones": "A zone file is missing, broken, or not what its hash says.",
    "disk": "No place for `data_dir`, or less than 100 MB; a warning below 1 GB.",
    "file limit": "Fewer than 256 files may be open; a warning below 1,024.",
    "kafka": "No broker answers; a warning with fewer than three.",
    "topics": "As of `geomon topics check`.",
    "kafka clock": "A broker's clock and this machine's are more than `clock_skew_s` apart.",
    "redis": "It does not answer, is older than 5, a replica, or a Cluster.",
    "redis durability": "`appendonly` is off, or its last write failed.",
    "redis memory": "It may evict what it is to remember, or has less than 5 % left.",
    "redis clock": "As the brokers'.",
    "canary": "A partition was without a canary for longer than `canary_silence_s`, or ever.",
}

_TIMEOUT_S = 5.0
_OLDEST_REDIS = (5, 0)
_MB = 1 << 20
_ENOUGH_DISK_BYTES, _LEAST_DISK_BYTES = 1024 * _MB, 100 * _MB
_ENOUGH_FILES, _LEAST_FILES = 1024, 256
#: Shares of Redis's memory that are left.
_ENOUGH_LEFT, _LEAST_LEFT = 0.2, 0.05
#: More than this is no fault of a well-kept clock, though within what is tolerated.
_EXACT_S = 5.0


class Finding(NamedTuple):
    """What was found about one thing, and, unless it is ok, what to do."""

    check: str
    verdict: Literal["ok", "warning", "failure"]
    found: str
    advice: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything in turn; give the findings as they come."""
    for finding in _settings(settings):
        yield finding
    yield _zones(settings)
    yield _disk(Path(settings.data_dir))
    yield _files()
    partitions = 0
    async for found in _kafka(settings):
        if isinstance(found, Finding):
            yield found
        else:
            partitions = found
    for finding in _redis(settings, partitions):
        yield finding


def _settings(settings: Settings) -> Iterator[Finding]:
    findings = []
    if settings.check_in_seed == Settings().check_in_seed:
        findings.append(
            Finding(
                *("settings", "warning", "check_in_seed is the one that everybody has"),
                "set one of your own, or check-in windows can be worked out beforehand",
            )
        )
    if settings.clock == "recording":
        findings.append(
            Finding(
                *("settings", "warning", "clock = recording: silence is not noticed"),
                "set clock = wall, unless recordings are all that is judged",
            )
        )
    if not settings.canary_s:
        findings.append(
            Finding(
                *("settings", "warning", "canary_s = 0: a stream that stands still is not noticed"),
                "set canary_s = 30",
            )
        )
    findings += [
        Finding("settings", "warning", said, "mend its name, or take it out")
        for said in strange_variables()
    ]
    yield from findings or [Finding("settings", "ok", "readable")]


def _zones(settings: Settings) -> Finding:
    try:
        zones = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
        written_s = city_file(settings.city).stat().st_mtime
    except (ZoneError, OSError) as error:
        return Finding("zones", "failure", str(error), "mend the file, or geomon zones build")
    day = datetime.fromtimestamp(written_s, timezone.utc).date()
    found = f"{settings.city}, version {zones.version}, file of {day}; its hash is right"
    return Finding("zones", "ok", found)


def _disk(folder: Path) -> Finding:
    try:
        there = existing(folder)
    except SettingsError as error:
        advice = "set data_dir to a folder that a worker may make and write to"
        return Finding("disk", "failure", str(error), advice)
    left = shutil.disk_usage(there).free
    found = f"{left / _MB:,.0f} MB free for data_dir {folder}"
    if left < _LEAST_DISK_BYTES:
        return Finding("disk", "failure", found, "make room, or set data_dir to another disk")
    if left < _ENOUGH_DISK_BYTES:
        return Finding("disk", "warning", found, "make room")
    return Finding("disk", "ok", found)


def _files() -> Finding:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most in (resource.RLIM_INFINITY, -1):
        return Finding("file limit", "ok", "none")
    found = f"{most:,} open files"
    advice = f"raise it: ulimit -n {_ENOUGH_FILES}, or LimitNOFILE= of the service"
    if most < _LEAST_FILES:
        return Finding("file limit", "failure", found, advice)
    if most < _ENOUGH_FILES:
        return Finding("file limit", "warning", found, advice)
    return Finding("file limit", "ok", found)


async def _kafka(settings: Settings) -> AsyncIterator[Finding | int]:
    """Look at brokers, topics and their clocks; gives also the number of partitions."""
    try:
        forms = wanted(settings)
        async with Cluster(settings.kafka) as cluster:
            found = await cluster.look(form.name for form in forms)
    except SettingsError as error:
        yield Finding("topics", "failure", str(error), "mend the settings")
        return
    except UnavailableError as error:
        yield Finding("kafka", "failure", str(error), "start it, or mend the setting kafka")
        return
    events = found.topics.get(EVENTS)
    try:
        async with Probe(settings.kafka) as probe:
            leaders = await probe.leaders() if events else {}
            yield await _brokers(probe, found, leaders)
            for finding in _topics(settings, found):
                yield finding
            if leaders:
                yield await _broker_clocks(probe, leaders, settings.clock_skew_s)
    except UnavailableError as error:
        yield Finding("kafka", "failure", str(error), "see the brokers' logs")
    if events:
        yield events.partitions


async def _brokers(probe: Probe, found: FoundTopics, leaders: Mapping[int, int]) -> Finding:
    said = f"{found.brokers} broker{'s' * (found.brokers > 1)} answer{'s' * (found.brokers == 1)}"
    kinds = sorted({await probe.generation(broker) for broker in leaders})
    if kinds:
        said += f" ({', '.join(kinds)})"
    if found.brokers < 3:
        return Finding("kafka", "warning", said, "with three brokers any one may stop")
    return Finding("kafka", "ok", said)


def _topics(settings: Settings, found: FoundTopics) -> Iterator[Finding]:
    differ = differences(wanted(settings), found)
    for difference in differ:
        verdict: Literal["warning", "failure"] = (
            "failure" if difference.verdict == "fault" else "warning"
        )
        said = f"{difference.topic}: {difference.what}"
        if difference.found:
            said += f" = {difference.found}"
        yield Finding("topics", verdict, said, difference.advice)
    if not differ:
        number = found.topics[EVENTS].partitions
        yield Finding("topics", "ok", f"as they ought to be, {number} partitions of events")


async def _broker_clocks(probe: Probe, leaders: Mapping[int, int], tolerance_s: float) -> Finding:
    skews: dict[int, float] = {}
    for broker, partition in leaders.items():
        flight = await probe.send(partition, canary_event(partition, now_s()))
        if flight.broker_s is not None:
            middle_s = (flight.sent_s + flight.acknowledged_s) / 2
            skews[broker] = now_s() - (steady_s() - middle_s) - flight.broker_s
    if not skews:
        found = f"{EVENTS} keeps the senders' time: the brokers' is not known"
        return Finding("kafka clock", "warning", found, "see the topics")
    broker, worst_s = max(skews.items(), key=lambda item: abs(item[1]))
    return _clock_finding("kafka clock", f"broker {broker}", worst_s, tolerance_s)


def _clock_finding(check: str, other: str, skew_s: float, tolerance_s: float) -> Finding:
    found = f"this machine is {abs(skew_s):,.1f} s {'ahead of' if skew_s > 0 else 'behind'} {other}"
    advice = "let NTP or chrony set the clocks of all machines"
    if abs(skew_s) > tolerance_s:
        return Finding(check, "failure", found, advice)
    return Finding(check, "warning" if abs(skew_s) > _EXACT_S else "ok", found, advice)


def _redis(settings: Settings, partitions: int) -> Iterator[Finding]:
    where = public_url(settings.redis)
    try:
        check_url(settings.redis)
    except SettingsError as error:
        yield Finding("redis", "failure", str(error), "mend the setting redis")
        return
    client = redis.Redis.from_url(
        settings.redis,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        try:
            info: Any = client.info()
        except (RedisError, OSError) as error:
            found = f"{where}: {why(error)}"
            yield Finding("redis", "failure", found, "start it, or mend the setting redis")
            return
        yield _redis_itself(where, info)
        yield _redis_durable(info)
        yield _redis_memory(info)
        try:
            begun_s = now_s()
            time: Any = client.time()
            skew_s = (begun_s + now_s()) / 2 - (time[0] + time[1] / 1e6)
            yield _clock_finding("redis clock", "Redis", skew_s, settings.clock_skew_s)
            yield from _canaries(client, settings, partitions)
        except (RedisError, OSError) as error:
            yield Finding("redis", "failure", f"{where}: {why(error)}", "see its log")


def _redis_itself(where: str, info: Mapping[str, Any]) -> Finding:
    version = str(info.get("redis_version", "?"))
    found = f"{where} answers, version {version}"
    if info.get("cluster_enabled"):
        advice = "geomon needs one Redis or a Sentinel's master: its keys lie in many slots"
        return Finding("redis", "failure", f"{where} is a Redis Cluster", advice)
    if info.get("role", "master") != "master":
        return Finding("redis", "failure", f"{where} is a replica", "point the URL to the master")
    if _numbers(version) < _OLDEST_REDIS:
        return Finding("redis", "failure", found, "it needs Redis 5 or newer, for its streams")
    return Finding("redis", "ok", found)


def _redis_durable(info: Mapping[str, Any]) -> Finding:
    check = "redis durability"
    if not info.get("aof_enabled"):
        advice = "set appendonly yes, or the log of alerts is gone when Redis ends"
        return Finding(check, "failure", "appendonly is off", advice)
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(name, "ok") != "ok":
            return Finding(check, "failure", f"{name} is {info[name]}", "see its log and its disk")
    return Finding(check, "ok", "appendonly is on")


def _redis_memory(info: Mapping[str, Any]) -> Finding:
    check, limit = "redis memory", int(info.get("maxmemory") or 0)
    policy = info.get("maxmemory_policy", "noeviction")
    if limit and policy != "noeviction":
        advice = "set maxmemory-policy noeviction, or Redis throws away what it is to remember"
        return Finding(check, "failure", f"maxmemory-policy is {policy}", advice)
    total, used = limit or int(info.get("total_system_memory") or 0), int(info["used_memory"])
    of = "maxmemory" if limit else "the machine's memory"
    left = 1 - used / total if total else 1.0
    found = f"{used / _MB:,.0f} of {total / _MB:,.0f} MB ({of}) used"
    if left < _LEAST_LEFT:
        return Finding(check, "failure", found, "raise maxmemory or trim the log; then alerts wait")
    if left < _ENOUGH_LEFT:
        return Finding(check, "warning", found, "raise maxmemory or trim the log of alerts")
    return Finding(check, "ok", found)


def _canaries(client: redis.Redis, settings: Settings, partitions: int) -> Iterator[Finding]:
    if not settings.canary_s:
        return
    seen = noted(client)
    if not seen:
        found = "none was seen for a week: no worker has judged anything"
        yield Finding("canary", "warning", found, "start a worker: geomon worker")
        return
    never = sorted(set(range(partitions)) - {sighting.partition for sighting in seen})
    silent = [sighting for sighting in seen if sighting.for_s > settings.canary_silence_s]
    for sighting in silent:
        found = (
            f"partition {sighting.partition}: none for {sighting.for_s:,.0f} s, "
            f"the last one seen by {sighting.worker or 'nobody known'}"
        )
        advice = "see whether that worker runs, its log, and its /readyz"
        yield Finding("canary", "failure", found, advice)
    if never:
        found = f"none ever in partition{'s' * (len(never) > 1)} {_listed(never)}"
        yield Finding("canary", "failure", found, "see whether enough workers run, and their logs")
    if not never and not silent:
        oldest_s = max(sighting.for_s for sighting in seen)
        found = f"fresh in {len(seen)} partitions, the oldest {oldest_s:,.0f} s ago"
        yield Finding("canary", "ok", found)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (" and more" if len(numbers) > 10 else "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
