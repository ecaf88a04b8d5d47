"""Episodes, put together again from the alerts of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from geomon.alerts import KINDS
from geomon.report.logged import LoggedAlert, alert_from

__all__ = ["EXCUSED", "Episode", "Log", "gather", "is_notice"]

#: Closing reasons after which an episode is no breach: it was wrong, or was excused afterwards.
EXCUSED = ("withdrawn", "permitted", "extended")


class Episode(msgspec.Struct):
    """The alerts of one episode by their numbers, which is the order they were decided in.

    The order they lie in the log is not asked: several files may be read in any order.
    """

    alerts: list[LoggedAlert]

    @property
    def last(self) -> LoggedAlert:
        """The newest alert: what is known of the episode now."""
        return self.alerts[-1]

    @property
    def opened(self) -> LoggedAlert | None:
        """The alert with which it first came to anyone's attention; None when it is not there.

        A trimmed log may hold an episode's end without its beginning.
        """
        first = self.alerts[0]
        return first if first.number == 1 and first.phase == "opened" else None

    @property
    def ended_s(self) -> int | None:
        """When it ended, as far as is known now; None while it is open."""
        last = self.last
        if last.phase != "closed":
            return None
        return last.detected_s if last.until_s is None else last.until_s

    @property
    def excuse(self) -> str:
        """Why it is no breach after all (one of `EXCUSED`), or ""."""
        last = self.last
        return last.reason if last.phase == "closed" and last.reason in EXCUSED else ""

    def at(self, time_s: int) -> LoggedAlert | None:
        """Give the newest alert decided before a time: what the duty room saw then."""
        return next((a for a in reversed(self.alerts) if a.detected_s < time_s), None)

    def overlaps(self, begun_s: int, from_s: int, until_s: int) -> bool:
        """Whether it was going on in [from_s, until_s), taken to begin at `begun_s`."""
        ended_s = self.ended_s
        # One that lasted no time (withdrawn as if it had never been) lies where it began.
        return begun_s < until_s and (ended_s is None or ended_s > from_s or begun_s >= from_s)


class Log(msgspec.Struct):
    """All that was read: episodes by their ids, and counts."""

    episodes: dict[str, Episode]
    alerts: int = 0
    duplicates: int = 0
    first_s: int = 0
    last_s: int = 0


def gather(alerts: Iterable[LoggedAlert | Mapping[str, Any]]) -> Log:
    """Sort alerts into episodes; an id counts once, however often it was delivered.

    Raises `ValueError` for a mapping that is no alert.
    """
    log = Log({})
    numbered: dict[str, dict[int, LoggedAlert]] = {}
    for item in alerts:
        alert = item if isinstance(item, LoggedAlert) else alert_from(item)
        of_episode = numbered.setdefault(alert.episode, {})
        # At least once is what Kafka promises, and two files may overlap.
        if alert.number in of_episode:
            log.duplicates += 1
            continue
        of_episode[alert.number] = alert
        log.alerts += 1
        log.first_s = min(log.first_s or alert.detected_s, alert.detected_s)
        log.last_s = max(log.last_s, alert.detected_s)
    for name, of_episode in numbered.items():
        log.episodes[name] = Episode([of_episode[n] for n in sorted(of_episode)])
    return log


def is_notice(kind: str) -> bool:
    """Whether a kind is a notice (a paper is missing or runs out) and so no alarm."""
    known = KINDS.get(kind)
    return known is not None and known.notice
