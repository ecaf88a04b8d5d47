"""What Redis has lost, put back from the alerts in Kafka: the log, the memory, and what is open.

Old alerts ring nobody: they go to the log only, each marked as restored. What is open is entered
last, from where the topic ended, and not alert by alert on the way there: else people would be
shown for a moment as they were a year ago, over what a worker has entered meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.exceptions import RedisError

from geomon.errors import UnavailableError
from geomon.settings.secrecy import public_url
from geomon.sinks.alerttopic import TopicAlert, alerts_in_topic
from geomon.sinks.redis import RedisSink, why

__all__ = ["Present", "Restored", "restore"]

_AT_ONCE = 512


@dataclass
class Restored:
    """What came of it, in messages of the topic."""

    read: int = 0
    logged: int = 0
    already_there: int = 0
    """Ids that the log had, or that stand in the topic twice."""
    unreadable: int = 0
    open: int = 0
    """Episodes that were open where the topic ended."""


class Present:
    """What is open after alerts have been told, by the rules of `deliver.lua`."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._open: dict[tuple[str, str], Mapping[str, Any]] = {}

    def take(self, alert: Mapping[str, Any]) -> None:
        """Take the next alert; one that came before changes nothing."""
        data = alert["data"]
        episode, number = data["episode"], int(alert["id"].rpartition("#")[2])
        if number <= self._newest.get(episode, 0):
            return
        self._newest[episode] = number
        place = (alert["subject"], data["kind"])
        shown = self._open.get(place)
        other = shown["data"]["episode"] if shown else episode
        if data["phase"] == "closed":
            if other == episode:
                self._open.pop(place, None)
        elif other == episode or _began(other) <= _began(episode):
            self._open[place] = alert

    def alerts(self) -> list[Mapping[str, Any]]:
        """Give the newest alert of each episode that is open."""
        return list(self._open.values())


async def restore(
    kafka: str,
    redis: str,
    *,
    since: datetime | None = None,
    on_unreadable: Callable[[str, str], None],
) -> Restored:
    """Put the alerts of the topic back into Redis, all or those since a time; each id once.

    `on_unreadable` gets where a message stands that is no alert, and what is wrong with it.
    May be called again, and while workers run. Raises `UnavailableError`, in one line, when Kafka
    or Redis goes away before the end: what has been put back then stays, what was open is missing.
    """
    sink = RedisSink(redis)
    done, present = Restored(), Present()
    waiting: list[Mapping[str, Any]] = []
    try:
        await sink.ping()
        async with aclosing(alerts_in_topic(kafka, since)) as messages:
            async for message in messages:
                done.read += 1
                alert, trouble = _alert_of(sink, message)
                if alert is None:
                    done.unreadable += 1
                    on_unreadable(message.where, trouble)
                    continue
                present.take(alert)
                waiting.append(alert)
                if len(waiting) >= _AT_ONCE:
                    done.logged += await sink.put_back(waiting)
                    waiting.clear()
        done.logged += await sink.put_back(waiting)
        still_open = present.alerts()
        await sink.put_back_open(still_open)
    except (RedisError, OSError) as error:
        raise UnavailableError(
            f"Redis {public_url(redis)}: {why(error)}; {done.logged} alerts were put back so far, "
            "call again"
        ) from None
    finally:
        await sink.close()
    done.open = len(still_open)
    done.already_there = done.read - done.logged - done.unreadable
    return done


def _alert_of(sink: RedisSink, message: TopicAlert) -> tuple[dict[str, Any] | None, str]:
    """Give the alert of a message, or what is wrong with it."""
    if message.alert is not None:
        try:
            sink.check(message.alert)
        except ValueError:
            return None, "not an alert: its id is not of its episode"
    return message.alert, message.trouble


def _began(episode: str) -> str:
    """When an episode began, as it stands in its name: text order is time order."""
    return episode.rpartition("/")[2]
