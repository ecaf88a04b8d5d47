"""From the alerts of the log to the figures of a period: pure, the same for the same alerts.

Two views in time, and each figure takes one. What happened (breaches, missed check-ins, whether an
alarm was withdrawn) is judged by all that the log knows, also by what came to light after the
period. What the duty room had before it (alarms raised, cases open at the end) is as it was then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from geomon.alerts import KINDS, SEVERITIES
from geomon.core.plans import LEVELS, local_day
from geomon.report.episodes import Episode, Log, gather, is_notice
from geomon.report.figures import CATEGORIES, Breach, Case, Figures
from geomon.report.logged import LoggedAlert, MissedWindow
from geomon.report.register import DAY_S, People

__all__ = ["GROUPINGS", "UTC_OFFSET_S", "Report", "summarise"]

#: What a report can be taken apart by.
GROUPINGS = ("district", "street", "kind", "level")
#: China has one time and no summer time.
UTC_OFFSET_S = 8 * 3600

_CATEGORY_OF = {category.kind: name for name, category in CATEGORIES.items()}
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


@dataclass
class Report:
    """A period [from_s, until_s) in figures: `total`, and `groups` by their keys in order.

    The key "" is the group of what belongs to none. `alerts` were read (`duplicates` besides), from
    `first_s` to `last_s`.
    """

    from_s: int
    until_s: int
    by: str | None
    total: Figures
    groups: dict[str, Figures] = field(default_factory=dict)
    alerts: int = 0
    duplicates: int = 0
    first_s: int = 0
    last_s: int = 0


def summarise(
    alerts: Iterable[LoggedAlert | Mapping[str, Any]],
    from_s: int | None = None,
    until_s: int | None = None,
    people: People | int | None = None,
    *,
    by: str | None = None,
) -> Report:
    """Summarise a period [from_s, until_s), POSIX seconds; by default from first alert to last.

    `alerts` may come in any order and repeat; they are of the whole log, not of the period alone:
    what was opened before it may be open still, what was closed after it may have been wrong.
    `people` are those of a register, or how many; without them there are no rates, and with a
    number there are none by district, street or level. `by` is one of `GROUPINGS`.

    Raises `ValueError` when an alert is none, when the period is empty, or when it is not given and
    there is no alert to take it from.
    """
    log = gather(alerts)
    begin_s = log.first_s if from_s is None else from_s
    end_s = log.last_s + 1 if until_s is None else until_s
    if end_s <= begin_s:
        raise ValueError("the period ends before it begins")
    if not begin_s:
        raise ValueError("no alert, and no period named")
    book = _Book(begin_s, end_s, people, by)
    for episode in log.episodes.values():
        book.enter(episode)
    return book.report(log)


class _Book:
    """Figures being made: each fact is entered in the total and in its group."""

    def __init__(
        self, from_s: int, until_s: int, people: People | int | None, by: str | None
    ) -> None:
        if by is not None and by not in GROUPINGS:
            raise ValueError(f"by {by!r}: not one of {', '.join(GROUPINGS)}")
        self._from_s, self._until_s, self._people, self._by = from_s, until_s, people, by
        self._total = Figures()
        self._groups: dict[str, Figures] = {}
        self._breaches: dict[str, list[tuple[Breach, LoggedAlert]]] = {}
        # Windows by person: two episodes of one person may tell of the same window.
        self._windows: dict[str, set[MissedWindow]] = {}
        self._newest_run: dict[str, tuple[Case, LoggedAlert]] = {}

    def enter(self, episode: Episode) -> None:
        self._enter_alarm(episode)
        self._enter_end(episode)
        self._enter_breach(episode)
        self._enter_missed(episode)
        self._enter_open(episode)

    def report(self, log: Log) -> Report:
        for case, seen in self._newest_run.values():
            self._add_case(case, seen)
        self._count_people()
        for found in self._breaches.values():
            found.sort(key=lambda pair: (pair[0].since_s, pair[0].episode))
            (first, alert), others = found[0], tuple(breach for breach, _ in found[1:])
            for figures in self._both(alert):
                figures.breaches[first.category].append(replace(first, further=others))
        for figures in (self._total, *self._groups.values()):
            _put_in_order(figures)
        return Report(
            self._from_s,
            self._until_s,
            self._by,
            self._total,
            {key: self._groups[key] for key in sorted(self._groups, key=self._rank)},
            log.alerts,
            log.duplicates,
            log.first_s,
            log.last_s,
        )

    def _enter_alarm(self, episode: Episode) -> None:
        opened = episode.opened
        if opened is None or not self._in_period(opened.detected_s):
            return
        kind = opened.kind
        for figures in self._both(opened):
            if is_notice(kind):
                figures.notices[kind] += 1
                continue
            figures.alarms[kind] += 1
            day = figures.by_day.setdefault(local_day(opened.detected_s, UTC_OFFSET_S), Counter())
            day[kind] += 1
            figures.delays_s.setdefault(kind, []).append(opened.detected_s - opened.since_s)
            if episode.excuse == "withdrawn":
                figures.withdrawn[kind] += 1

    def _enter_end(self, episode: Episode) -> None:
        last = episode.last
        if last.phase == "closed" and self._in_period(last.detected_s) and not is_notice(last.kind):
            for figures in self._both(last):
                figures.closings[last.reason] += 1

    def _enter_breach(self, episode: Episode) -> None:
        first, last = episode.alerts[0], episode.last
        category = _CATEGORY_OF.get(last.kind)
        if category is None:
            return
        begun_s, known_s = last.since_s, first.detected_s
        if category == "out_of_supervision":
            # Silence alone is no breach: it is one from the moment it has lasted too long.
            turned = next((a for a in episode.alerts if a.reason == "out_of_supervision"), None)
            if turned is None:
                return
            begun_s = known_s = turned.detected_s
        if not episode.overlaps(begun_s, self._from_s, self._until_s):
            return
        if excuse := episode.excuse:
            for figures in self._both(last):
                figures.excused[excuse] += 1
            return
        breach = Breach(
            supervisee_id=last.supervisee_id,
            category=category,
            episode=last.episode,
            since_s=last.since_s,
            detected_s=known_s,
            until_s=episode.ended_s,
            district=last.district,
            street=last.street,
            place=first.place or last.place,
        )
        self._breaches.setdefault(last.supervisee_id, []).append((breach, last))

    def _enter_missed(self, episode: Episode) -> None:
        last = episode.last
        if last.kind != "missed_check_in" or episode.excuse == "withdrawn":
            return
        person = last.supervisee_id
        known = self._windows.setdefault(person, set())
        for alert in episode.alerts:
            if alert.reason == "late_check_in" and self._in_period(alert.detected_s):
                for figures in self._both(alert):
                    figures.late_check_ins += 1
            windows = list(alert.windows)
            if not windows and (alert.number == 1 or alert.reason == "missed_again"):
                # An alert that names no window tells of one, which ended by then at the latest.
                windows = [MissedWindow(alert.detected_s, alert.detected_s)]
            for window in windows:
                # It is missed once it has closed.
                if window not in known and self._in_period(window.until_s):
                    known.add(window)
                    for figures in self._both(last):
                        figures.missed[person] += 1

    def _enter_open(self, episode: Episode) -> None:
        seen = episode.at(self._until_s)
        if seen is None or seen.phase == "closed":
            return
        case = Case(
            supervisee_id=seen.supervisee_id,
            kind=seen.kind,
            episode=seen.episode,
            since_s=seen.since_s,
            age_s=self._until_s - seen.since_s,
            severity=seen.severity,
            reason=seen.reason,
            district=seen.district,
            street=seen.street,
            level=seen.level,
            place=seen.place,
            proposal=seen.proposal,
            later=episode.last.reason if episode.last.phase == "closed" else "",
        )
        if seen.kind != "missed_check_in":
            self._add_case(case, seen)
            return
        # A run of misses is never closed by itself: the next run takes its place.
        newest = self._newest_run.get(case.supervisee_id)
        if newest is None or case.since_s > newest[0].since_s:
            self._newest_run[case.supervisee_id] = (case, seen)

    def _add_case(self, case: Case, seen: LoggedAlert) -> None:
        for figures in self._both(seen):
            (figures.open_notices if is_notice(seen.kind) else figures.open_cases).append(case)

    def _count_people(self) -> None:
        people, from_s, until_s = self._people, self._from_s, self._until_s
        if people is None:
            return
        if isinstance(people, People):
            count, person_days = people.count(from_s, until_s)
        else:
            count, person_days = people, people * (until_s - from_s) / DAY_S
        self._total.people, self._total.person_days = count, person_days
        by = self._by
        if by == "kind":
            # Anybody can give rise to any kind.
            for figures in self._groups.values():
                figures.people, figures.person_days = count, person_days
        elif by is not None and isinstance(people, People):
            split = people.split(from_s, until_s, lambda person: str(getattr(person, by)))
            for key in {*split, *self._groups}:
                figures = self._groups.setdefault(key, Figures())
                figures.people, figures.person_days = split.get(key, (0, 0.0))

    def _in_period(self, time_s: int) -> bool:
        return self._from_s <= time_s < self._until_s

    def _both(self, alert: LoggedAlert) -> tuple[Figures, ...]:
        """The figures that a fact told by an alert belongs to."""
        if self._by is None:
            return (self._total,)
        key = str(getattr(alert, self._by))
        if not key and isinstance(self._people, People):
            person = self._people.get(alert.supervisee_id)
            key = str(getattr(person, self._by, ""))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Figures()
        return (self._total, group)

    def _rank(self, key: str) -> tuple[bool, int, str]:
        """Order of groups: as the tables of kinds and levels have them, else by key; "" last."""
        order = {"kind": list(KINDS), "level": list(LEVELS)}.get(self._by or "", [])
        return (not key, order.index(key) if key in order else len(order), key)


def _put_in_order(figures: Figures) -> None:
    """Order lists by what is read first, and days by time: the order of the log says nothing."""
    for found in figures.breaches.values():
        found.sort(key=lambda breach: (breach.since_s, breach.supervisee_id))
    for cases in (figures.open_cases, figures.open_notices):
        cases.sort(
            key=lambda c: (-_SEVERITY_RANK.get(c.severity, -1), c.since_s, c.supervisee_id, c.kind)
        )
    figures.by_day = dict(sorted(figures.by_day.items()))
